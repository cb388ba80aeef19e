"""One submitted job on its way to the workers: recorded, begun, marked, published.

The record in the ledger is the decision: its id is derived from tenant, store, job and run time, so a run that is
submitted again, by this process or another, is the same record and runs once.  In this order a crash leaves a record
that ``tending`` brings to its end, or nothing, and then the scheduler still owes the run:

1. *Record*, state ``pending``.
2. *Begin*: a shared job store moves the job past the run, or says that this process is too late.
3. *Mark* ``dispatched``, if fewer than ``max_instances`` of the job's open records are older.
4. *Publish*.  If the broker does not take it, the exception goes to the scheduler's loop, and the record stays.
"""

import platform
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from apscheduler.executors.base import MaxInstancesReachedError

from jobstore.apscheduler.runs import Runs
from jobstore.clock import from_posix, to_posix
from jobstore.errors import BrokerUnavailable, StoreUnavailable
from jobstore.firing import Covers, Draft, Firing, Snapshot
from jobstore.ids import firing_id
from jobstore.job import Retry
from jobstore.ledger import Closing, Mark
from workers.executor.answers import Answers, Asked
from workers.executor.desk import Desk, Open
from workers.references import sealed
from workers.wire import Message

# A record whose process died between record and mark is taken up after this.
UNDECIDED_AFTER: Final = timedelta(seconds=60)
REPUBLISH_AFTER: Final = timedelta(seconds=60)
_REPUBLISH_MOST: Final = timedelta(minutes=10)
_SLOT_WAIT: Final = timedelta(seconds=1)
# APScheduler does not repeat a run that failed, nor one whose worker died.
_ONCE: Final = Retry(max_attempts=1, on_lost="fail").model_dump()


@dataclass(slots=True)
class Handover:
    """Hands the jobs of one scheduler to the workers of one pool."""

    desk: Desk
    answers: Answers
    _unsent: dict[str, Message] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def submit(self, job: Any, alias: str, run_times: Sequence[datetime]) -> None:
        """Hand over the runs of a job.

        Raises:
            MaxInstancesReachedError: The job has as many open runs as it may; nothing is owed of these.
            BrokerUnavailable: The broker did not take them; they are recorded, and sent when it does.
            StoreUnavailable: MongoDB did not answer; nothing was decided, or it is found when they come again.
        """
        state = job.__getstate__()
        opened = self.desk.open()
        epoch = opened.tenant().epoch
        named = run_times.named() if isinstance(run_times, Runs) else list(run_times)
        drafts = {self._id(opened, job.id, alias, run_time): run_time for run_time in named}
        self._require_room(opened, job, alias, set(drafts))
        now = opened.store.time.now()
        recorded = opened.ledger.record(
            [
                self._draft(opened, state, alias, run_time, epoch, missed=_is_missed(job, run_time, now))
                for run_time in named
            ],
            at=now,
            sweep_at=now + UNDECIDED_AFTER,
        )
        faults = [one.fault for one in recorded if one.fault is not None]
        if faults:
            raise StoreUnavailable(f"the runs of job {job.id!r} could not be recorded: {faults[0]}")
        for firing, run_time in drafts.items():
            self.answers.await_(firing, Asked(job.id, alias, run_time))
        begun = self._begin(opened, run_times, drafts)
        self._release(opened, job, alias, begun)

    def _require_room(self, opened: Open, job: Any, alias: str, own: set[str]) -> None:
        others = [firing for firing in opened.executed.open_of(job.id, alias) if firing.id not in own]
        if len(others) >= job.max_instances:
            raise MaxInstancesReachedError(job)

    def _id(self, opened: Open, job_id: str, alias: str, run_time: datetime) -> str:
        # In place of an incarnation, which APScheduler's jobs do not have.
        return firing_id(opened.uid, job_id, alias, run_time)

    def _draft(
        self, opened: Open, state: Mapping[str, Any], alias: str, run_time: datetime, epoch: int, *, missed: bool
    ) -> Draft:
        settings = self.desk.settings
        nominal = to_posix(run_time)
        firing = self._id(opened, state["id"], alias, run_time)
        grace = state["misfire_grace_time"]
        target = sealed(
            opened.key,
            firing,
            name=state["func"],
            args=state["args"],
            kwargs=state["kwargs"],
            start_by=None if grace is None else nominal + grace + settings.queue_grace_s,
            most=state["max_instances"],
        )
        return Draft(
            id=firing,
            uid=opened.uid,
            job=state["id"],
            incarnation=alias,
            kind="scheduled",
            nominal=nominal,
            covers=Covers(start=nominal, through=nominal, count=1),
            plan_next=None,
            decision="missed" if missed else "run",
            reason="misfire_grace" if missed else "",
            snapshot=Snapshot(
                revision=0,
                target=target,
                args=(),
                kwargs={},
                pool=settings.pool,
                time_limit_s=settings.time_limit_s,
                retry=_ONCE,
            ),
            epoch=epoch,
            on_full="wait",
        )

    def _begin(self, opened: Open, run_times: Sequence[datetime], drafts: Mapping[str, datetime]) -> set[str]:
        """Begin the runs in the job store, if it wants to know; return those that may be made."""
        if not isinstance(run_times, Runs):
            return set(drafts)
        begun = set()
        for firing, run_time in drafts.items():
            if not run_times.begin(run_time):
                break
            begun.add(firing)
        for firing in drafts.keys() - begun:
            # Taken over, edited or removed.  Whoever took it over finds this record, and may have begun it: so it is
            # not closed, only noted, and closed when nobody takes it up.
            self.answers.forget(firing)
            left = opened.ledger.get(firing)
            if left is not None and left.state == "pending":
                opened.ledger.postpone(left, until=opened.store.time.now() + UNDECIDED_AFTER, wait="paused")
        return begun

    def _release(self, opened: Open, job: Any, alias: str, begun: set[str]) -> None:
        ranked = opened.executed.open_of(job.id, alias)
        now = opened.store.time.now()
        closings: list[Closing] = []
        first: list[Firing] = []
        waiting: list[Firing] = []
        for rank, firing in enumerate(ranked):
            if firing.id not in begun or firing.state != "pending":
                continue
            if firing.decision == "missed":
                closings.append(Closing(firing.id, firing.attempt, "miss", firing.reason))
            else:
                (first if rank < job.max_instances else waiting).append(firing)
        opened.ledger.close(closings, at=now)
        if waiting and not first and not any(firing.id in begun for firing in ranked[: job.max_instances]):
            # Another process filled the slots since we looked.
            full = [Closing(firing.id, firing.attempt, "skip", "max_instances") for firing in waiting]
            opened.ledger.close(full, at=now)
            for firing in waiting:
                self.answers.forget(firing.id)
            raise MaxInstancesReachedError(job)
        for firing in waiting:
            opened.ledger.postpone(firing, until=now + _SLOT_WAIT, wait="slot")
        with self._lock:
            again = [self._unsent[firing] for firing in begun if firing in self._unsent]
        self.publish(opened, [*self.mark(opened, first), *again])

    def mark(self, opened: Open, firings: Sequence[Firing]) -> list[Message]:
        """Mark what may run; return the messages of those that nobody else has marked."""
        now = opened.store.time.now()
        marks = [Mark(firing.id, firing.attempt, _fence(firing)) for firing in firings]
        node = f"apscheduler@{platform.node()}"
        marked = opened.ledger.mark(marks, node=node, at=now, republish_at=now + REPUBLISH_AFTER)
        return [message_of(firing) for firing in firings if firing.id in marked]

    def publish(self, opened: Open, messages: Sequence[Message]) -> None:
        """Hand messages to the broker (raises BrokerUnavailable: then they are sent again soon)."""
        if not messages:
            return
        ids = [message.firing for message in messages]
        try:
            opened.sender.send(messages)
        except BrokerUnavailable:
            with self._lock:
                self._unsent |= {message.firing: message for message in messages}
            opened.ledger.hasten({"_id": {"$in": ids}}, at=opened.store.time.now())
            raise
        with self._lock:
            for firing in ids:
                self._unsent.pop(firing, None)


def message_of(firing: Firing) -> Message:
    """Return the message that tells a worker to begin."""
    return Message(
        uid=firing.uid,
        firing=firing.id,
        attempt=firing.attempt,
        epoch=firing.epoch,
        pool=firing.snapshot.pool,
        time_limit_s=firing.snapshot.time_limit_s,
    )


def republish_wait(publishes: int) -> timedelta:
    """Return how long to wait for a begin after the ``publishes``-th publish."""
    return min(_REPUBLISH_MOST, REPUBLISH_AFTER * (1 << min(publishes - 1, 10)))


def _fence(firing: Firing) -> int:
    # Grows with every run of the job, and every attempt at one, without a counter that somebody has to keep.
    return round(firing.nominal * 1_000_000) + firing.attempt - 1


def _is_missed(job: Any, run_time: datetime, now: datetime) -> bool:
    grace = job.misfire_grace_time
    return grace is not None and now - from_posix(to_posix(run_time)) > timedelta(seconds=grace)
