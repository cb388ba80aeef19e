"""Visit every state that a small model of the protocol can reach, and say what goes wrong in them.

A model is a start, the steps that lead on from a state, and what must never be seen.  Each step is one operation on
MongoDB or on the broker, so any process may stop for ever, or go on late, between any two of them.  Safety is checked
on every step.  Liveness is "no dead end": from every state, with no further fault, a settled state can be reached.

A mutant is the protocol with one rule changed; exploring it must find a fault, or the rule is not needed, or the model
does not see what it is for.
"""

import gc
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

LIMIT = 2_000_000
DEAD_END = "dead end"


class Step(NamedTuple):
    """One operation: what it is called, where it leads, whether progress may count on it, what it broke."""

    label: str
    to: Any
    fault: bool = False
    broken: tuple[str, ...] = ()


class Model:
    """What ``explore`` asks of a model; ``mutant`` names the one rule that is changed, None for the protocol.

    States are hashable values, made of named tuples because those compare and hash in C.
    """

    MUTANTS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, mutant: str | None = None) -> None:
        if mutant is not None and mutant not in self.MUTANTS:
            raise ValueError(f"{type(self).__name__} has no mutant {mutant!r}")
        self.mutant = mutant

    def start(self) -> Any:
        """Return the first state."""
        raise NotImplementedError

    def steps(self, state: Any) -> Iterator[Step]:
        """Yield every step possible in ``state``."""
        raise NotImplementedError

    def settled(self, state: Any) -> bool:
        """Return whether everything owed is done and nobody is at work."""
        raise NotImplementedError

    def canon(self, state: Any) -> Any:
        """Return the one of all states that differ only in names that stands for them."""
        return state

    def broken(self, before: Any, after: Any) -> Iterable[str]:
        """Return what must never be seen and is seen on the way from ``before`` to ``after``."""
        return ()


@dataclass(frozen=True, slots=True)
class Report:
    """How many states there are, and for each invariant that was broken the shortest way there."""

    states: int
    broken: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        ways = [f"{name}: " + " | ".join(way) for name, way in self.broken.items()]
        return "\n".join([f"{self.states} states", *ways])


def put(row: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    """Return ``row`` with one element replaced."""
    return (*row[:index], value, *row[index + 1 :])


def with_message(broker: tuple[Any, ...], message: Any) -> tuple[Any, ...]:
    """Return the messages under way and ``message``; one more copy of what is there changes nothing."""
    return broker if message in broker else tuple(sorted((*broker, message)))


def explore(model: Model, *, limit: int = LIMIT) -> Report:
    """Visit all states, breadth first, so that the first way found to a fault is a shortest one.

    A mutant only has to be found out, so its exploration ends at the first fault.

    Raises:
        RuntimeError: There are more than ``limit`` states.
    """
    search = _Search(model, limit)
    with _no_collector():
        found = search.run()
        if not found:
            stuck = search.dead_end()
            if stuck is not None:
                found = {DEAD_END: search.way(stuck)}
    return Report(len(search.states), found)


@contextmanager
def _no_collector() -> Iterator[None]:
    """Keep the cyclic collector away: states have no cycles, and walking them costs it a sixth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(slots=True)
class _Search:
    model: Model
    limit: int
    number: dict[Hashable, int] = field(default_factory=dict)
    states: list[Any] = field(default_factory=list)
    came_from: list[int] = field(default_factory=list)
    behind: list[list[int]] = field(default_factory=list)
    """For each state those from which a step that is no fault leads to it."""
    settled: list[int] = field(default_factory=list)

    def run(self) -> dict[str, tuple[str, ...]]:
        model, found = self.model, dict[str, tuple[str, ...]]()
        self._meet(model.canon(model.start()), -1)
        queue = deque([0])
        while queue:
            here = queue.popleft()
            state = self.states[here]
            if model.settled(state):
                self.settled.append(here)
            for label, to, fault, broken in model.steps(state):
                wrong = (*broken, *model.broken(state, to))
                if wrong:
                    for name in wrong:
                        found.setdefault(name, (*self.way(here), label))
                    if model.mutant is not None:
                        return found
                    continue
                after = model.canon(to)
                there = self.number.get(after)
                if there is None:
                    there = self._meet(after, here)
                    queue.append(there)
                if not fault:
                    self.behind[there].append(here)
        return found

    def _meet(self, state: Any, came_from: int) -> int:
        index = len(self.states)
        if index >= self.limit:
            raise RuntimeError(f"more than {self.limit} states: {type(self.model).__name__} {self.model.mutant}")
        self.number[state] = index
        self.states.append(state)
        self.came_from.append(came_from)
        self.behind.append([])
        return index

    def dead_end(self) -> int | None:
        """Return the nearest state from which no settled one can be reached without faults."""
        hopeful = bytearray(len(self.states))
        todo = list(self.settled)
        for index in todo:
            hopeful[index] = 1
        while todo:
            for index in self.behind[todo.pop()]:
                if not hopeful[index]:
                    hopeful[index] = 1
                    todo.append(index)
        stuck = hopeful.find(0)
        return None if stuck < 0 else stuck

    def way(self, index: int) -> tuple[str, ...]:
        """Return the labels of a shortest way to a state; found again, because keeping all of them costs memory."""
        labels = []
        while self.came_from[index] >= 0:
            before = self.came_from[index]
            labels.append(self._label(before, index))
            index = before
        return tuple(reversed(labels))

    def _label(self, before: int, after: int) -> str:
        for step in self.model.steps(self.states[before]):
            if self.number.get(self.model.canon(step.to)) == after:
                return step.label
        raise RuntimeError("a step was not found again: the model is not a pure function of its state")
