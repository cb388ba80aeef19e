"""Catching up: every instant is covered by exactly one record, whoever plans, and whatever "now" they saw.

A job with three instants and two nodes that may claim it at different times and so would decide differently.  A plan is
a chain: each record says at which instant the next one begins, planners insert only at the end of the chain, one record
after the other, and on a duplicate go on from what is stored.  Something from outside (a stock scheduler, a restored
document) may set the nominal back; ``decided_through`` keeps it from being decided twice.

How state is cut short: a claim token is "nobody has claimed since"; a record whose job has moved past it is ended at
once by an unnamed release or sweep.
"""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from tests.model.explore import Model, Step, put

INSTANTS = 3
END = 6


class Record(NamedTuple):
    """``through``: the last instant it covers; ``following``: where the next record of the plan begins."""

    through: int
    following: int
    decision: str
    final: bool = False


class Draft(NamedTuple):
    head: int
    through: int
    decision: str


class Node(NamedTuple):
    """``seen``: the time of the claim; ``head``: the next instant to record; ``drafts``: of an unordered plan."""

    step: str = "idle"
    current: bool = False
    nominal: int = 0
    seen: int = 0
    head: int = 0
    drafts: tuple[Draft, ...] = ()


class State(NamedTuple):
    now: int
    nominal: int
    decided_through: int
    nodes: tuple[Node, ...]
    records: tuple[Record | None, ...]
    crashes: int
    steals: int
    setbacks: int


class Plan(Model):
    """See the module; ``catch_up``: latest (one record for all) or all; ``grace``: how late one may be made."""

    MUTANTS: ClassVar = {
        "own-plan": "on a duplicate a planner goes on with its own plan",
        "decided-through-ignored": "a planner begins at the nominal, whatever is decided already",
        "unordered": "the records of a plan are inserted in any order",
        "unguarded-advance": "the advance does not ask for claim and nominal",
    }

    def __init__(self, mutant: str | None = None, *, catch_up: str = "latest", grace: int = 0) -> None:
        super().__init__(mutant)
        self.catch_up, self.grace = catch_up, grace

    def start(self) -> State:
        return State(0, 1, 0, (Node(), Node()), (None,) * INSTANTS, crashes=1, steals=1, setbacks=1)

    def steps(self, state: State) -> Iterator[Step]:
        if state.now < END:
            yield Step("time passes", state._replace(now=state.now + 1))
        for index in range(len(state.nodes)):
            yield from self._node(state, index)
        for head, record in enumerate(state.records, 1):
            if record is not None and not record.final and max(state.nominal - 1, state.decided_through) >= head:
                ended = put(state.records, head - 1, record._replace(final=True))
                yield Step(f"{head} ends", state._replace(records=ended))
        if state.setbacks:
            for back in range(1, state.decided_through + 1):
                if back != state.nominal:
                    back_to = state._replace(nominal=back, setbacks=state.setbacks - 1)
                    yield Step(f"the nominal is set back to {back}", back_to, fault=True)

    def _node(self, s: State, index: int) -> Iterator[Step]:
        node = s.nodes[index]
        if node.step == "idle":
            yield from self._claim(s, index)
            return
        if s.crashes:
            yield Step(f"node {index} dies", _to(s._replace(crashes=s.crashes - 1), index, Node()), fault=True)
        if node.step == "record":
            yield self._record(s, index)
        elif node.step == "record in any order":
            for draft in node.drafts:
                yield self._record_one(s, index, draft)
        else:
            yield self._advance(s, index)

    def _claim(self, s: State, index: int) -> Iterator[Step]:
        held = any(node.current for node in s.nodes)
        if s.nominal > _last_due(s.now) or (held and not s.steals):
            return
        head = s.nominal if self.mutant == "decided-through-ignored" else max(s.nominal, s.decided_through + 1)
        claim = Node("record", True, s.nominal, s.now, head)
        if self.mutant == "unordered" and head <= _last_due(s.now):
            claim = claim._replace(step="record in any order", drafts=tuple(self._whole_plan(head, s.now)))
        to = s._replace(nodes=tuple(node._replace(current=False) for node in s.nodes), steals=s.steals - held)
        yield Step(f"node {index} claims {s.nominal} at {s.now}", _to(to, index, claim), fault=held)

    def _record(self, s: State, index: int) -> Step:
        """Insert the record at the end of the chain, or follow the one that is there."""
        node, who = s.nodes[index], f"node {index}"
        if node.head > _last_due(node.seen):
            return Step(f"{who} has recorded all", _to(s, index, node._replace(step="advance")))
        head, through, decision = self._draft(node.head, node.seen)
        there = s.records[head - 1]
        if there is None:
            recorded = s._replace(records=put(s.records, head - 1, Record(through, through + 1, decision)))
            to = _to(recorded, index, node._replace(head=through + 1))
            return Step(f"{who} records {head} to {through}: {decision}", to)
        following = through + 1 if self.mutant == "own-plan" else there.following
        return Step(f"{who} finds {head}, goes on at {following}", _to(s, index, node._replace(head=following)))

    def _record_one(self, s: State, index: int, draft: Draft) -> Step:
        """Insert one of the planned records, which all say where the whole plan ends."""
        node = s.nodes[index]
        if s.records[draft.head - 1] is None:
            record = Record(draft.through, _last_due(node.seen) + 1, draft.decision)
            s = s._replace(records=put(s.records, draft.head - 1, record))
        left = tuple(other for other in node.drafts if other != draft)
        first = s.records[node.head - 1]
        after = node._replace(drafts=left)
        if not left and first is not None:
            after = node._replace(step="advance", head=first.following, drafts=())
        return Step(f"node {index} records {draft.head} to {draft.through}", _to(s, index, after))

    def _advance(self, s: State, index: int) -> Step:
        node = s.nodes[index]
        mine = (node.current and s.nominal == node.nominal) or self.mutant == "unguarded-advance"
        if not mine:
            return Step(f"node {index} may not advance", _to(s, index, Node()))
        moved = s._replace(nominal=node.head, decided_through=max(s.decided_through, node.head - 1))
        broken = ("backwards",) if node.head < s.nominal else ()
        return Step(f"node {index} advances to {node.head}", _to(moved, index, Node()), broken=broken)

    # -- what a planner decides, knowing only the head and when it claimed

    def _draft(self, head: int, seen: int) -> Draft:
        last = _last_due(seen)
        if self.catch_up == "latest":
            return Draft(head, last, "run" if seen - _time(last) <= self.grace else "missed")
        old = [instant for instant in range(head, last + 1) if seen - _time(instant) > self.grace]
        return Draft(head, old[-1], "missed") if old else Draft(head, head, "run")

    def _whole_plan(self, head: int, seen: int) -> Iterator[Draft]:
        while head <= _last_due(seen):
            draft = self._draft(head, seen)
            yield draft
            head = draft.through + 1

    # -- what must hold

    def broken(self, before: State, after: State) -> Iterator[str]:
        covered = [0] * (INSTANTS + 1)
        for head, record in enumerate(after.records, 1):
            if record is not None:
                for instant in range(head, record.through + 1):
                    covered[instant] += 1
                if _time(record.through) > after.now:
                    yield "early"
        if max(covered) > 1:
            yield "covered twice"
        passed = min(INSTANTS, max(after.nominal - 1, after.decided_through))
        if not all(covered[instant] for instant in range(1, passed + 1)):
            yield "gap"

    def settled(self, state: State) -> bool:
        return (
            state.now == END
            and state.nominal > INSTANTS
            and all(node.step == "idle" for node in state.nodes)
            and all(record is None or record.final for record in state.records)
        )

    def canon(self, state: State) -> State:
        return state._replace(nodes=state.nodes[::-1]) if state.nodes[1] < state.nodes[0] else state


def _time(instant: int) -> int:
    return 2 * instant - 1


def _last_due(now: int) -> int:
    return min(INSTANTS, (now + 1) // 2)


def _to(s: State, index: int, node: Node) -> State:
    return s._replace(nodes=put(s.nodes, index, node))
