"""Mending what crashes, lost messages and dead workers leave.  Every node sweeps; doing it twice does no harm."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from cluster.dispatch import Dispatcher
from cluster.policy import LOST_ATTEMPTS, NodePolicy
from cluster.verdicts import judge_dispatched
from jobstore.errors import BrokerUnavailable, Unreadable
from jobstore.events import FiringClosed, FiringFinished, MemberGone, Repaired, WriteRefused
from jobstore.firing import Firing
from jobstore.job import Job, Retry
from jobstore.jobs import readable
from jobstore.ledger import Closing, Ledger
from jobstore.members import Absence, Member, Watch
from jobstore.setaside import put_off, read_own, set_aside
from jobstore.store import Store
from workers.sender import BrokerEpoch
from workers.wire import Message

_BATCH: Final = 500


@dataclass(slots=True)
class Sweep:
    """One node's sweep; ``run_once`` is one round."""

    store: Store
    dispatcher: Dispatcher
    broker: BrokerEpoch
    policy: NodePolicy
    node: str
    workers: Watch = field(init=False)
    nodes: Watch = field(init=False)
    absent: Absence = field(init=False)
    living: list[str] = field(init=False)
    # The broker held no epoch when this node started: what others had put there is gone.
    broker_lost: bool = False
    _unlisted: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        clock = self.store.runtime.clock
        self.workers = Watch(clock, self.policy.worker_dead_after.total_seconds())
        self.nodes = Watch(clock, self.policy.lease.total_seconds())
        self.absent = Absence(clock)
        self.living = [self.node]

    def run_once(self) -> None:
        """Look at nodes, broker, dispatched and running firings once."""
        now = self.store.time.now()
        self.meet_nodes()
        self._broker_lost(now)
        self._unsent(now)
        self.store.runtime.points.reach("sweep.read")
        for where in self.store.cache.ledgers():
            ledger = self.store.ledger(where)
            self._dispatched(ledger, now)
        self._running(now)
        self.store.runtime.points.reach("sweep.after")

    def meet_nodes(self) -> None:
        """Read who lives; what a dead node marked is looked at at once instead of after its wait."""
        living, dead = self.nodes.observe(self.store.nodes.all())
        self.living = sorted({self.node, *(member.id for member in living)})
        for member in dead:
            if member.id == self.node:
                continue
            now = self.store.time.now()
            for where in self.store.cache.ledgers():
                self.store.ledger(where).hasten({"released_by": member.id}, at=now)
            self.store.runtime.events.emit(MemberGone("node", member.id))
        self.store.nodes.remove(member for member in dead if member.id != self.node)

    def _broker_lost(self, now: datetime) -> None:
        try:
            lost = self.broker.check() or self.broker_lost
        except BrokerUnavailable:
            return
        self.broker_lost = False
        if not lost:
            return
        for where in self.store.cache.ledgers():
            count = self.store.ledger(where).hasten({}, at=now)
            if count:
                self.store.runtime.events.emit(Repaired("broker_lost_data", f"{count} firings"))

    def _unsent(self, now: datetime) -> None:
        """Repeat soon what this node's own failed publishes may not have delivered."""
        if not self.dispatcher.breaker.closed():
            return
        ids = [message.firing for message in self.dispatcher.unsent()]
        for where in self.store.cache.ledgers() if ids else ():
            self.store.ledger(where).hasten({"_id": {"$in": ids}}, at=now)

    # -- dispatched and never begun

    def _dispatched(self, ledger: Ledger, now: datetime) -> None:
        if not self.store.cache.trusted() or not self.dispatcher.breaker.closed():
            return
        self.store.routes.refresh()
        messages = []
        for document in ledger.attend("dispatched", until=now, limit=_BATCH):
            try:
                firing = read_own(document)
            except Unreadable as error:
                set_aside(ledger.collection, document, str(error), at=now)
                continue
            if self.store.cache.get(firing.uid) is None:
                put_off(ledger.collection, [document], at=now)
                continue
            message = self._repeat(ledger, firing, now)
            if message is not None:
                messages.append(message)
        self.dispatcher.publish(messages)

    def _repeat(self, ledger: Ledger, firing: Firing, now: datetime) -> Message | None:
        tenant = self.store.cache.get(firing.uid)
        if tenant is None:
            return None
        document = self.store.jobs(tenant.place).fetch(firing.job)
        job = None if document is None else readable(document, tenant.place)
        known = job if isinstance(job, Job) else None
        verdict = judge_dispatched(firing, known, tenant, readable=not isinstance(job, str))
        if verdict.kind == "close" and verdict.action is not None:
            if ledger.close([Closing(firing.id, firing.attempt, verdict.action, verdict.reason)], at=now):
                self.store.runtime.events.emit(FiringClosed(firing.id, verdict.action, verdict.reason))
            return None
        if verdict.kind != "publish":
            ledger.postpone(firing, until=now + self.policy.pending_after, wait=firing.wait)
            return None
        publishes = firing.publishes + 1
        lane = self.store.routes.pool(firing.uid, firing.snapshot.pool)
        routed_to = lane if lane != firing.snapshot.pool else None
        quarantine = "never_begun" if publishes > self.policy.republish_times else None
        until = now + self.policy.republish_wait(publishes)
        if not ledger.republish(firing, until=until, quarantine=quarantine, routed_to=routed_to):
            self.store.runtime.events.emit(WriteRefused("sweep", firing.id))
            return None
        self.store.runtime.events.emit(Repaired("republished", firing.id))
        snapshot = firing.snapshot
        return Message(
            uid=firing.uid,
            firing=firing.id,
            attempt=firing.attempt,
            epoch=firing.epoch,
            pool=lane,
            time_limit_s=snapshot.time_limit_s,
        )

    # -- running, and the worker gone

    def _running(self, now: datetime) -> None:
        living, dead = self.workers.observe(self.store.workers.all())
        by_id = {member.id: member for member in living}
        suspects: list[tuple[Ledger, dict[str, str], str]] = []
        wanted: set[str] = set()
        runs = []
        for where in self.store.cache.ledgers():
            ledger = self.store.ledger(where)
            for run in ledger.running():
                # One forged record must not keep the others from being looked after.
                if isinstance(run.get("worker"), str) and isinstance(run.get("run_token"), str):
                    runs.append((ledger, run))
                    wanted.add(run["worker"])
        missing = self.absent.missing_for([*by_id, *(member.id for member in dead)], wanted)
        limit = self.policy.worker_dead_after.total_seconds()
        gone = {member.id for member in dead} | {name for name, seconds in missing.items() if seconds > limit}
        unlisted: dict[tuple[str, str], int] = {}
        for ledger, run in runs:
            if run["worker"] in gone:
                suspects.append((ledger, run, "worker_gone"))
            elif (member := by_id.get(run["worker"])) is not None and self._dropped(member, run, unlisted):
                suspects.append((ledger, run, "worker_dropped_it"))
        self._unlisted = unlisted
        for ledger, run, reason in suspects:
            self._declare(ledger, run, reason, now)
        for member in dead:
            self.store.runtime.events.emit(MemberGone("worker", member.id))
        self.store.workers.remove(dead)

    def _dropped(self, member: Member, run: dict[str, str], unlisted: dict[tuple[str, str], int]) -> bool:
        """Return whether a living worker has not named this run for two heartbeats: it began and was forgotten.

        One heartbeat is not enough: the worker may have begun just after it listed its runs.
        """
        if run["run_token"] in member.details.get("runs", ()):
            return False
        key = (run["_id"], run["run_token"])
        unlisted[key] = self._unlisted.get(key, member.counter)
        return member.counter >= unlisted[key] + 2

    def _declare(self, ledger: Ledger, run: dict[str, str], reason: str, now: datetime) -> None:
        try:
            firing = ledger.get(run["_id"])
        except Unreadable:
            return
        # The verdict is about this run: another attempt may have begun since, on a worker that lives.
        if firing is None or firing.run_token != run["run_token"]:
            return
        retry_at = lost_retry(firing, now)
        if not ledger.declare_dead(firing, retry_at=retry_at, reason=reason, at=now):
            self.store.runtime.events.emit(WriteRefused("sweep", firing.id))
            return
        state = "lost" if retry_at is None else "pending"
        if firing.cancel is not None:
            state, reason = "cancelled", firing.cancel.reason
        self.store.runtime.events.emit(FiringFinished(firing.id, firing.attempt, state, reason, 0.0))


def lost_retry(firing: Firing, now: datetime) -> datetime | None:
    """Return when a firing whose worker died is tried again, or None if it is lost for good."""
    try:
        retry = Retry.model_validate(firing.snapshot.retry)
    except ValidationError:  # edited by hand: nobody can say how often it is to be tried
        return None
    if retry.on_lost == "fail" or firing.attempt >= max(retry.max_attempts, LOST_ATTEMPTS):
        return None
    return now + timedelta(seconds=0 if firing.attempt == 1 else retry.delay(firing.attempt - 1))
