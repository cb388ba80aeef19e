"""Planning claimed jobs and recording what they owe: one record a job and round, all tenants in one insert."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from cluster.planner import Slots, first_head, plan_head
from cluster.policy import NodePolicy
from cluster.work import Work, by_ledger
from jobstore.edits import settle, snapshot_of
from jobstore.errors import HorariumError, StoreUnavailable
from jobstore.events import JobQuarantined
from jobstore.firing import Draft
from jobstore.ledger import Recorded
from jobstore.store import Store

# ``latest`` owes one record; each further round follows one link of a chain.  What is owed beyond that stays due: the
# job is advanced as far as it was recorded, and claimed again.
_ROUNDS: Final = 20
_SLOT_WAIT: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Turns claimed jobs into records of the ledger."""

    store: Store
    policy: NodePolicy

    def run(self, works: Sequence[Work], *, trusted_until: float) -> None:
        """Record what ``works`` owe, at most some rounds of it; a work whose record failed is marked as faulted."""
        self._count_live(works)
        for work in works:
            self._start(work)
        for _ in range(_ROUNDS):
            owing = [work for work in works if work.owes()]
            if not owing or not self._trusted(trusted_until):
                break
            for ledger, group in by_ledger(owing).items():
                self._round(ledger, group)

    def _trusted(self, until: float) -> bool:
        return self.store.runtime.clock.monotonic() < until and self.store.cache.trusted()

    def _count_live(self, works: Sequence[Work]) -> None:
        """Look the slots up in the ledger: they are a cache; what is final or missing counts no more."""
        for ledger, group in by_ledger(works).items():
            live = self.store.ledger(ledger).live({slot for work in group for slot in work.job.holding()})
            for work in group:
                work.live = [slot for slot in work.job.slots if slot in live]
                waiting = work.job.buffered
                work.buffered = waiting if waiting in live and waiting not in work.live else None

    def _start(self, work: Work) -> None:
        try:
            if work.job.owed is None:
                work.head = first_head(work.job)
                return
            # An edit of the timetable left instants of the old one: they are settled before any further plan.
            ledger = self.store.ledger(work.tenant.place)
            work.decided = settle(ledger, work.job, epoch=work.tenant.epoch, at=self.store.time.now())
            work.settled = True
            work.head = first_head(replace(work.job, decided_through=work.decided))
            self.store.runtime.points.reach("settle.after")
        except HorariumError as error:
            self._give_up(work, error)

    def _round(self, where: tuple[str, str], works: Sequence[Work]) -> None:
        drafted = [(work, draft) for work in works if (draft := self._draft(work)) is not None]
        ledger, now = self.store.ledger(where), self.store.time.now()
        recorded = ledger.record(
            [draft for _, draft in drafted],
            at=now,
            sweep_at=now + self.policy.pending_after,
            slot_at=now + _SLOT_WAIT,
        )
        self.store.runtime.points.reach("record.after")
        for (work, _), outcome in zip(drafted, recorded, strict=True):
            self._go_on(work, outcome)

    def _draft(self, work: Work) -> Draft | None:
        head = work.head
        if head is None:
            return None
        try:
            slots = Slots(len(work.live), work.buffered is not None)
            tenant = work.tenant
            return plan_head(work.job, head, work.now, slots=slots, epoch=tenant.epoch, gap=tenant.gap)
        except HorariumError as error:
            self._give_up(work, error)
            return None

    def _go_on(self, work: Work, outcome: Recorded) -> None:
        stored = outcome.stored
        if outcome.fault is not None:
            work.faulted = True
        elif stored is None:
            work.take(outcome.draft)
        else:
            if stored.state == "pending" and stored.snapshot.revision < work.job.revision:
                ledger = self.store.ledger(work.tenant.place)
                ledger.refresh(stored.id, older_than=work.job.revision, snapshot=snapshot_of(work.job))
            work.follow(stored)

    def _give_up(self, work: Work, error: HorariumError) -> None:
        """Set aside a job whose trigger does not answer; the others go on."""
        work.faulted = True
        if isinstance(error, StoreUnavailable):
            return
        reason = f"{type(error).__name__}: {error}"
        if self.store.jobs(work.tenant.place).quarantine(dict(work.document), reason):
            self.store.runtime.events.emit(JobQuarantined(work.tenant.uid, work.job.id, reason))
