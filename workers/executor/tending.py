"""Bringing runs to an end whose process, message or worker is gone.  Every executor tends; doing it twice is harmless."""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from logging import Logger
from typing import Final

from jobstore.clock import Clock
from jobstore.errors import BrokerUnavailable
from jobstore.firing import Firing
from jobstore.ledger import Closing
from jobstore.members import Absence, Watch
from workers.executor.desk import Open
from workers.executor.handover import UNDECIDED_AFTER, Handover, message_of, republish_wait

_BATCH: Final = 500


@dataclass(slots=True)
class Tending:
    """One executor's rounds."""

    handover: Handover
    clock: Clock
    logger: Logger
    worker_dead_after_s: float
    workers: Watch = field(init=False)
    absent: Absence = field(init=False)
    _unlisted: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workers = Watch(self.clock, self.worker_dead_after_s)
        self.absent = Absence(self.clock)

    def run_once(self, opened: Open) -> None:
        """Release what waits, send again what was never begun."""
        self._release(opened)
        self._republish(opened)

    def watch(self, opened: Open) -> None:
        """Look whether the broker forgot its messages, and whether what runs still has a worker that lives."""
        now = opened.store.time.now()
        try:
            if opened.epoch.check():
                opened.ledger.hasten({"tenant": opened.uid, "target.kind": "reference"}, at=now)
        except BrokerUnavailable as error:
            self.logger.info("the broker was not asked what it remembers: %s", error)
        self._bury(opened, now)

    def _release(self, opened: Open) -> None:
        now = opened.store.time.now()
        pending = sorted(opened.executed.pending(limit=_BATCH), key=lambda firing: (firing.job, firing.incarnation))
        for (job, alias), group in groupby(pending, key=lambda firing: (firing.job, firing.incarnation)):
            due = {firing.id for firing in group if self._is_due(firing, now)}
            if not due:
                continue
            ranked = opened.executed.open_of(job, alias)
            closing = [firing for firing in ranked if firing.id in due and firing.wait == "paused"]
            opened.ledger.close([Closing(one.id, one.attempt, "cancel", "job_stopped") for one in closing], at=now)
            # Only by rank, not by a count: two executors that look at once release the same record, not two.
            first = [
                firing
                for rank, firing in enumerate(ranked)
                if firing.id in due and firing not in closing and rank < _most(firing)
            ]
            missed = [firing for firing in first if firing.decision == "missed"]
            opened.ledger.close([Closing(one.id, one.attempt, "miss", one.reason) for one in missed], at=now)
            self.handover.publish(
                opened, self.handover.mark(opened, [firing for firing in first if firing not in missed])
            )

    def _is_due(self, firing: Firing, now: datetime) -> bool:
        if firing.wait == "slot":
            return True
        if firing.wait == "retry":
            return firing.attend_at is not None and firing.attend_at <= now
        # Recorded, and then nothing: its process died, or was refused by the job store.
        return now - firing.created_at > UNDECIDED_AFTER

    def _republish(self, opened: Open) -> None:
        now = opened.store.time.now()
        messages = []
        for firing in opened.executed.unbegun(until=now, limit=_BATCH):
            until = now + republish_wait(firing.publishes + 1)
            if opened.ledger.republish(firing, until=until, quarantine=None):
                messages.append(message_of(firing))
        self.handover.publish(opened, messages)

    def _bury(self, opened: Open, now: datetime) -> None:
        living, dead = self.workers.observe(opened.store.workers.all())
        by_id = {member.id: member for member in living}
        running = opened.executed.running()
        wanted = {firing.worker or "" for firing in running}
        missing = self.absent.missing_for([*by_id, *(member.id for member in dead)], wanted)
        gone = {member.id for member in dead}
        gone |= {name for name, seconds in missing.items() if seconds > self.worker_dead_after_s}
        unlisted: dict[str, int] = {}
        for firing in running:
            token = firing.run_token or ""
            member = by_id.get(firing.worker or "")
            reason = "worker_gone" if firing.worker in gone else ""
            if member is not None and token not in member.details.get("runs", ()):
                # One heartbeat is not enough: it may have begun just after it listed its runs.
                unlisted[token] = self._unlisted.get(token, member.counter)
                reason = "worker_dropped_it" if member.counter >= unlisted[token] + 2 else ""
            if reason and opened.ledger.declare_dead(firing, retry_at=None, reason=reason, at=now):
                self.logger.warning('The worker of a run of job "%s" is gone: %s', firing.job, firing.worker)
        self._unlisted = unlisted
        opened.store.workers.remove(dead)


def _most(firing: Firing) -> int:
    return int(firing.snapshot.target.get("most", 1))
