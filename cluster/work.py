"""One claimed job on its way through a pass: what is owed, what was recorded, where the job goes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.dispatch import Admitted
from jobstore.advance import Advance
from jobstore.clock import to_posix
from jobstore.firing import CLOSING, Decision, Draft, Firing, OnFull
from jobstore.job import Job
from jobstore.ledger import Closing
from jobstore.tenant import Tenant


@dataclass(slots=True)
class Work:
    """A claimed job and the decisions made about it so far.

    ``head`` is the next instant to record, ``decided`` the last one recorded, both POSIX seconds; ``live`` the ids
    that hold a slot in the ledger, ``buffered`` one that waits for a slot.  A faulted work is not advanced: its claim runs out and is repeated.
    """

    tenant: Tenant
    document: Mapping[str, Any]
    job: Job
    now: float
    live: list[str] = field(default_factory=list)
    buffered: str | None = None
    head: float | None = None
    decided: float | None = None
    recorded: int = 0
    faulted: bool = False
    advanced: bool = False
    settled: bool = False
    admitted: list[Admitted] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Return a name for logs."""
        return f"{self.tenant.uid}/{self.job.id}"

    def owes(self) -> bool:
        """Return whether an instant that has come is not recorded yet."""
        return not self.faulted and self.head is not None and self.head <= self.now

    def take(self, draft: Draft) -> None:
        """Go on from a record that this pass inserted."""
        self.recorded += 1
        self.decided, self.head = draft.covers.through, draft.plan_next
        self._settle(draft.id, 1, draft.decision, draft.reason, draft.on_full, draft.covers.through, draft.epoch)

    def follow(self, stored: Firing) -> None:
        """Go on from a record that was there already: it is the plan, whatever this pass would have decided."""
        self.decided, self.head = stored.covers.through, stored.plan_next
        if stored.state == "pending" and stored.fence is None:
            through, epoch = stored.covers.through, stored.epoch
            self._settle(stored.id, stored.attempt, stored.decision, stored.reason, stored.on_full, through, epoch)

    def _settle(
        self, firing: str, attempt: int, decision: Decision, reason: str, on_full: OnFull, due: float, epoch: int
    ) -> None:
        """Close a record that does not run; admit one that does, or let it wait, or skip it, as the slots are now."""
        if decision == "run" and firing not in self.live and len(self.live) >= self.job.spec.max_instances:
            if on_full == "wait":
                self.buffered = firing
                return
            decision, reason = "skipped", "overlap"
        if decision != "run":
            self.closings.append(Closing(firing, attempt, CLOSING[decision], reason))
            return
        if firing not in self.live:
            self.live.append(firing)
        self.admitted.append(
            Admitted(
                uid=self.tenant.uid,
                job=self.job.id,
                firing=firing,
                attempt=attempt,
                fence=self.job.fence + len(self.admitted) + 1,
                epoch=epoch,
                due=due,
                pool=self.job.spec.pool,
                time_limit_s=self.job.spec.time_limit_s,
            )
        )

    def advance(self) -> Advance:
        """Return where the job goes."""
        decided = self.decided if self.decided is not None else self.job.decided_through
        return Advance(
            job=self.job,
            nominal=self.head,
            decided_through=decided,
            slots=tuple(self.live),
            fence=self.job.fence + len(self.admitted),
            buffered=self.buffered,
            settled=self.settled,
        )

    def remaining(self) -> float | None:
        """Return when something is due at this job next, as far as this pass knows; POSIX seconds."""
        return self.head if self.advanced else self.job.nominal


def begin_work(tenant: Tenant, document: Mapping[str, Any], job: Job) -> Work:
    """Return the work of a job just claimed."""
    if job.claimed_at is None:
        raise ValueError(f"{job.id} was not claimed")
    return Work(tenant=tenant, document=document, job=job, now=to_posix(job.claimed_at))


def by_ledger(works: Iterable[Work]) -> dict[tuple[str, str], list[Work]]:
    """Group works by the ledger that records their firings."""
    groups: dict[tuple[str, str], list[Work]] = {}
    for work in works:
        groups.setdefault(work.tenant.place.ledger, []).append(work)
    return groups


def by_tenant(works: Sequence[Work]) -> dict[str, list[Work]]:
    """Group works by tenant uid."""
    groups: dict[str, list[Work]] = {}
    for work in works:
        groups.setdefault(work.tenant.uid, []).append(work)
    return groups
