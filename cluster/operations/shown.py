"""Stored things as views."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from cluster.operations.views import CoversView, FiringView, JobRow, JobView, TenantView
from cluster.operations.words import why
from jobstore.clock import from_posix
from jobstore.errors import TriggerStuck
from jobstore.firing import Firing
from jobstore.job import Job
from jobstore.jobs import readable
from jobstore.tenant import Tenant
from jobstore.timetable import Timetable, preview

UPCOMING: Final = 5
_OFTEN: Final = timedelta(hours=4)
_FAR: Final = 400


def tenant_view(tenant: Tenant, *, jobs: int | None = None, next_due: float | None = None) -> TenantView:
    """Return the view of a tenant."""
    place = tenant.place
    return TenantView(
        tenant=tenant.id,
        uid=tenant.uid,
        state=tenant.state,
        time_zone=tenant.defaults.zone,
        pool=tenant.defaults.pool,
        weight=tenant.weight,
        epoch=tenant.epoch,
        revision=tenant.revision,
        database=place.database,
        jobs_collection=place.jobs,
        firings_collection=place.firings,
        prefix=place.prefix,
        codec=place.codec,
        plan=tenant.plan,
        halt=None if tenant.halt is None else tenant.halt.fields(),
        created_at=tenant.created_at,
        jobs=jobs,
        next_due=None if next_due is None else from_posix(next_due),
    )


def job_row(tenant: Tenant, document: Mapping[str, Any]) -> JobRow:
    """Return one line for a job, readable or not."""
    job = readable(dict(document), tenant.place)
    if isinstance(job, str):
        return JobRow(
            tenant=tenant.id,
            job=tenant.place.job(str(document["_id"])),
            state="quarantined" if document.get("state") == "quarantined" else "unreadable",
            when="",
            target="",
            pool="",
            next_at=None,
            revision=None,
            description="",
            reason=job,
        )
    return JobRow(
        tenant=tenant.id,
        job=job.id,
        state=job.state,
        when=job.timetable.describe(),
        target=target_text(job.spec.target.model_dump()),
        pool=job.spec.pool,
        next_at=next_of(job),
        revision=job.revision,
        description=job.spec.description,
        reason=quarantine_reason(document),
    )


def job_view(tenant: Tenant, job: Job, *, now: datetime, reason: str | None, last: Firing | None = None) -> JobView:
    """Return a job whole."""
    spec = job.spec
    return JobView(
        tenant=tenant.id,
        job=job.id,
        state=job.state,
        when=job.timetable.describe(),
        trigger=spec.trigger,
        target=spec.target.model_dump(),
        args=spec.args,
        kwargs=spec.kwargs,
        pool=spec.pool,
        description=spec.description,
        catch_up=spec.catch_up,
        catch_up_limit=spec.catch_up_limit,
        overlap=spec.overlap,
        max_instances=spec.max_instances,
        misfire_grace_s=spec.misfire_grace_s,
        time_limit_s=spec.time_limit_s,
        retry=spec.retry.model_dump(),
        revision=job.revision,
        next=upcoming(job, now),
        reason=reason,
        created_at=job.created_at,
        last=None if last is None else firing_view(tenant, last),
    )


def firing_view(tenant: Tenant, firing: Firing) -> FiringView:
    """Return a firing as people and programs read it."""
    due = from_posix(firing.covers.through)
    begun, ended = firing.started_at, firing.finished_at
    return FiringView(
        tenant=tenant.id,
        job=firing.job,
        firing=firing.id,
        kind=firing.kind,
        nominal=firing.instant,
        covers=CoversView(
            start=from_posix(firing.covers.start), through=due, count=firing.covers.count, exact=firing.covers.exact
        ),
        state=firing.state,
        reason=firing.reason,
        why=why(firing),
        attempt=firing.attempt,
        fence=firing.fence,
        revision=firing.snapshot.revision,
        target=firing.snapshot.target,
        pool=firing.snapshot.pool,
        node=firing.released_by,
        worker=firing.worker,
        created_at=firing.created_at,
        released_at=firing.released_at,
        started_at=begun,
        finished_at=ended,
        # Of the last attempt: a retry's start says nothing about punctuality.
        late_s=round((begun - due).total_seconds(), 3) if begun is not None and firing.attempt == 1 else None,
        seconds=round((ended - begun).total_seconds(), 3) if begun is not None and ended is not None else None,
        result=firing.result,
        error=firing.error,
        attempts=firing.attempts,
        progress=firing.noted.progress,
        log=firing.noted.lines,
        log_dropped=firing.noted.dropped,
        once=firing.noted.once,
    )


def upcoming(job: Job, now: datetime, count: int = UPCOMING) -> tuple[datetime, ...]:
    """Return the next instants of a job: none where nothing is going to fire, from now on where it is paused."""
    if job.state == "active" and job.nominal is not None:
        begin = from_posix(job.nominal)
        if begin > now:
            return (begin, *following(job.timetable, begin, count - 1))
    if job.state in ("active", "paused"):
        return following(job.timetable, now, count)
    return ()


def following(timetable: Timetable, instant: datetime, count: int) -> tuple[datetime, ...]:
    """Return at most ``count`` instants later than ``instant``."""
    found: list[datetime] = []
    try:
        while len(found) < count and (after := timetable.after(found[-1] if found else instant)) is not None:
            found.append(after)
    except TriggerStuck:  # it has no next instant to show
        pass
    return tuple(found)


def clock_notes(timetable: Timetable, now: datetime) -> tuple[str, ...]:
    """Return a sentence for the next instant that a change of the clocks moves, leaves out or repeats, of each kind."""
    near = following(timetable, now, UPCOMING)
    if len(near) < UPCOMING or near[-1] - now < _OFTEN:
        return ()  # what fires so often follows real time
    found: dict[str, str] = {}
    try:
        for occurrence in preview(timetable, now, _FAR):
            if "dst_gap" in occurrence.marks:
                how = "does not fire then" if occurrence.skipped else "fires just after"
                found.setdefault("gap", f"{occurrence.local}: the clocks go forward over the time, so it {how}")
            if "dst_overlap" in occurrence.marks:
                found.setdefault(
                    "overlap", f"{occurrence.local}: the clocks go back, and the time comes twice that day"
                )
    except TriggerStuck:
        return ()
    return tuple(found.values())


def next_of(job: Job) -> datetime | None:
    """Return when the job is due next, None unless it is active."""
    return from_posix(job.nominal) if job.state == "active" and job.nominal is not None else None


def target_text(target: Mapping[str, Any]) -> str:
    """Return a target as people write it: a function's name with parentheses."""
    return f"{target['name']}()" if target["kind"] == "function" else str(target["name"])


def quarantine_reason(document: Mapping[str, Any]) -> str | None:
    """Return why a job is in quarantine."""
    note = document.get("quarantine")
    return str(note.get("reason")) if isinstance(note, Mapping) else None
