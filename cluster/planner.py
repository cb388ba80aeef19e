"""What a claimed job owes: pure rules from the job, the store's clock and the live firings to drafts of records.

A plan is a chain: each record says where the next one begins, and the first record inserted is the plan.  So a planner
makes one draft at a time, and on a duplicate goes on from what is stored.
"""

from jobstore.clock import from_posix, to_posix
from jobstore.edits import snapshot_of
from jobstore.firing import Covers, Decision, Draft
from jobstore.ids import firing_id
from jobstore.job import Job


def first_head(job: Job) -> float | None:
    """Return the first instant that is not in the ledger yet, POSIX seconds.

    A nominal that was set back from outside must not be decided a second time.
    """
    if job.nominal is None or job.decided_through is None or job.nominal > job.decided_through:
        return job.nominal
    following = job.timetable.after(from_posix(job.decided_through))
    return None if following is None else to_posix(following)


def plan_head(job: Job, head: float, now: float, *, live: int, epoch: int) -> Draft:
    """Return the record owed at ``head``, which is due: catch-up ``latest`` covers all up to ``now`` with one.

    Args:
        job: As claimed.
        head: A nominal instant, POSIX seconds, ``<= now``.
        now: The store's clock when the job was claimed.
        live: How many firings of the job hold a slot.
        epoch: The tenant's, as confirmed.
    """
    span = job.timetable.span(from_posix(head), from_posix(now))
    through = to_posix(span.through)
    decision, reason = decide(job, through, now, live)
    return Draft(
        id=firing_id(job.uid, job.id, job.incarnation, from_posix(head)),
        uid=job.uid,
        job=job.id,
        incarnation=job.incarnation,
        kind="scheduled",
        nominal=head,
        covers=Covers(start=head, through=through, count=span.count, exact=span.exact),
        plan_next=None if span.following is None else to_posix(span.following),
        decision=decision,
        reason=reason,
        snapshot=snapshot_of(job),
        epoch=epoch,
    )


def decide(job: Job, through: float, now: float, live: int) -> tuple[Decision, str]:
    """Return what becomes of a firing whose last instant is ``through``: run, missed or skipped, and why."""
    grace = job.spec.misfire_grace_s
    if grace is not None and now - through > grace:
        return "missed", "misfire_grace"
    if live >= job.spec.max_instances:
        return "skipped", "overlap"
    return "run", ""
