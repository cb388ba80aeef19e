"""What a claimed job owes: pure rules from the job, the store's clock and the live firings to drafts of records.

A plan is a chain: each record says where the next one begins, and the first record inserted is the plan.  So a planner
makes one draft at a time, and on a duplicate goes on from what is stored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobstore.clock import from_posix, to_posix
from jobstore.edits import snapshot_of
from jobstore.firing import Covers, Decision, Draft, OnFull
from jobstore.halt import Gap, GapPolicy
from jobstore.ids import firing_id
from jobstore.job import Job
from jobstore.timetable import Span

# With catch-up ``none`` an instant is on time for this long where the job gives no grace of its own, in seconds.
_GRACE: Final = 60.0
_TICK: Final = 1e-6

_Verdict = tuple[Decision, str, OnFull]


@dataclass(frozen=True, slots=True)
class Slots:
    """What a job's slots look like to the planner: how many are taken, and whether a firing waits already."""

    live: int
    buffered: bool = False


def first_head(job: Job) -> float | None:
    """Return the first instant that is not in the ledger yet, POSIX seconds.

    A nominal that was set back from outside must not be decided a second time.
    """
    if job.nominal is None or job.decided_through is None or job.nominal > job.decided_through:
        return job.nominal
    following = job.timetable.after(from_posix(job.decided_through))
    return None if following is None else to_posix(following)


def plan_head(job: Job, head: float, now: float, *, slots: Slots, epoch: int, gap: Gap | None = None) -> Draft:
    """Return the record owed at ``head``, which is due.

    Args:
        job: As claimed.
        head: A nominal instant, POSIX seconds, ``<= now``.
        now: The store's clock when the job was claimed.
        slots: What the ledger says of the job's slots.
        epoch: The tenant's, as confirmed.
        gap: What becomes of instants that passed while the tenant was halted.
    """
    verdict: _Verdict
    if gap is not None and head <= gap.through:
        (covers, following, missed), verdict = _in_gap(job, head, min(now, gap.through), gap.policy)
    else:
        covers, following, missed = _RANGES[job.spec.catch_up](job, from_posix(head), from_posix(now))
        verdict = decide(job, covers.through, now, slots)
    if missed:
        verdict = "missed", missed, "skip"
    decision, reason, on_full = verdict
    return Draft(
        id=firing_id(job.uid, job.id, job.incarnation, from_posix(head)),
        uid=job.uid,
        job=job.id,
        incarnation=job.incarnation,
        kind="scheduled",
        nominal=head,
        covers=covers,
        plan_next=None if following is None else to_posix(following),
        decision=decision,
        reason=reason,
        snapshot=snapshot_of(job),
        epoch=epoch,
        on_full=on_full,
        waits=decision == "run" and slots.live >= job.spec.max_instances,
    )


def decide(job: Job, through: float, now: float, slots: Slots) -> _Verdict:
    """Return what becomes of a firing whose last instant is ``through``: run, missed or skipped, why, and if it waits."""
    grace = job.spec.misfire_grace_s
    if grace is not None and now - through > grace:
        return "missed", "misfire_grace", "skip"
    if job.spec.catch_up == "all":
        return "run", "", "wait"
    if slots.live < job.spec.max_instances:
        return "run", "", "wait" if job.spec.overlap == "buffer_one" else "skip"
    if job.spec.overlap == "buffer_one":
        return ("skipped", "buffer_full", "skip") if slots.buffered else ("run", "", "wait")
    return "skipped", "overlap", "skip"


_Range = tuple[Covers, datetime | None, str]


def _latest(job: Job, head: datetime, now: datetime) -> _Range:
    """One firing answers for everything that was missed."""
    span = job.timetable.span(head, now)
    return _covers(head, span), span.following, ""


def _all(job: Job, head: datetime, now: datetime) -> _Range:
    """Each instant has a firing of its own; what is older than the newest ``catch_up_limit`` is missed as one range."""
    span, limit = job.timetable.span(head, now), job.spec.catch_up_limit
    if span.count > limit or not span.exact:
        kept = _newest(job, head, now, limit)
        older = job.timetable.span(head, _before(kept))
        return _covers(head, older), kept, "catch_up_limit"
    one = Covers(start=to_posix(head), through=to_posix(head), count=1)
    return one, job.timetable.after(head), ""


def _none(job: Job, head: datetime, now: datetime) -> _Range:
    """Only what is still within the grace runs; the rest is missed as one range."""
    span = job.timetable.span(head, now)
    grace = _GRACE if job.spec.misfire_grace_s is None else job.spec.misfire_grace_s
    if to_posix(now) - to_posix(span.through) > grace:
        return _covers(head, span), span.following, "catch_up_none"
    if span.through == head:
        return _covers(head, span), span.following, ""
    older = job.timetable.span(head, _before(span.through))
    return _covers(head, older), span.through, "catch_up_none"


_RANGES: Final[dict[str, Callable[[Job, datetime, datetime], _Range]]] = {"latest": _latest, "all": _all, "none": _none}


def _in_gap(job: Job, head: float, through: float, policy: GapPolicy) -> tuple[_Range, _Verdict]:
    """Return the range of instants that passed while the tenant was halted, and what becomes of it."""
    if policy == "all":
        return _all(job, from_posix(head), from_posix(through)), ("run", "", "wait")
    found = _latest(job, from_posix(head), from_posix(through))
    return found, ("run", "", "wait") if policy == "latest" else ("skipped", "tenant_halted", "skip")


def _covers(head: datetime, span: Span) -> Covers:
    return Covers(start=to_posix(head), through=to_posix(span.through), count=span.count, exact=span.exact)


def _before(instant: datetime) -> datetime:
    return from_posix(to_posix(instant) - _TICK)


def _newest(job: Job, head: datetime, now: datetime, count: int) -> datetime:
    """Return the instant from which on exactly ``count`` instants are due at ``now``; there are more than that.

    By halving the time between, so that the work does not grow with what was missed.
    """
    low, high = to_posix(head), to_posix(now)
    while high - low > _TICK:
        middle = (low + high) / 2
        nominal = job.timetable.first(from_posix(middle))
        if nominal is None or nominal > now:
            high = middle
            continue
        found = job.timetable.span(nominal, now)
        if found.exact and found.count == count:
            return nominal
        if found.exact and found.count < count:
            high = middle
        else:
            low = middle
    last = job.timetable.first(from_posix(high))
    return now if last is None else last
