"""Edits of a job: the compare-and-set that changes it, and settling the instants that the change took away.

A change of the timetable takes away instants that were due and not yet in the ledger.  They are named in the job
itself (``owed``), by the same write, so that whoever comes next can finish what the editor began: nothing further is
planned before they are settled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pymongo import ReturnDocument

from jobstore.clock import from_posix, to_posix
from jobstore.connection import Document, Documents, stored
from jobstore.documents import LEASE, read_job, spec_document
from jobstore.errors import InvariantBroken
from jobstore.firing import Covers, Draft, Firing, Snapshot
from jobstore.ids import firing_id
from jobstore.job import Job, JobSpec, Owed
from jobstore.ledger import RETENTION, Closing, Ledger
from jobstore.lifecycle import FiringAction, JobAction, after, job_after, job_before
from jobstore.tenant import Place
from jobstore.timetable import Timetable

SUPERSEDED: Final = "timetable_changed"
PAUSED: Final = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What an edit makes of a job, beside its next revision.

    ``spec`` None keeps the definition.  ``nominal`` is the first instant from now on, POSIX seconds; with
    ``timetable`` False it is the one that was read.  ``owed`` are the instants taken away.  ``stops`` is True for an
    edit after which nothing recorded before may begin.
    """

    action: JobAction | None
    nominal: float | None
    spec: JobSpec | None = None
    timetable: bool = False
    owed: Owed | None = None
    stops: bool = False

    def fields(self, job: Job, at: datetime) -> Document:
        """Return the fields to set."""
        revision = job.revision + 1
        state = job.state if self.action is None else job_after(self.action)
        due = to_posix(at) if self.owed is not None else self.nominal
        found: Document = {
            "revision": revision,
            "updated_at": at,
            "state": state,
            "nominal": self.nominal,
            # A claim had moved it to the lease's end; one that is owed something is looked at at once.
            "next_run_time": due if state == "active" else None,
        }
        if self.spec is not None:
            found["spec"] = spec_document(self.spec)
        if self.timetable:
            found["timetable_rev"] = revision
        if self.stops:
            found["stop_rev"] = revision
        if self.owed is not None:
            found["owed"] = {
                "from": self.owed.start,
                "through": self.owed.through,
                "admitted": list(self.owed.admitted),
            }
        return found


@stored
def apply_edit(jobs: Documents, place: Place, job: Job, edit: Edit, *, at: datetime) -> Job | None:
    """Change the job if it is still as read: the job afterwards, or None if somebody else was quicker.

    Nominal and slots are part of the comparison, because what is owed was computed from them: a claimer may have
    moved the job on without a new revision.
    """
    states: list[str | None] = [job.state]
    if edit.action is not None:
        states = [state for state in job_before(edit.action) if state == job.state]
    found = jobs.find_one_and_update(
        {
            "_id": place.key(job.id),
            "incarnation": job.incarnation,
            "revision": job.revision,
            "state": {"$in": states},
            "nominal": job.nominal,
            "slots": list(job.slots),
            "owed": None,
        },
        {
            "$set": edit.fields(job, at),
            "$inc": {"claim_token": 1},
            "$unset": dict.fromkeys((*LEASE, "quarantine"), ""),
        },
        return_document=ReturnDocument.AFTER,
    )
    return None if found is None else read_job(found, place)


@stored
def clear_owed(jobs: Documents, place: Place, job: Job, *, decided: float) -> Job | None:
    """Note that what the job owed is settled up to ``decided``: the job afterwards, or None if it has changed.

    The job is due again when its nominal comes; whoever holds a claim on it loses it, for it has nothing to do.
    """
    through = decided if job.decided_through is None else max(decided, job.decided_through)
    found = jobs.find_one_and_update(
        {
            "_id": place.key(job.id),
            "incarnation": job.incarnation,
            "revision": job.revision,
            "state": job.state,
            "nominal": job.nominal,
            "owed": {"$ne": None},
        },
        {
            "$set": {"decided_through": through, "next_run_time": job.nominal if job.state == "active" else None},
            "$inc": {"claim_token": 1},
            "$unset": dict.fromkeys((*LEASE, "owed"), ""),
        },
        return_document=ReturnDocument.AFTER,
    )
    return None if found is None else read_job(found, place)


def settle(ledger: Ledger, job: Job, *, epoch: int, at: datetime, former: Timetable | None = None) -> float:
    """Record the instants that the job still owes from an edit, as superseded (after a pause: skipped).

    Only writes records, and doing it twice does no harm; clearing ``owed`` is the caller's.  Records that an earlier
    planner left in the range stay the plan for what they cover; those that were not admitted are ended.

    Args:
        ledger: Where the job's firings are.
        job: As read, with ``owed``.
        epoch: The tenant's.
        at: The store's time.
        former: The timetable that named the instants, for counting them; without it the count is a lower bound.

    Returns:
        The last instant that is in the ledger now, POSIX seconds: at least ``owed.through``, later where a record
        reaches further.  The next plan begins after it.
    """
    owed = job.owed
    if owed is None:
        raise ValueError(f"job {job.id} owes nothing")
    head: float | None = owed.start
    decided = owed.through
    while head is not None and head <= owed.through:
        draft = _taken_away(job, owed, head, epoch, former)
        if ledger.insert(_final(draft, at)):
            return decided
        there = ledger.get(draft.id)
        if there is None:  # it expired between the two: insert again
            continue
        _end(ledger, job, owed, there, at)
        if there.plan_next is not None and there.plan_next <= head:
            raise InvariantBroken(f"the firing {there.id} leads back from {head} to {there.plan_next}: this is a bug")
        decided, head = max(decided, there.covers.through), there.plan_next
    return decided


def _end(ledger: Ledger, job: Job, owed: Owed, there: Firing, at: datetime) -> None:
    """End a record of the former timetable, unless it may already be on its way."""
    admitted = there.fence is not None or there.id in owed.admitted
    if there.state == "pending" and not admitted and there.snapshot.revision < job.revision:
        action, reason = _why(job)
        ledger.close([Closing(there.id, there.attempt, action, reason)], at=at)


def _why(job: Job) -> tuple[FiringAction, str]:
    # A resume owes what passed during the pause; it leaves timetable_rev as it was.
    return ("skip", PAUSED) if job.stop_rev > job.timetable_rev else ("supersede", SUPERSEDED)


def _taken_away(job: Job, owed: Owed, head: float, epoch: int, former: Timetable | None) -> Draft:
    action, reason = _why(job)
    follows = job.nominal is not None and job.nominal > owed.through
    return Draft(
        id=firing_id(job.uid, job.id, job.incarnation, from_posix(head)),
        uid=job.uid,
        job=job.id,
        incarnation=job.incarnation,
        kind="scheduled",
        nominal=head,
        covers=_covers(head, owed.through, former),
        plan_next=job.nominal if follows else None,
        decision="skipped" if action == "skip" else "superseded",
        reason=reason,
        snapshot=snapshot_of(job),
        epoch=epoch,
    )


def _covers(head: float, through: float, former: Timetable | None) -> Covers:
    if head == through:
        return Covers(start=head, through=through, count=1)
    if former is None:  # both ends are instants of it
        return Covers(start=head, through=through, count=2, exact=False)
    span = former.span(from_posix(head), from_posix(through))
    return Covers(start=head, through=through, count=span.count, exact=span.exact)


def _final(draft: Draft, at: datetime) -> Document:
    document = draft.document(created_at=at, attend_at=at, wait="advance")
    del document["attend_at"]
    state = after("skip" if draft.decision == "skipped" else "supersede")
    return document | {"state": state, "finished_at": at, "expire_at": at + RETENTION}


def snapshot_of(job: Job) -> Snapshot:
    """Return what an attempt of the job runs, as of its present revision."""
    spec = job.spec
    return Snapshot(
        revision=job.revision,
        target=spec.target.model_dump(),
        args=spec.args,
        kwargs=spec.kwargs,
        pool=spec.pool,
        time_limit_s=spec.time_limit_s,
        retry=spec.retry.model_dump(),
    )


def same_spec(one: JobSpec, other: JobSpec) -> bool:
    """Return whether both are stored as the same document; the order of keys means nothing."""
    return bool(_canonical(spec_document(one)) == _canonical(spec_document(other)))


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ("mapping", sorted((key, _canonical(part)) for key, part in value.items()))
    if isinstance(value, list | tuple):
        return ("list", [_canonical(part) for part in value])
    if isinstance(value, datetime):  # as it is stored: whole milliseconds, UTC where nothing else is said
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return ("datetime", aware.astimezone(UTC).isoformat(timespec="milliseconds"))
    # 1, 1.0 and True are equal in Python and different to the code that gets them.
    return (type(value).__name__, value)
