"""Counting firings: outcomes, reasons, lateness.  Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cluster.dev.signs import worker_of
from jobstore.clock import to_posix
from jobstore.firing import Firing
from jobstore.lifecycle import FINAL

# Final states in the order in which people want to read them.
OUTCOMES: Final = ("succeeded", "failed", "lost", "skipped", "missed", "cancelled", "superseded", "shadowed")


@dataclass(frozen=True, slots=True)
class Totals:
    """How many firings: ``fired`` were handed to the broker, ``queued`` are there, ``waiting`` are not yet.

    ``outcomes`` counts final states, ``reasons`` the (state, reason) pairs; ``by_node`` what each node released,
    ``by_worker`` what each worker ended, ``running_at`` what each runs now.
    """

    fired: int = 0
    running: int = 0
    waiting: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[tuple[str, str], int] = field(default_factory=dict)
    by_node: Mapping[str, int] = field(default_factory=dict)
    by_worker: Mapping[str, int] = field(default_factory=dict)
    running_at: Mapping[str, int] = field(default_factory=dict)
    queued: int = 0

    @property
    def open(self) -> int:
        """Return how many are not final."""
        return self.running + self.queued + self.waiting

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.fired + other.fired,
            self.running + other.running,
            self.waiting + other.waiting,
            Counter(self.outcomes) + Counter(other.outcomes),
            Counter(self.reasons) + Counter(other.reasons),
            Counter(self.by_node) + Counter(other.by_node),
            Counter(self.by_worker) + Counter(other.by_worker),
            Counter(self.running_at) + Counter(other.running_at),
            self.queued + other.queued,
        )

    def reasons_of(self, state: str) -> list[tuple[str, int]]:
        """Return the reasons of a state with their numbers, the most frequent first."""
        found = [(reason, count) for (of, reason), count in self.reasons.items() if of == state and reason]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def total(firings: Iterable[Firing]) -> Totals:
    """Return the totals of some firings."""
    every = list(firings)
    states = Counter(firing.state for firing in every)
    final = [firing for firing in every if firing.state in FINAL]
    return Totals(
        fired=sum(firing.released_at is not None for firing in every),
        running=states["running"],
        queued=states["dispatched"],
        waiting=states["pending"],
        outcomes=Counter(firing.state for firing in final),
        reasons=Counter((firing.state, firing.reason) for firing in final),
        by_node=Counter(firing.released_by for firing in every if firing.released_by),
        by_worker=Counter(worker_of(firing.worker) for firing in final if firing.worker),
        running_at=Counter(worker_of(firing.worker) for firing in every if firing.state == "running"),
    )


@dataclass(frozen=True, slots=True)
class Lateness:
    """Milliseconds after the instant that was due: the median, and what 99 of 100 keep below."""

    count: int
    p50: float
    p99: float


def released_ms(firing: Firing) -> float | None:
    """Return how late a firing was handed to the broker; None for one that was not, or was tried again since."""
    return _late_ms(firing, "released_at")


def begun_ms(firing: Firing) -> float | None:
    """Return how late a firing began on a worker; None for one that did not, or began again since."""
    return _late_ms(firing, "started_at")


def lateness(values: Iterable[float | None]) -> Lateness | None:
    """Return the lateness of what has one; None when nothing has."""
    known = sorted(value for value in values if value is not None)
    return Lateness(len(known), _rank(known, 0.5), _rank(known, 0.99)) if known else None


def _late_ms(firing: Firing, field_name: str) -> float | None:
    at = getattr(firing, field_name)
    # A further attempt overwrites the instants: they say nothing about punctuality any more.
    if at is None or firing.attempt != 1 or firing.kind != "scheduled":
        return None
    return round((to_posix(at) - firing.covers.through) * 1000, 1)


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
