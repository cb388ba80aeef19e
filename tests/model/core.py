"""The core: one job with two instants, from due to done, through two nodes, a broker, two workers and a sweep.

Claim, plan, record, advance and admit, mark, publish, begin, finish; retries after a declared death; a delete.  The
broker may lose or copy messages, processes die, leases run out under a node that still works, workers are declared
dead while they live.  Slots are a cache of the ledger: nobody frees one, whoever meets full slots looks them up.

How time is cut short: a held claim may be taken over at any moment (a fault, a *steal*); the sweep leaves alone what is
still under way; release and sweep are one process here (``release.py`` has two).
"""

from collections.abc import Iterator
from typing import ClassVar

from tests.model.core_state import (
    ATTEMPTS,
    CANCELLED,
    DISPATCHED,
    INSTANTS,
    LOST,
    NOT_BEGUN,
    OPEN,
    PENDING,
    RUNNING,
    SKIPPED,
    SUCCEEDED,
    Faults,
    Firing,
    Job,
    Node,
    State,
    Sweep,
    Worker,
    close,
    close_as_read,
    firing_to,
    lives,
    node_to,
    other_worker,
    send,
    spend,
    taken,
    under_way,
    worker_to,
)
from tests.model.explore import Model, Step, put


class Core(Model):
    """See the module; ``other_sweep``: a second node declares deaths, whatever it knew of the job being old."""

    MUTANTS: ClassVar = {
        "record-replaces": "recording overwrites the record that is there",
        "begin-in-any-state": "begin does not ask for state and attempt",
        "begin-after-cancel": "begin also takes what was cancelled",
        "finish-without-token": "finish does not ask whose run it is",
        "advance-before-record": "the job moves on before the firing is in the ledger",
        "no-pending-sweep": "nobody looks at what was recorded and left",
        "no-republish": "nobody looks at what was dispatched and never begun",
        "slots-not-looked-up": "full slots are believed; nobody asks the ledger who is still alive",
        "slots-not-counted": "a firing is admitted whatever the slots say",
        "delete-without-cancel": "delete answers without cancelling what has not begun",
        "sweep-ignores-delete": "the sweep treats a job being deleted as active",
        "sweep-admits-anything": "the sweep admits what the job has not moved past, without a slot",
        "dispatch-before-advance": "the message goes out before the job has moved on",
        "verdict-without-compare": "a death is declared without comparing what was read",
        "sweep-reads-job-first": "the sweep reads the job, then the firing",
    }

    def __init__(
        self,
        mutant: str | None = None,
        *,
        max_instances: int = 1,
        delete: bool = False,
        other_sweep: bool = False,
        appears: bool = False,
        **faults: int,
    ) -> None:
        super().__init__(mutant)
        self.max_instances = max_instances
        self.delete, self.other_sweep, self.appears = delete, other_sweep, appears
        self.faults = Faults(**faults)

    def start(self) -> State:
        job = None if self.appears else Job("active", 1)
        none = (0,) * INSTANTS
        delete = "not yet" if self.delete else "never"
        idle = (Node(), Node()), (Worker(), Worker()), Sweep()
        return State(0, job, (None,) * INSTANTS, (), *idle, delete, self.faults, none, none)

    def steps(self, state: State) -> Iterator[Step]:
        if state.now < INSTANTS:
            yield Step("time passes", state._replace(now=state.now + 1))
        if state.job is None:
            yield Step("the job is added", state._replace(job=Job("active", 1)))
        else:
            for index in range(len(state.nodes)):
                yield from self._node(state, index, state.job)
            yield from self._delete(state, state.job)
        yield from self._broker(state)
        for index in range(len(state.workers)):
            yield from self._worker(state, index)
        yield from self._sweep(state)
        if self.other_sweep:
            for instant in range(1, INSTANTS + 1):
                yield from self._other_verdict(state, instant)

    # -- nodes

    def _node(self, s: State, index: int, job: Job) -> Iterator[Step]:
        node, who = s.nodes[index], f"node {index}"
        if node.step == "idle":
            yield from self._claim(s, index, job)
            return
        if s.faults.crashes:
            yield Step(f"{who} dies", spend(node_to(s, index, Node()), "crashes"), fault=True)
        if node.step == "look":
            yield self._look(s, index)
        elif node.step == "record":
            yield self._record(s, index)
        elif node.step == "advance":
            yield self._advance(s, index, job)
        elif node.step == "record late":
            to = firing_to(s, node.instant, Firing(PENDING, "run")) if s.firings[node.instant - 1] is None else s
            yield Step(f"{who} records {node.instant}", node_to(to, index, node._replace(step="mark")))
        elif node.step == "close":
            yield Step(f"{who} skips {node.instant}", node_to(close(s, node.instant, SKIPPED), index, Node()))
        else:
            yield from self._hand_over(s, index)

    def _claim(self, s: State, index: int, job: Job) -> Iterator[Step]:
        if job.state != "active" or job.nominal > min(s.now, INSTANTS):
            return
        held = any(node.current and node.step in ("look", "record", "advance") for node in s.nodes)
        if held and not s.faults.steals:
            return
        to = s._replace(nodes=tuple(node._replace(current=False) for node in s.nodes))
        full = self._full(job.slots)
        node = Node("look" if full else "record", job.nominal, True, job.slots, job.slots)
        if self.mutant == "advance-before-record" and not full:
            node = node._replace(step="advance")
        to = node_to(spend(to, "steals") if held else to, index, node)
        yield Step(f"node {index} claims {job.nominal}", to, fault=held)

    def _look(self, s: State, index: int) -> Step:
        """Ask the ledger which of the slots are still held: they are a cache."""
        node = s.nodes[index]
        live = tuple(slot for slot in node.slots if lives(s, slot))
        needless = self.mutant == "slots-not-looked-up" and len(live) < self.max_instances
        seen = node.slots if self.mutant == "slots-not-looked-up" else live
        to = node_to(s, index, node._replace(step="record", live=seen))
        return Step(f"node {index} looks up the slots", to, broken=("needless skip",) if needless else ())

    def _full(self, live: tuple[int, ...]) -> bool:
        return len(live) >= self.max_instances and self.mutant != "slots-not-counted"

    def _record(self, s: State, index: int) -> Step:
        """Insert the firing; one that is there already is the plan, whatever this node would have decided."""
        node = s.nodes[index]
        there = s.firings[node.instant - 1]
        if there is None or self.mutant == "record-replaces":
            there = Firing(PENDING, "skip" if self._full(node.live) else "run")
            s = firing_to(s, node.instant, there)
        plan = there.decision if there.state == PENDING and there.attempt == 1 else "over"
        if plan == "run" and node.instant not in node.live and self._full(node.live):
            plan = "skip"
        step = "mark" if self.mutant == "dispatch-before-advance" and plan == "run" else "advance"
        to = node_to(s, index, node._replace(step=step, plan=plan))
        return Step(f"node {index} records {node.instant}: {plan}", to)

    def _advance(self, s: State, index: int, job: Job) -> Step:
        """Move the job on and admit, by compare-and-set on the claim, the nominal and the slots that were read."""
        node, who = s.nodes[index], f"node {index}"
        instant = node.instant
        if not node.current or (job.state, job.nominal, job.slots) != ("active", instant, node.slots):
            return Step(f"{who} does not advance {instant}", node_to(s, index, Node()))
        slots, after = node.live, Node()
        if self.mutant == "advance-before-record":
            slots, after = tuple(sorted({*slots, instant})), Node("record late", instant)
        elif node.plan == "skip":
            after = Node("close", instant)
        elif node.plan == "run":
            slots, after = tuple(sorted({*slots, instant})), Node("mark", instant)
        if self.mutant == "dispatch-before-advance":
            after = Node()
        to = node_to(s._replace(job=job._replace(nominal=instant + 1, slots=slots)), index, after)
        return Step(f"{who} advances past {instant}, slots {slots}", to)

    def _hand_over(self, s: State, index: int) -> Iterator[Step]:
        node, who = s.nodes[index], f"node {index}"
        if node.step == "mark":
            there = s.firings[node.instant - 1]
            if there is not None and there.state == PENDING and there.attempt == 1:
                to = firing_to(s, node.instant, there._replace(state=DISPATCHED))
                yield Step(f"{who} marks {node.instant}", node_to(to, index, node._replace(step="publish")))
            else:
                yield Step(f"{who} does not mark {node.instant}", node_to(s, index, Node()))
            return
        after = node._replace(step="advance") if self.mutant == "dispatch-before-advance" else Node()
        yield Step(f"{who} publishes {node.instant}", node_to(send(s, node.instant, 1), index, after))
        if s.faults.losses:
            to = spend(node_to(s, index, after), "losses")
            yield Step(f"{who} cannot publish {node.instant}", to, fault=True)

    # -- the broker and the workers

    def _broker(self, s: State) -> Iterator[Step]:
        for message in dict.fromkeys(s.broker):
            if s.faults.losses:
                yield Step(f"the broker loses {message}", spend(taken(s, message), "losses"), fault=True)
            if s.faults.copies and s.broker.count(message) < 2:
                yield Step(f"the broker copies {message}", spend(send(s, *message), "copies"), fault=True)

    def _worker(self, s: State, index: int) -> Iterator[Step]:
        worker, who = s.workers[index], f"worker {index}"
        if worker.step == "idle":
            for message in dict.fromkeys(s.broker):
                to = worker_to(taken(s, message), index, Worker("took", *message))
                yield Step(f"{who} takes {message}", to)
            return
        if s.faults.crashes:
            yield Step(f"{who} dies", spend(worker_to(s, index, Worker()), "crashes"), fault=True)
        yield self._begin(s, index) if worker.step == "took" else self._finish(s, index)

    def _begin(self, s: State, index: int) -> Step:
        _, instant, attempt = s.workers[index]
        there = s.firings[instant - 1]
        if there is None or not self._may_begin(there, attempt):
            return Step(f"worker {index} may not begin {instant}.{attempt}", worker_to(s, index, Worker()))
        attempt = there.attempt
        running = sum(firing is not None and firing.state == RUNNING for firing in s.firings)
        wrong = {
            "begun twice": s.begun[instant - 1] >= attempt,
            "attempt without a death": attempt - 1 > s.declared[instant - 1],
            "early": instant > s.now,
            "begun after the delete": s.delete == "answered",
            "slots": running - (there.state == RUNNING) >= self.max_instances,
        }
        to = firing_to(s, instant, there._replace(state=RUNNING, worker=index))
        to = worker_to(to, index, Worker("runs", instant, attempt))
        to = to._replace(begun=put(s.begun, instant - 1, attempt))
        return Step(
            f"worker {index} begins {instant}.{attempt}", to, broken=tuple(name for name in wrong if wrong[name])
        )

    def _may_begin(self, there: Firing, attempt: int) -> bool:
        if self.mutant == "begin-in-any-state":
            return there.state in OPEN
        allowed = (DISPATCHED, CANCELLED) if self.mutant == "begin-after-cancel" else (DISPATCHED,)
        return there.state in allowed and there.attempt == attempt

    def _finish(self, s: State, index: int) -> Step:
        _, instant, attempt = s.workers[index]
        there = s.firings[instant - 1] or Firing("missing", "run")
        mine = there == Firing(RUNNING, there.decision, attempt, index)
        label = f"worker {index} {'finishes' if mine else 'is refused the end of'} {instant}.{attempt}"
        to = worker_to(s, index, Worker())
        if not mine and self.mutant != "finish-without-token":
            return Step(label, to)
        to = firing_to(to, instant, there._replace(state=SUCCEEDED))
        return Step(label, to, broken=() if mine else ("finished by another",))

    # -- sweep and release: read the firing, read the job, act on both

    def _sweep(self, s: State) -> Iterator[Step]:
        sweep = s.sweep
        if sweep.step == "idle":
            for instant in range(1, INSTANTS + 1):
                if self.mutant == "sweep-reads-job-first":
                    yield Step("the sweep reads the job", s._replace(sweep=Sweep("read firing", instant, job=s.job)))
                else:
                    yield from self._notice(s, instant)
            return
        if s.faults.crashes:
            yield Step("the sweep dies", spend(s._replace(sweep=Sweep()), "crashes"), fault=True)
        if sweep.step == "read job":
            yield Step("the sweep reads the job", s._replace(sweep=sweep._replace(step="act", job=s.job)))
        elif sweep.step == "read firing":
            for label, to, fault, _ in self._notice(s, sweep.instant):
                yield Step(label, to._replace(sweep=to.sweep._replace(step="act", job=sweep.job)), fault)
            yield Step("the sweep finds nothing to do", s._replace(sweep=Sweep()))
        elif sweep.firing is not None:
            yield from self._judge(s, sweep, sweep.firing)

    def _notice(self, s: State, instant: int) -> Iterator[Step]:
        there = s.firings[instant - 1]
        if there is None or there.state not in OPEN or under_way(s, instant, there.attempt):
            return
        if there.state == {"no-pending-sweep": PENDING, "no-republish": DISPATCHED}.get(self.mutant or ""):
            return
        alive = there.state == RUNNING and s.workers[there.worker] == Worker("runs", instant, there.attempt)
        if alive and not s.faults.verdicts:
            return
        to = s._replace(sweep=Sweep("read job", instant, there))
        yield Step(f"the sweep reads {instant}", spend(to, "verdicts") if alive else to, fault=alive)

    def _judge(self, s: State, sweep: Sweep, firing: Firing) -> Iterator[Step]:
        instant, job, done = sweep.instant, sweep.job, s._replace(sweep=Sweep())
        if sweep.step == "publish":
            yield Step(f"the sweep publishes {instant}", send(done, instant, firing.attempt))
        elif sweep.step == "mark":
            yield self._sweep_marks(s, instant, firing)
        elif sweep.step == "admit" and job is not None:
            yield self._sweep_admits(s, sweep, job)
        elif firing.state == RUNNING:
            yield self._declare(done, instant, firing, retry=job is not None and job.state == "active")
        elif job is None or (job.state == "deleting" and self.mutant != "sweep-ignores-delete"):
            yield Step(f"the sweep cancels {instant}", close_as_read(done, instant, firing, CANCELLED))
        elif firing.state == DISPATCHED:
            yield Step(f"the sweep publishes {instant} again", send(done, instant, firing.attempt))
        elif self.mutant == "sweep-admits-anything":
            yield Step("the sweep goes on to mark", s._replace(sweep=sweep._replace(step="mark", job=None)))
        elif job.nominal <= instant:
            yield Step(f"the sweep leaves {instant} to the claim path", done)
        elif firing.decision == "skip":
            yield Step(f"the sweep skips {instant}", close_as_read(done, instant, firing, SKIPPED))
        else:
            yield self._sweep_looks(s, sweep, job, firing)

    def _sweep_looks(self, s: State, sweep: Sweep, job: Job, firing: Firing) -> Step:
        slots = tuple(slot for slot in job.slots if slot == sweep.instant or lives(s, slot))
        if len(slots) >= self.max_instances and sweep.instant not in slots:
            done = s._replace(sweep=Sweep())
            return Step("the sweep finds no slot", close_as_read(done, sweep.instant, firing, SKIPPED))
        return Step("the sweep finds a slot", s._replace(sweep=sweep._replace(step="admit")))

    def _sweep_admits(self, s: State, sweep: Sweep, read: Job) -> Step:
        if s.job is None or (s.job.state, s.job.slots) != (read.state, read.slots):
            return Step(f"the sweep may not admit {sweep.instant}", s._replace(sweep=Sweep()))
        slots = tuple(sorted({*(slot for slot in read.slots if lives(s, slot)), sweep.instant}))
        to = s._replace(job=s.job._replace(slots=slots), sweep=sweep._replace(step="mark", job=None))
        return Step(f"the sweep admits {sweep.instant}", to)

    def _sweep_marks(self, s: State, instant: int, read: Firing) -> Step:
        if s.firings[instant - 1] != read:
            return Step(f"the sweep does not mark {instant}", s._replace(sweep=Sweep()))
        to = s._replace(sweep=Sweep("publish", instant, read))
        return Step(f"the sweep marks {instant}", firing_to(to, instant, read._replace(state=DISPATCHED)))

    def _declare(self, s: State, instant: int, read: Firing, *, retry: bool) -> Step:
        if s.firings[instant - 1] != read and self.mutant != "verdict-without-compare":
            return Step(f"the verdict on {instant}.{read.attempt} is too late", s)
        again = retry and read.attempt < ATTEMPTS
        after = Firing(PENDING, read.decision, read.attempt + 1) if again else read._replace(state=LOST)
        to = firing_to(s, instant, after)
        to = to._replace(declared=put(s.declared, instant - 1, max(s.declared[instant - 1], read.attempt)))
        return Step(f"{instant}.{read.attempt} is declared {'dead' if again else 'lost'}", to)

    def _other_verdict(self, s: State, instant: int) -> Iterator[Step]:
        there = s.firings[instant - 1]
        if there is None or there.state != RUNNING or there.attempt >= ATTEMPTS:
            return
        alive = s.workers[there.worker] == Worker("runs", instant, there.attempt)
        if not alive or s.faults.verdicts:
            label, to, _, _ = self._declare(s, instant, there, retry=True)
            yield Step(f"another sweep: {label}", spend(to, "verdicts") if alive else to, fault=alive)

    # -- the delete

    def _delete(self, s: State, job: Job) -> Iterator[Step]:
        if s.delete == "not yet":
            to = s._replace(job=job._replace(state="deleting"), delete="1")
            to = to._replace(nodes=tuple(node._replace(current=False) for node in s.nodes))
            yield Step("delete: the job is deleting", to)
        elif s.delete.isdigit():
            instant = int(s.delete)
            there = s.firings[instant - 1]
            to = s._replace(delete=str(instant + 1) if instant < INSTANTS else "answered")
            if there is not None and there.state in NOT_BEGUN and self.mutant != "delete-without-cancel":
                to = firing_to(to, instant, there._replace(state=CANCELLED))
            yield Step(f"delete: cancels {instant}", to)

    # -- what must hold

    def broken(self, before: State, after: State) -> tuple[str, ...]:
        if before.firings is after.firings:
            return ()
        for old, new in zip(before.firings, after.firings, strict=True):
            if old is not None and old.state not in OPEN and (new is None or new.state != old.state):
                return ("final state left",)
        return ()

    def settled(self, state: State) -> bool:
        if state.now < INSTANTS or state.job is None or state.delete.isdigit() or state.sweep.step != "idle":
            return False
        if any(one.step != "idle" for one in (*state.nodes, *state.workers)):
            return False
        if state.job.state == "active":
            return all(there is not None and there.state not in (*OPEN, CANCELLED) for there in state.firings)
        return all(there is None or there.state not in OPEN for there in state.firings)

    def canon(self, state: State) -> State:
        """The nodes are alike, and so are the workers: keep one of the mirror images."""
        if state.nodes[1] < state.nodes[0]:
            state = state._replace(nodes=state.nodes[::-1])
        if state.workers[1] < state.workers[0]:
            firings = tuple(other_worker(there) for there in state.firings)
            sweep = state.sweep._replace(firing=other_worker(state.sweep.firing))
            state = state._replace(workers=state.workers[::-1], firings=firings, sweep=sweep)
        return state
