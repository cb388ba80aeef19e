"""Overlap: at most ``max_instances`` run, nothing is skipped needlessly, and ``buffer_one`` keeps just one waiting.

One job whose instants come faster than its firings end.  The planner decides by what the ledger says of the slots, and
of the firing that the job notes as ``buffered``: both are caches, looked up before they are believed.  The record keeps
the decision, and what becomes of it if no slot is free after all: it waits, or is skipped.  Release admits what waits.
A finished firing stays in the slots until somebody needs its place.

How state is cut short: what is dispatched may begin at any time, what runs may end, or fail and wait for another
attempt, which keeps its slot; a claim that is stolen or dies leaves the rest to the next one.
"""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from tests.model.explore import Model, Step, put

PENDING, DISPATCHED, RUNNING, ENDED, SKIPPED = "pending", "dispatched", "running", "ended", "skipped"
OPEN = (PENDING, DISPATCHED, RUNNING)
RUN, WAIT, SKIP = "run", "wait", "skip"
"""What a record says: run, or be skipped if no slot is free; run, or wait for one; be skipped."""


class Job(NamedTuple):
    nominal: int = 1
    slots: tuple[int, ...] = ()
    buffered: int = 0


class Record(NamedTuple):
    state: str
    plan: str
    attempt: int = 1


class Node(NamedTuple):
    """``live``, ``waiting``: what the ledger said of the slots and of the buffered firing; ``plan``: of the record."""

    step: str = "idle"
    current: bool = False
    job: Job = Job()
    live: tuple[int, ...] = ()
    waiting: int = 0
    plan: str = ""


class Release(NamedTuple):
    step: str = "idle"
    instant: int = 0
    record: Record | None = None
    job: Job = Job()
    live: tuple[int, ...] = ()


class State(NamedTuple):
    now: int
    job: Job
    records: tuple[Record | None, ...]
    nodes: tuple[Node, ...]
    releases: tuple[Release, ...]
    crashes: int
    steals: int
    failures: int


class Overlap(Model):
    """See the module; ``policy``: skip or buffer_one."""

    MUTANTS: ClassVar = {
        "slots-believed": "the claim path believes the slots without asking the ledger",
        "buffered-believed": "the claim path believes that the buffered firing still waits",
        "buffered-not-noted": "the job does not note which firing waits",
        "advance-ignores-slots": "the advance does not compare the slots that it read",
        "admission-ignores-slots": "release does not compare the slots that it read",
        "release-skips-waiting": "release skips what was to wait when it finds no slot",
        "buffer-overwritten": "a planner that follows a record which may wait notes it, though another one waits",
    }

    def __init__(
        self,
        mutant: str | None = None,
        *,
        policy: str = "skip",
        max_instances: int = 2,
        instants: int = 3,
        nodes: int = 1,
        releases: int = 1,
        crashes: int = 0,
        steals: int = 0,
        failures: int = 0,
    ) -> None:
        super().__init__(mutant)
        self.policy, self.max_instances, self.instants = policy, max_instances, instants
        self.nodes, self.releases = nodes, releases
        self.crashes, self.steals, self.failures = crashes, steals, failures

    def start(self) -> State:
        processes = (Node(),) * self.nodes, (Release(),) * self.releases
        return State(0, Job(), (None,) * self.instants, *processes, self.crashes, self.steals, self.failures)

    def steps(self, state: State) -> Iterator[Step]:
        if state.now < self.instants:
            yield Step("time passes", state._replace(now=state.now + 1))
        for index in range(len(state.nodes)):
            yield from self._node(state, index)
        for index in range(len(state.releases)):
            yield from self._release(state, index)
        for instant, record in enumerate(state.records, 1):
            if record is not None:
                yield from self._run(state, instant, record)

    # -- nodes: claim, look, record, advance, mark or close

    def _node(self, s: State, index: int) -> Iterator[Step]:
        node, who = s.nodes[index], f"node {index}"
        if node.step == "idle":
            yield from self._claim(s, index)
            return
        if s.crashes:
            yield Step(f"{who} dies", _node_to(s._replace(crashes=s.crashes - 1), index, Node()), fault=True)
        instant = node.job.nominal
        if node.step == "look":
            live, waiting = self._looked_up(s, node.job)
            seen = node._replace(step="record", live=live, waiting=waiting)
            to = _node_to(s, index, seen)
            needless = self._decide(seen) == SKIP and not self._skip_is_due(s, node.job)
            label = f"{who} looks up the slots: {live}, {waiting or 'none'} waits"
            yield Step(label, to, broken=("needless skip",) if needless else ())
        elif node.step == "record":
            yield self._record(s, index)
        elif node.step == "advance":
            yield self._advance(s, index)
        elif node.step == "mark":
            yield Step(f"{who} marks {instant}", _node_to(_moved(s, instant, 1, DISPATCHED), index, Node()))
        else:
            yield Step(f"{who} skips {instant}", _node_to(_moved(s, instant, 1, SKIPPED), index, Node()))

    def _claim(self, s: State, index: int) -> Iterator[Step]:
        held = any(node.current for node in s.nodes)
        if s.job.nominal > s.now or (held and not s.steals):
            return
        nodes = tuple(node._replace(current=False) for node in s.nodes)
        to = s._replace(nodes=nodes, steals=s.steals - held)
        yield Step(f"node {index} claims {s.job.nominal}", _node_to(to, index, Node("look", True, s.job)), fault=held)

    def _looked_up(self, s: State, job: Job) -> tuple[tuple[int, ...], int]:
        """Return which slots are held, and which firing waits for one: what the ledger says."""
        live = tuple(slot for slot in job.slots if _lives(s, slot) or self.mutant == "slots-believed")
        still = _lives(s, job.buffered) or self.mutant == "buffered-believed"
        return live, job.buffered if job.buffered and still and job.buffered not in live else 0

    def _decide(self, node: Node) -> str:
        if len(node.live) < self.max_instances:
            return WAIT if self.policy == "buffer_one" else RUN
        return WAIT if self.policy == "buffer_one" and not node.waiting else SKIP

    def _skip_is_due(self, s: State, job: Job) -> bool:
        """Return whether there was no slot and, where one may wait, one that waits."""
        full = sum(_lives(s, slot) for slot in job.slots) >= self.max_instances
        return full and (self.policy == "skip" or bool(self._waiting(s)))

    def _waiting(self, s: State) -> list[int]:
        """Return the firings that the job has moved past and that wait for their first slot."""
        return [
            instant
            for instant, record in enumerate(s.records, 1)
            if record is not None
            and record == Record(PENDING, WAIT)
            and instant < s.job.nominal
            and instant not in s.job.slots
        ]

    def _record(self, s: State, index: int) -> Step:
        node, instant = s.nodes[index], s.nodes[index].job.nominal
        record = s.records[instant - 1]
        to, plan = s, self._decide(node)
        if record is None:
            to = s._replace(records=put(s.records, instant - 1, Record(PENDING, plan)))
        elif (record.state, record.attempt) != (PENDING, 1):
            plan = "over"
        else:
            plan = record.plan
        if plan == RUN and len(node.live) >= self.max_instances:
            plan = SKIP
        after = node._replace(step="advance", plan=plan)
        return Step(f"node {index} records {instant}: {plan}", _node_to(to, index, after))

    def _advance(self, s: State, index: int) -> Step:
        node, job, instant = s.nodes[index], s.job, s.nodes[index].job.nominal
        same = job.slots == node.job.slots or self.mutant == "advance-ignores-slots"
        if not (node.current and job.nominal == instant and same):
            return Step(f"node {index} may not advance", _node_to(s, index, Node()))
        slots, waiting, step = node.live, node.waiting, "idle"
        if node.plan == SKIP:
            step = "close"
        elif node.plan in (RUN, WAIT) and len(slots) < self.max_instances:
            slots, step = (*slots, instant), "mark"
        elif node.plan == WAIT and waiting and self.mutant != "buffer-overwritten":
            step = "close"  # another planner saw room, or nobody waiting; its record is there, but one waits already
        elif node.plan == WAIT:
            waiting = instant
        buffered = 0 if self.mutant == "buffered-not-noted" else waiting
        moved = s._replace(job=Job(instant + 1, slots, buffered))
        after = Node() if step == "idle" else Node(step, job=Job(instant))
        label = f"node {index} advances past {instant}, slots {slots}, {waiting or 'none'} waits"
        return Step(label, _node_to(moved, index, after))

    # -- release: read the record, read the job, look the slots up if they are full, admit, mark

    def _release(self, s: State, index: int) -> Iterator[Step]:
        at, who = s.releases[index], f"release {index}"
        if at.step == "idle":
            for instant, record in enumerate(s.records, 1):
                if record is not None and record.state == PENDING:
                    yield Step(f"{who} reads {instant}", _release_to(s, index, Release("read job", instant, record)))
            return
        if s.crashes:
            yield Step(f"{who} dies", _release_to(s._replace(crashes=s.crashes - 1), index, Release()), fault=True)
        if at.step == "read job":
            yield self._judge(s, index)
        elif at.step == "look":
            live = tuple(slot for slot in at.job.slots if _lives(s, slot))
            if len(live) < self.max_instances or at.instant in live:
                after = at._replace(step="admit", live=live)
                yield Step(f"{who} finds a slot for {at.instant}", _release_to(s, index, after))
            else:
                yield self._no_slot(s, index)
        elif at.step == "admit":
            yield self._admit(s, index)
        elif at.record is not None:
            to = _moved(s, at.instant, at.record.attempt, DISPATCHED)
            yield Step(f"{who} marks {at.instant}", _release_to(to, index, Release()))

    def _judge(self, s: State, index: int) -> Step:
        at, done = s.releases[index], _release_to(s, index, Release())
        if at.record is None or s.job.nominal <= at.instant:
            return Step(f"release {index} leaves {at.instant} to the claim path", done)
        if at.record.plan == SKIP:
            return Step(f"release {index} skips {at.instant}", _moved(done, at.instant, 1, SKIPPED))
        return Step(f"release {index} reads the job", _release_to(s, index, at._replace(step="look", job=s.job)))

    def _no_slot(self, s: State, index: int) -> Step:
        """Skip what was not to wait, or may not because another one does; leave the rest."""
        at, done = s.releases[index], _release_to(s, index, Release())
        noted = at.job.buffered
        other = noted not in (0, at.instant) and noted not in at.job.slots and _lives(s, noted)
        may_wait = at.record is not None and at.record.plan == WAIT and not other
        if not may_wait or self.mutant == "release-skips-waiting":
            # A retry keeps its slot and is never here; only a first attempt can be skipped.
            return Step(f"release {index} skips {at.instant}", _moved(done, at.instant, 1, SKIPPED))
        return Step(f"release {index} finds no slot, {at.instant} waits", done)

    def _admit(self, s: State, index: int) -> Step:
        at = s.releases[index]
        if s.job.slots != at.job.slots and self.mutant != "admission-ignores-slots":
            return Step(f"release {index} may not admit {at.instant}", _release_to(s, index, Release()))
        slots = at.live if at.instant in at.live else (*at.live, at.instant)
        to = s._replace(job=s.job._replace(slots=slots))
        after = Release("mark", at.instant, at.record)
        return Step(f"release {index} admits {at.instant}, slots {slots}", _release_to(to, index, after))

    # -- what happens to what was dispatched

    def _run(self, s: State, instant: int, record: Record) -> Iterator[Step]:
        if record.state == DISPATCHED:
            running = sum(other is not None and other.state == RUNNING for other in s.records)
            broken = ("slots",) if running >= self.max_instances else ()
            yield Step(f"{instant} begins", _moved(s, instant, record.attempt, RUNNING), broken=broken)
        elif record.state == RUNNING:
            yield Step(f"{instant} ends", _moved(s, instant, record.attempt, ENDED))
            if s.failures and record.attempt == 1:
                again = Record(PENDING, record.plan, 2)
                failed = s._replace(records=put(s.records, instant - 1, again), failures=s.failures - 1)
                yield Step(f"{instant} fails, to be tried again", failed, fault=True)

    # -- what must hold

    def broken(self, before: State, after: State) -> Iterator[str]:
        waiting = self._waiting(after)
        noted = before.job.buffered
        if noted in waiting and after.job.buffered != noted:
            yield "forgotten"
        if len(waiting) > 1 and after.job.buffered not in waiting:
            yield "two wait"
        if noted in self._waiting(before) and _state(after, noted) == SKIPPED:
            yield "what waits was skipped"
        for old, new in zip(before.records, after.records, strict=True):
            if old is not None and old.state not in OPEN and (new is None or new.state != old.state):
                yield "final state left"

    def settled(self, state: State) -> bool:
        return (
            state.job.nominal > self.instants
            and all(node.step == "idle" for node in state.nodes)
            and all(at.step == "idle" for at in state.releases)
            and all(record is not None and record.state not in OPEN for record in state.records)
        )

    def canon(self, state: State) -> State:
        nodes = tuple(sorted(state.nodes))
        releases = tuple(sorted(state.releases, key=lambda at: (*at[:2], at.record or (), *at[3:])))
        job = state.job._replace(slots=tuple(sorted(state.job.slots)))
        return state._replace(nodes=nodes, releases=releases, job=job)


def _lives(s: State, instant: int) -> bool:
    record = s.records[instant - 1] if instant else None
    return record is not None and record.state in OPEN


def _state(s: State, instant: int) -> str:
    record = s.records[instant - 1]
    return "" if record is None else record.state


def _node_to(s: State, index: int, node: Node) -> State:
    return s._replace(nodes=put(s.nodes, index, node))


def _release_to(s: State, index: int, release: Release) -> State:
    return s._replace(releases=put(s.releases, index, release))


_FROM = {DISPATCHED: (PENDING,), RUNNING: (DISPATCHED,), ENDED: (RUNNING,), SKIPPED: (PENDING,)}


def _moved(s: State, instant: int, attempt: int, state: str) -> State:
    """Move a record on if it is in a state that allows it, and at this attempt."""
    record = s.records[instant - 1]
    if record is None or record.state not in _FROM[state] or record.attempt != attempt:
        return s
    return s._replace(records=put(s.records, instant - 1, record._replace(state=state)))
