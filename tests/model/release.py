"""Release: what waits goes when it may, with a fence of its own, and never after a stop was answered.

A one-shot job (firing 0 is its only instant) and a manual trigger (firing 1) that share one slot; retries, declared
deaths, pause, resume and delete.  Every attempt is admitted by compare-and-set on the job (state, ``stop``, slots as
read; fence + 1), then marked with its fence, then published.  A retry keeps its slot and is admitted again.  Slots are
a cache: a finished firing stays in them until the claim path or a release finds them full and looks it up.

How state is cut short: a marked firing is a pending one with a fence, and begin asks only for the attempt, so that
nothing but the order of admission, mark and message protects it here; fences count by rank; the sweep reads the job in
the same step in which it acts, which is harmless because a stop is never taken back.
"""

from collections.abc import Callable, Iterator
from typing import ClassVar

from tests.model.explore import Model, Step, put, with_message
from tests.model.release_state import (
    ATTEMPTS,
    CANCELLED,
    LOST,
    MANUAL,
    OPEN,
    PENDING,
    RUNNING,
    SCHEDULED,
    SUCCEEDED,
    Actor,
    Faults,
    Firing,
    Job,
    State,
    Stop,
    Sweep,
    Worker,
    firing_to,
    read_job,
    spend,
    under_way,
    with_small_fences,
    worker_to,
)

Go = Callable[[Actor, State], State]


class Release(Model):
    """See the module; ``script``: what is asked of the job meanwhile."""

    MUTANTS: ClassVar = {
        "removed-at-last-advance": "a job that has run out of instants is removed at once",
        "sweep-publishes-waiting": "the sweep publishes a retry that waits as if it had been released",
        "manual-by-timetable": "the sweep ends a manual firing because the timetable has ended",
        "retry-frees-slot": "a failed attempt gives its slot back",
        "look-drops-waiting": "looking up the slots drops what waits",
        "retry-stays-admitted": "a further attempt is not admitted again",
        "mark-after-publish": "the message goes out before the mark",
        "marks-any-attempt": "the mark does not ask for the attempt that was admitted",
        "admission-ignores-stop": "admission does not ask whether the job was stopped",
        "stop-by-state": "what was stopped is judged by the present state, so a resume revives it",
        "pause-cancels-manual": "the sweep cancels every firing of a paused job",
        "stop-without-cancel": "a stop answers without cancelling what has not begun",
        "advance-ignores-slots": "the advance writes the slots without comparing what it read",
    }

    def __init__(
        self,
        mutant: str | None = None,
        *,
        script: tuple[str, ...] = (),
        manual: bool = True,
        releases: int = 1,
        **faults: int,
    ) -> None:
        super().__init__(mutant)
        self.script, self.manual, self.releases, self.faults = script, manual, releases, Faults(**faults)

    def start(self) -> State:
        actors = Actor(), (Actor(),) * self.releases
        trigger = "not yet" if self.manual else "done"
        return State(Job("active"), (None, None), (), *actors, (Worker(), Worker()), None, trigger, Stop(), self.faults)

    def steps(self, state: State) -> Iterator[Step]:
        yield from self._node(state)
        for index in range(len(state.releases)):
            yield from self._release(state, index)
        for index, firing in enumerate(state.firings):
            if firing is not None and firing.state == PENDING and not firing.ready:
                yield Step(f"{index} has waited", firing_to(state, index, firing._replace(ready=True)))
        yield from self._broker(state)
        for index in range(len(state.workers)):
            yield from self._worker(state, index)
        yield from self._sweep(state)
        yield from self._trigger(state)
        yield from self._stop(state)

    # -- the claim path: claim, look the slots up if they are full, record, advance and admit

    def _node(self, s: State) -> Iterator[Step]:
        node = s.node
        if node.step == "idle":
            if s.job.state == "active":
                slots = s.job.slots
                claim = Actor("look" if slots else "record", 0, 0, s.job.revision, read_job(s.job), slots)
                yield Step("the node claims", s._replace(node=claim))
            return
        if s.faults.crashes:
            yield Step("the node dies", spend(s._replace(node=Actor()), "crashes"), fault=True)
        if node.step == "look":
            live = tuple(slot for slot in node.live if self._holds_slot(s, slot))
            yield Step("the node looks up the slots", s._replace(node=node._replace(step="record", live=live)))
        elif node.step == "record":
            to = s if s.firings[SCHEDULED] else firing_to(s, SCHEDULED, Firing(PENDING, node.revision))
            there = to.firings[SCHEDULED]
            waits = there is not None and there.state == PENDING and not there.fence
            after = node._replace(step="advance", attempt=there.attempt if there is not None and waits else 0)
            yield Step("the node records 0", to._replace(node=after))
        elif node.step == "advance":
            yield self._advance(s, node)
        else:
            yield from self._hand_over(s, node, "the node", lambda after, to: to._replace(node=after))

    def _advance(self, s: State, node: Actor) -> Step:
        job, slots = s.job, node.read.slots if node.read is not None else ()
        same = job.slots == slots or self.mutant == "advance-ignores-slots"
        if job.state != "active" or job.revision != node.revision or not same:
            return Step("the node may not advance", s._replace(node=Actor()))
        state = "gone" if self.mutant == "removed-at-last-advance" else "completed"
        if not node.attempt or (node.live and SCHEDULED not in node.live):
            moved = job._replace(state=state, slots=node.live)
            return Step("the node advances, 0 waits", s._replace(job=moved, node=Actor()))
        moved = job._replace(state=state, slots=(SCHEDULED,), fence=job.fence + 1)
        after = Actor("mark", SCHEDULED, node.attempt, fence=moved.fence)
        return Step("the node advances and admits 0", s._replace(job=moved, node=after))

    # -- release: read the firing, read the job, look the slots up if they are full, admit

    def _release(self, s: State, index: int) -> Iterator[Step]:
        actor, who = s.releases[index], f"release {index}"

        def go(after: Actor, to: State = s) -> State:
            return to._replace(releases=put(to.releases, index, after))

        if actor.step == "idle":
            for number, firing in enumerate(s.firings):
                if firing is not None and firing.state == PENDING and firing.ready and not firing.fence:
                    seen = Actor("read job", number, firing.attempt, firing.revision)
                    yield Step(f"{who} reads {number}", go(seen))
            return
        if s.faults.crashes:
            yield Step(f"{who} dies", spend(go(Actor()), "crashes"), fault=True)
        if actor.step == "read job":
            seen = actor._replace(read=read_job(s.job), live=s.job.slots)
            if not self._admissible(actor, s.job):
                yield Step(f"{who} may not admit {actor.firing}", go(Actor()))
            else:
                yield Step(f"{who} reads the job", go(seen._replace(step="admit" if self._room(actor, s) else "look")))
        elif actor.step == "look":
            live = tuple(slot for slot in actor.live if self._holds_slot(s, slot))
            after = Actor() if live else actor._replace(step="admit", live=())
            yield Step(f"{who} looks up the slots, finds {live} held", go(after))
        elif actor.step == "admit":
            yield self._admit(s, actor, index)
        else:
            yield from self._hand_over(s, actor, who, go)

    def _room(self, actor: Actor, s: State) -> bool:
        anyway = self.mutant == "retry-frees-slot" and actor.attempt > 1
        return not s.job.slots or actor.firing in s.job.slots or anyway

    def _admissible(self, actor: Actor, job: Job) -> bool:
        """Return whether the firing may go, by what the job says."""
        if self.mutant == "admission-ignores-stop":
            return job.state != "gone" and (actor.firing == MANUAL or job.state != "active")
        if self.mutant == "stop-by-state":
            stopped = job.state == "deleting" or (actor.firing == SCHEDULED and job.state == "paused")
        else:
            stopped = job.state == "deleting" or actor.revision < job.stop
        return not stopped and job.state != "gone" and (actor.firing == MANUAL or job.state == "completed")

    def _holds_slot(self, s: State, index: int) -> bool:
        """Return whether the ledger says that the firing lives: waiting for a retry is living."""
        firing = s.firings[index]
        if firing is None or firing.state not in OPEN:
            return False
        return firing.state == RUNNING or self.mutant != "look-drops-waiting"

    def _admit(self, s: State, actor: Actor, index: int) -> Step:
        who, read, job = f"release {index}", actor.read, s.job
        careless = self.mutant == "admission-ignores-stop" and read is not None and job.slots == read.slots
        if read_job(job) != read and not careless:
            return Step(f"{who} admission refused", s._replace(releases=put(s.releases, index, Actor())))
        slots = tuple(sorted({*actor.live, actor.firing}))
        moved = job._replace(slots=slots, fence=job.fence + 1)
        after = Actor("mark", actor.firing, actor.attempt, fence=moved.fence)
        to = s._replace(job=moved, releases=put(s.releases, index, after))
        return Step(f"{who} admits {actor.firing}.{actor.attempt}", to)

    # -- what both end in: mark, publish

    def _hand_over(self, s: State, actor: Actor, who: str, go: Go) -> Iterator[Step]:
        firing, name = s.firings[actor.firing], f"{actor.firing}.{actor.attempt}"
        message = (actor.firing, actor.attempt)
        sent = s._replace(broker=with_message(s.broker, message))
        if actor.step == "mark" and self.mutant == "mark-after-publish":
            yield Step(f"{who} publishes {name}", go(actor._replace(step="mark late"), sent))
        elif actor.step in ("mark", "mark late"):
            marked = (
                firing is not None and firing.state == PENDING and (firing.attempt, firing.fence) == (actor.attempt, 0)
            )
            if self.mutant == "marks-any-attempt":
                marked = firing is not None and firing.state == PENDING
            if firing is None or not marked:
                yield Step(f"{who} does not mark {name}", go(Actor(), s))
                return
            after = actor._replace(step="publish", fence=0) if actor.step == "mark" else Actor()
            to = firing_to(s, actor.firing, firing._replace(fence=actor.fence))
            yield Step(f"{who} marks {name} with fence {actor.fence}", go(after, to))
        else:
            yield Step(f"{who} publishes {name}", go(Actor(), sent))
            if s.faults.losses:
                yield Step(f"{who} cannot publish {name}", spend(go(Actor(), s), "losses"), fault=True)

    # -- broker and workers

    def _broker(self, s: State) -> Iterator[Step]:
        for message in s.broker:
            taken = s._replace(broker=tuple(other for other in s.broker if other != message))
            if s.faults.losses:
                yield Step(f"the broker loses {message}", spend(taken, "losses"), fault=True)
            for index, worker in enumerate(s.workers):
                if worker.step == "idle":
                    took = Worker("took", *message)
                    yield Step(f"worker {index} takes {message}", worker_to(taken, index, took))
                    if s.faults.copies:
                        copied = spend(worker_to(s, index, took), "copies")
                        yield Step(f"worker {index} takes a copy of {message}", copied, fault=True)
                    break  # the workers are alike

    def _worker(self, s: State, index: int) -> Iterator[Step]:
        worker, who = s.workers[index], f"worker {index}"
        if worker.step == "idle":
            return
        if s.faults.crashes:
            yield Step(f"{who} dies", spend(worker_to(s, index, Worker()), "crashes"), fault=True)
        firing = s.firings[worker.firing]
        name = f"{worker.firing}.{worker.attempt}"
        state = PENDING if worker.step == "took" else RUNNING
        if firing is None or (firing.state, firing.attempt) != (state, worker.attempt):
            yield Step(f"{who} is refused {name}", worker_to(s, index, Worker()))
        elif worker.step == "took":
            yield self._begin(s, index, firing)
        else:
            free = worker_to(s, index, Worker())
            yield Step(f"{who} finishes {name}", firing_to(free, worker.firing, firing._replace(state=SUCCEEDED)))
            if s.faults.failures and worker.attempt < ATTEMPTS:
                to = self._again(spend(free, "failures"), worker.firing, firing, ready=False)
                yield Step(f"{who} fails {name}, to be tried again", to, fault=True)

    def _begin(self, s: State, index: int, firing: Firing) -> Step:
        number = s.workers[index].firing
        wrong = {
            "no fence": not firing.fence,
            "fence does not grow": 0 < firing.fence <= s.last_fence,
            "early": not firing.ready,
            "begun twice": s.begun[number] >= firing.attempt,
            "slots": any(other is not None and other.state == RUNNING for other in s.firings),
            "begun after a stop": s.stop.answered and firing.revision < s.job.stop,
        }
        to = worker_to(s, index, Worker("runs", number, firing.attempt))
        to = firing_to(to, number, firing._replace(state=RUNNING))
        to = to._replace(begun=put(s.begun, number, firing.attempt), last_fence=max(s.last_fence, firing.fence))
        broken = tuple(name for name, seen in wrong.items() if seen)
        return Step(f"worker {index} begins {number}.{firing.attempt}", to, broken=broken)

    def _again(self, s: State, index: int, firing: Firing, *, ready: bool) -> State:
        """Make a running firing wait for its next attempt: not admitted any more, its slot kept."""
        fence = firing.fence if self.mutant == "retry-stays-admitted" else 0
        if self.mutant == "retry-frees-slot":
            s = s._replace(job=s.job._replace(slots=tuple(slot for slot in s.job.slots if slot != index)))
        return firing_to(s, index, Firing(PENDING, firing.revision, firing.attempt + 1, fence, ready))

    # -- sweep: read the firing; then, with the job, cancel it, publish it again or leave it

    def _sweep(self, s: State) -> Iterator[Step]:
        if s.sweep is None:
            for index, firing in enumerate(s.firings):
                if firing is not None and firing.state == RUNNING:
                    yield from self._verdict(s, index, firing)
                elif firing is not None and firing.state == PENDING:
                    marked = bool(firing.fence) or (self.mutant == "sweep-publishes-waiting" and firing.attempt > 1)
                    if not (marked and under_way(s, index, firing.attempt)):
                        seen = Sweep(index, firing.attempt, firing.revision, marked)
                        yield Step(f"the sweep reads {index}", s._replace(sweep=seen))
            return
        done = s._replace(sweep=None)
        if s.faults.crashes:
            yield Step("the sweep dies", spend(done, "crashes"), fault=True)
        yield self._act(s, done, s.sweep)

    def _verdict(self, s: State, index: int, firing: Firing) -> Iterator[Step]:
        alive = Worker("runs", index, firing.attempt) in s.workers
        if alive and not s.faults.verdicts:
            return
        to = spend(s, "verdicts") if alive else s
        again = firing.attempt < ATTEMPTS
        to = self._again(to, index, firing, ready=True) if again else firing_to(to, index, firing._replace(state=LOST))
        yield Step(f"{index}.{firing.attempt} is declared {'dead' if again else 'lost'}", to, fault=alive)

    def _act(self, s: State, done: State, seen: Sweep) -> Step:
        index, firing, job = seen.firing, s.firings[seen.firing], s.job
        stopped = seen.revision < job.stop
        if self.mutant in ("stop-by-state", "pause-cancels-manual"):
            stopped = job.state == "paused" and (index == SCHEDULED or self.mutant == "pause-cancels-manual")
        ended = self.mutant == "manual-by-timetable" and index == MANUAL and job.state == "completed"
        if job.state in ("deleting", "gone") or stopped or (ended and not seen.marked and MANUAL not in job.slots):
            if firing is not None and (firing.state, firing.attempt) == (PENDING, seen.attempt):
                done = firing_to(done, index, firing._replace(state=CANCELLED))
            return Step(f"the sweep cancels {index}", done)
        if seen.marked:
            sent = done._replace(broker=with_message(s.broker, (index, seen.attempt)))
            return Step(f"the sweep publishes {index}.{seen.attempt}", sent)
        return Step(f"the sweep leaves {index}", done)

    # -- what is asked of the job: a manual firing; pause, resume, delete

    def _trigger(self, s: State) -> Iterator[Step]:
        stopping = s.stop.cancels >= 0
        if s.trigger == "not yet" and s.job.state in ("active", "paused", "completed") and not stopping:
            yield Step("the trigger reads the job", s._replace(trigger=str(s.job.revision)))
        elif s.trigger.isdigit():
            done = s._replace(trigger="done")
            yield Step("the trigger writes 1", firing_to(done, MANUAL, Firing(PENDING, int(s.trigger))))
            if s.faults.crashes:
                yield Step("the trigger dies", spend(done, "crashes"), fault=True)

    def _stop(self, s: State) -> Iterator[Step]:
        stop, job = s.stop, s.job
        over = s._replace(stop=stop._replace(done=len(self.script), cancels=-1))
        if stop.cancels >= 0:
            yield self._cancel(s)
            if s.faults.crashes:
                yield Step("the stop dies", spend(over, "crashes"), fault=True)
        elif stop.done < len(self.script):
            what = self.script[stop.done]
            revision = job.revision + 1
            if what == "resume":
                state = "completed" if job.state == "paused" else job.state
                to = s._replace(
                    job=job._replace(state=state, revision=revision), stop=stop._replace(done=stop.done + 1)
                )
                yield Step("resume from now on", to)
            elif what == "delete" or job.state == "active":
                state = "deleting" if what == "delete" else "paused"
                stopped = job._replace(state=state, revision=revision, stop=revision)
                yield Step(f"{what}: the job is {state}", s._replace(job=stopped, stop=stop._replace(cancels=0)))
            else:
                yield Step(f"{what}: nothing to stop", over)

    def _cancel(self, s: State) -> Step:
        index = s.stop.cancels
        firing = s.firings[index]
        stop = s.stop._replace(cancels=index + 1) if index == 0 else Stop(s.stop.done + 1, -1, answered=True)
        to = s._replace(stop=stop)
        waits = firing is not None and firing.state == PENDING and firing.revision < s.job.stop
        if firing is not None and waits and self.mutant != "stop-without-cancel":
            to = firing_to(to, index, firing._replace(state=CANCELLED))
        return Step(f"the stop cancels {index}" + (" and answers" if stop.answered else ""), to)

    # -- what must hold

    def broken(self, before: State, after: State) -> Iterator[str]:
        if before.firings is after.firings and before.job is after.job:
            return
        for old, new in zip(before.firings, after.firings, strict=True):
            if old is not None and old.state not in OPEN and (new is None or new.state != old.state):
                yield "final state left"
            if new is not None and new.state == CANCELLED and new.revision >= after.job.stop:
                yield "lost"

    def settled(self, state: State) -> bool:
        if state.broker or state.sweep or any(actor.step != "idle" for actor in (state.node, *state.releases)):
            return False
        if any(worker.step != "idle" for worker in state.workers) or state.stop.cancels >= 0:
            return False
        if state.trigger.isdigit() or state.job.state == "active":
            return False
        return all(firing is None or firing.state not in OPEN for firing in state.firings)

    def canon(self, state: State) -> State:
        if state.workers[1] < state.workers[0]:
            state = state._replace(workers=state.workers[::-1])
        if len(state.releases) > 1 and _key(state.releases[1]) < _key(state.releases[0]):
            state = state._replace(releases=state.releases[::-1])
        return with_small_fences(state)


def _key(actor: Actor) -> tuple[object, ...]:
    return (*actor[:4], actor.read or (), *actor[5:])
