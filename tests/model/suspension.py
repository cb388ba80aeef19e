"""Suspending a tenant: nothing begins once the suspension was answered, and a resumed tenant loses nothing.

Every process acts for a tenant only within a trust window of having confirmed its configuration.  A suspension raises
the tenant's epoch, waits until nobody can trust the former one and no publish is under way, cancels what has not begun,
and only then answers.  A firing carries the epoch under which it was recorded, and a worker begins it only if the
configuration that it trusts has the same.

With ``bounded`` a node publishes only while it trusts a configuration that agrees with the firing, and a message gets in
within the publish bound or not at all: then nothing is published after the answer either.  Without it a node publishes
at any time, as a process that was stopped at the worst moment would: then the begin alone keeps the rule.

How state is cut short: clocks are counted down, so only what is left of a window is kept; a window that is over forgets
what it held.  A node claims, and attends to the ledger as release and sweep do.
"""

from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple

from tests.model.explore import Model, Step, put, with_message

TRUST = 1
BOUND = 1
PENDING, DISPATCHED, RUNNING = "pending", "dispatched", "running"
SUCCEEDED, CANCELLED, LOST = "succeeded", "cancelled", "lost"
OPEN = (PENDING, DISPATCHED, RUNNING)
ATTEMPTS = 2


class Tenant(NamedTuple):
    active: bool = True
    epoch: int = 1


class Cache(NamedTuple):
    """What a process last confirmed; ``left``: for how many more ticks it may act on it."""

    tenant: Tenant | None = None
    left: int = 0


class Node(NamedTuple):
    """``current``: nobody has claimed since; ``left``: until when a publish that began must have got in."""

    step: str = "idle"
    instant: int = 0
    attempt: int = 0
    epoch: int = 0
    current: bool = False
    left: int = 0


class Worker(NamedTuple):
    step: str = "idle"
    instant: int = 0
    attempt: int = 0
    epoch: int = 0


class Firing(NamedTuple):
    state: str
    epoch: int
    attempt: int = 1


class Call(NamedTuple):
    """The call that suspends; ``epoch``: what it wrote or found; ``left``: how long it still waits."""

    step: str = "idle"
    epoch: int = 0
    left: int = 0
    instant: int = 0


class State(NamedTuple):
    now: int
    tenant: Tenant
    nominal: int
    firings: tuple[Firing | None, ...]
    broker: tuple[tuple[int, int, int], ...]
    nodes: tuple[Node, ...]
    caches: tuple[Cache, ...]
    """Of the nodes, and last of the worker."""
    worker: Worker
    call: Call
    resumes: int
    settles: int
    """For how many more ticks somebody may act on what was so before the suspension was written."""
    crashes: int
    failures: int
    answered: int = 0
    """The epoch of the last suspension that was answered."""
    resumed_at: int = 0


class Suspension(Model):
    """See the module; ``due``: when the instants of the one job come."""

    MUTANTS: ClassVar = {
        "begin-ignores-epoch": "a worker does not compare the epoch of the firing with the one that it confirmed",
        "worker-trusts-for-ever": "a worker begins on a configuration that it confirmed long ago",
        "answers-without-waiting": "a suspension cancels and answers without waiting for the trust windows",
        "cancels-before-waiting": "a suspension cancels first and waits afterwards",
        "answers-without-cancelling": "a suspension waits, and cancels nothing",
        "waits-for-trust-only": "a suspension does not wait for the publish bound",
        "publishes-untrusted": "a node publishes without asking whether it still trusts its configuration",
        "publishes-if-trusted": "a node publishes while it trusts its configuration, whatever that says of the tenant",
        "repeat-answers-at-once": "a suspension repeated after a crash finds the tenant suspended and answers",
        "resumes-at-once": "a tenant is resumed while nodes may still act on what was so before its suspension",
        "cancels-any-epoch": "a suspension that comes late cancels what was recorded after a resume, too",
    }

    def __init__(
        self,
        mutant: str | None = None,
        *,
        resume: bool = True,
        due: tuple[int, ...] = (1, 3),
        nodes: int = 1,
        crashes: int = 1,
        failures: int = 0,
        bounded: bool = False,
    ) -> None:
        super().__init__(mutant)
        self.resume, self.due, self.nodes, self.bounded = resume, due, nodes, bounded
        self.crashes, self.failures = crashes, failures

    def start(self) -> State:
        nodes, caches = (Node(),) * self.nodes, (Cache(),) * (self.nodes + 1)
        firings = (None,) * len(self.due)
        calls = Call(), int(self.resume), 0
        return State(0, Tenant(), 1, firings, (), nodes, caches, Worker(), *calls, self.crashes, self.failures)

    def steps(self, state: State) -> Iterator[Step]:
        yield from self._tick(state)
        for index, cache in enumerate(state.caches):
            if cache != Cache(state.tenant, TRUST + 1):
                who = "the worker" if index == self.nodes else f"node {index}"
                yield Step(f"{who} confirms {tuple(state.tenant)}", _confirmed(state, index))
        for index in range(self.nodes):
            yield from self._node(state, index)
        yield from self._worker(state)
        for instant, there in enumerate(state.firings, 1):
            if there is not None and there.state == RUNNING and state.worker.step != "runs":
                again = there.attempt < ATTEMPTS
                after = Firing(PENDING, there.epoch, there.attempt + 1) if again else there._replace(state=LOST)
                yield Step(f"{instant}.{there.attempt} is declared dead", _firing_to(state, instant, after))
        yield from self._suspend(state)
        yield from self._resume(state)

    def _tick(self, s: State) -> Iterator[Step]:
        caches = tuple(Cache(cache.tenant, cache.left - 1) if cache.left > 1 else Cache() for cache in s.caches)
        if self.mutant == "worker-trusts-for-ever":
            caches = (*caches[:-1], s.caches[-1])
        nodes = tuple(node._replace(left=max(0, node.left - 1)) for node in s.nodes)
        call = s.call._replace(left=max(0, s.call.left - 1))
        now, settles = min(s.now + 1, max(self.due)), max(0, s.settles - 1)
        to = s._replace(now=now, settles=settles, caches=caches, nodes=nodes, call=call)
        if to != s:
            yield Step("time passes", to)

    # -- nodes: claim, record, advance, mark, publish; attend to what was left

    def _node(self, s: State, index: int) -> Iterator[Step]:
        node, who = s.nodes[index], f"node {index}"

        def go(after: Node, to: State = s) -> State:
            return to._replace(nodes=put(to.nodes, index, after))

        if node.step == "idle":
            yield from self._claim(s, index, go)
            yield from self._attend(s, index, go)
            return
        if s.crashes:
            yield Step(f"{who} dies", go(Node(), s._replace(crashes=s.crashes - 1)), fault=True)
        if node.step == "record":
            there = s.firings[node.instant - 1]
            to = s if there is not None else _firing_to(s, node.instant, Firing(PENDING, node.epoch))
            runs = there is None or (there.state, there.attempt) == (PENDING, 1)
            epoch = node.epoch if there is None else there.epoch
            after = node._replace(step="advance", attempt=1 if runs else 0, epoch=epoch)
            yield Step(f"{who} records {node.instant}, epoch {node.epoch}", go(after, to))
        elif node.step == "advance":
            moves = node.current and s.nominal == node.instant
            after = node._replace(step="mark", current=False) if moves and node.attempt else Node()
            to = s._replace(nominal=s.nominal + 1) if moves else s
            yield Step(f"{who} {'advances' if moves else 'may not advance'}", go(after, to))
        elif node.step == "mark":
            there = s.firings[node.instant - 1]
            if there is None or (there.state, there.attempt) != (PENDING, node.attempt):
                yield Step(f"{who} does not mark {node.instant}", go(Node()))
            else:
                to = _firing_to(s, node.instant, there._replace(state=DISPATCHED))
                yield Step(f"{who} marks {node.instant}", go(node._replace(step="publish"), to))
        else:
            yield from self._publish(s, index, go)

    def _claim(self, s: State, index: int, go: Callable[..., State]) -> Iterator[Step]:
        tenant = s.caches[index].tenant
        due = s.nominal <= len(self.due) and self.due[s.nominal - 1] <= s.now
        if tenant is None or not tenant.active or not due or any(node.current for node in s.nodes):
            return
        claim = Node("record", s.nominal, 0, tenant.epoch, current=True)
        yield Step(f"node {index} claims {s.nominal}", go(claim))

    def _attend(self, s: State, index: int, go: Callable[..., State]) -> Iterator[Step]:
        """As release and sweep do: by what the node trusts, cancel, or hand over what was left."""
        tenant = s.caches[index].tenant
        if tenant is None:
            return
        for instant, there in enumerate(s.firings, 1):
            if there is None or there.state not in (PENDING, DISPATCHED):
                continue
            if there.epoch < tenant.epoch:
                seen = Node("cancel", instant, there.attempt)
                to = _cancelled(s, seen.instant, seen.attempt)
                yield Step(f"node {index} cancels {instant}", go(Node(), to))
            elif tenant.active and there.state == PENDING and s.nominal > instant:
                yield Step(f"node {index} sees {instant}", go(Node("mark", instant, there.attempt, there.epoch)))
            elif tenant.active and there.state == DISPATCHED and not _under_way(s, instant, there.attempt):
                yield Step(f"node {index} sees {instant}", go(Node("publish", instant, there.attempt, there.epoch)))

    def _publish(self, s: State, index: int, go: Callable[..., State]) -> Iterator[Step]:
        node, who = s.nodes[index], f"node {index}"
        message = (node.instant, node.attempt, node.epoch)
        if node.step == "publish":
            tenant = s.caches[index].tenant
            agrees = tenant == Tenant(True, node.epoch) or not self.bounded or self.mutant == "publishes-untrusted"
            if self.mutant == "publishes-if-trusted":
                agrees = tenant is not None
            if agrees:
                left = BOUND + 1 if self.bounded else 0
                yield Step(f"{who} begins to publish {node.instant}", go(node._replace(step="sending", left=left)))
            else:
                yield Step(f"{who} may not publish {node.instant}", go(Node()))
        elif self.bounded and not node.left:
            yield Step(f"{who} could not publish {node.instant}", go(Node()))
        else:
            late = self.bounded and node.epoch < s.answered
            to = go(Node(), s._replace(broker=with_message(s.broker, message)))
            yield Step(f"{who} publishes {node.instant}", to, broken=("published after the answer",) if late else ())

    # -- the worker: take, confirm, begin, finish

    def _worker(self, s: State) -> Iterator[Step]:
        worker = s.worker
        if worker.step == "idle":
            for message in s.broker:
                rest = tuple(other for other in s.broker if other != message)
                to = s._replace(broker=rest, worker=Worker("took", *message))
                yield Step(f"the worker takes {message}", to)
            return
        free = s._replace(worker=Worker())
        if s.crashes:
            yield Step("the worker dies", free._replace(crashes=s.crashes - 1), fault=True)
        there = s.firings[worker.instant - 1]
        if worker.step == "took":
            yield from self._confirm(s, free)
        elif there is None or there.attempt != worker.attempt:
            yield Step(f"the worker is refused {worker.instant}", free)
        elif worker.step == "begin":
            yield self._begin(s, free, there)
        else:
            yield Step(f"{worker.instant} succeeds", _firing_to(free, worker.instant, there._replace(state=SUCCEEDED)))
            if s.failures and there.attempt < ATTEMPTS:
                again = Firing(PENDING, there.epoch, there.attempt + 1)
                to = _firing_to(free._replace(failures=s.failures - 1), worker.instant, again)
                yield Step(f"{worker.instant} fails, to be tried again", to, fault=True)

    def _confirm(self, s: State, free: State) -> Iterator[Step]:
        """Compare the message with the configuration as trusted; without trust, confirm it first."""
        worker, tenant = s.worker, s.caches[-1].tenant
        if tenant is None or tenant.epoch < worker.epoch:
            return  # it must confirm, which it may at any time
        same = tenant.epoch == worker.epoch or self.mutant == "begin-ignores-epoch"
        if same and (tenant.active or self.mutant == "begin-ignores-epoch"):
            yield Step("the worker finds the epoch right", s._replace(worker=worker._replace(step="begin")))
        else:
            yield Step("the worker drops a message of another epoch", free)

    def _begin(self, s: State, free: State, there: Firing) -> Step:
        if there.state != DISPATCHED:
            return Step(f"the worker is refused {s.worker.instant}", free)
        broken = ("begun after the answer",) if there.epoch < s.answered else ()
        to = _firing_to(s, s.worker.instant, there._replace(state=RUNNING))
        name = f"{s.worker.instant}.{there.attempt}"
        return Step(f"the worker begins {name}", to._replace(worker=s.worker._replace(step="runs")), broken=broken)

    # -- the calls: suspend (write, wait, cancel, answer), and resume, by somebody else and at any time

    def _suspend(self, s: State) -> Iterator[Step]:
        call = s.call
        if call.step == "idle":
            yield self._write(s)
        elif call.step != "done" and s.crashes:
            # Whoever asked did not get an answer, and asks again.
            yield Step("the suspension dies", s._replace(crashes=s.crashes - 1, call=Call()), fault=True)
        if call.step == "wait" and not call.left:
            cancels = self.mutant not in ("cancels-before-waiting", "answers-without-cancelling")
            waited = call._replace(step="cancel" if cancels else "answer")
            yield Step("the suspension has waited", s._replace(call=waited))
        elif call.step == "cancel" and call.instant < len(s.firings):
            there = s.firings[call.instant]
            to = s._replace(call=call._replace(instant=call.instant + 1))
            if there is not None and (there.epoch < call.epoch or self.mutant == "cancels-any-epoch"):
                to = _cancelled(to, call.instant + 1, there.attempt)
            yield Step(f"the suspension cancels {call.instant + 1}", to)
        elif call.step == "cancel" and self.mutant == "cancels-before-waiting":
            yield Step("the suspension waits", s._replace(call=call._replace(step="wait", left=self._wait())))
        elif call.step in ("cancel", "answer"):
            yield Step("suspended", s._replace(call=Call("done"), answered=max(s.answered, call.epoch)))

    def _write(self, s: State) -> Step:
        """Mark the tenant suspended; if it is already, whoever did it may have died: wait for what is left, cancel."""
        if s.tenant.active:
            s = s._replace(tenant=Tenant(False, s.tenant.epoch + 1), settles=self._wait())
        elif self.mutant == "repeat-answers-at-once":
            return Step("suspended already", s._replace(call=Call("done"), answered=s.tenant.epoch))
        first = self.mutant == "cancels-before-waiting"
        call = Call("cancel" if first else "wait", s.tenant.epoch, 0 if first else s.settles)
        return Step("the tenant is marked suspended", s._replace(call=call))

    def _wait(self) -> int:
        if self.mutant == "answers-without-waiting":
            return 0
        return TRUST + 1 if self.mutant == "waits-for-trust-only" else TRUST + BOUND + 1

    def _resume(self, s: State) -> Iterator[Step]:
        settled = not s.settles or self.mutant == "resumes-at-once"
        if s.resumes and not s.tenant.active and settled:
            active = Tenant(True, s.tenant.epoch + 1)
            yield Step("resumed", s._replace(tenant=active, resumes=s.resumes - 1, resumed_at=s.now))

    # -- what must hold

    def broken(self, before: State, after: State) -> Iterator[str]:
        if before.firings is after.firings:
            return
        for instant, (old, new) in enumerate(zip(before.firings, after.firings, strict=True), 1):
            if old is not None and old.state not in OPEN and (new is None or new.state != old.state):
                yield "final state left"
            ended = new is not None and new.state == CANCELLED and old != new
            if ended and after.tenant.active and 0 < after.resumed_at < self.due[instant - 1]:
                yield "lost"

    def settled(self, state: State) -> bool:
        if state.broker or state.worker.step != "idle" or any(node.step != "idle" for node in state.nodes):
            return False
        if state.call.step != "done" or any(there is not None and there.state in OPEN for there in state.firings):
            return False
        return state.nominal > len(self.due) or not state.tenant.active

    def canon(self, state: State) -> State:
        if self.nodes == 2 and (state.nodes[1], _key(state.caches[1])) < (state.nodes[0], _key(state.caches[0])):
            caches = (state.caches[1], state.caches[0], state.caches[2])
            return state._replace(nodes=state.nodes[::-1], caches=caches)
        return state


def _key(cache: Cache) -> tuple[object, ...]:
    return (cache.left, cache.tenant or ())


def _confirmed(s: State, index: int) -> State:
    return s._replace(caches=put(s.caches, index, Cache(s.tenant, TRUST + 1)))


def _firing_to(s: State, instant: int, firing: Firing) -> State:
    return s._replace(firings=put(s.firings, instant - 1, firing))


def _cancelled(s: State, instant: int, attempt: int) -> State:
    there = s.firings[instant - 1]
    if there is None or there.state not in (PENDING, DISPATCHED) or there.attempt != attempt:
        return s
    return _firing_to(s, instant, there._replace(state=CANCELLED))


def _under_way(s: State, instant: int, attempt: int) -> bool:
    taken = s.worker.step in ("took", "begin") and (s.worker.instant, s.worker.attempt) == (instant, attempt)
    return taken or any(message[:2] == (instant, attempt) for message in s.broker)
