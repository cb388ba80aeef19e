"""What becomes of an open firing, as the release and the sweep judge it.  Pure.

The firing was read first, then the job: read the other way round, a firing that was recorded and advanced in between
would look as if nobody cared for it.
"""

from dataclasses import dataclass
from typing import Final, Literal

from jobstore.firing import CLOSING, Firing
from jobstore.job import Job
from jobstore.lifecycle import FiringAction
from jobstore.tenant import Tenant

Kind = Literal["leave", "close", "admit", "publish"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a firing: leave it, close it by ``action``, admit it, or publish it again."""

    kind: Kind
    action: FiringAction | None = None
    reason: str = ""


LEAVE = Verdict("leave")
# A draining tenant gets no new firings; what was recorded is brought to its end, retries too.
_GOES_ON: Final = ("active", "draining")


def _is_anothers(firing: Firing) -> bool:
    """Return whether the executor for APScheduler made it and tends it: no job of ours could answer for it.

    It carries its arguments with the reference; a firing of an adopted job names the reference alone.
    """
    target = firing.snapshot.target
    return target.get("kind") == "reference" and "arguments" in target


def judge_pending(firing: Firing, job: Job | None, tenant: Tenant, *, readable: bool = True) -> Verdict:
    """Judge a firing that is recorded and not released; ``readable`` is False when the job cannot be read."""
    if not readable or _is_anothers(firing):
        return LEAVE
    stopped = _stopped(firing, job, tenant)
    if stopped is not None:
        return stopped
    if job is None:
        raise ValueError("a firing without a job is stopped")
    if tenant.state not in _GOES_ON or job.state == "quarantined":
        return LEAVE
    if firing.kind == "scheduled" and firing.attempt == 1:
        if _ahead(firing, job):
            return LEAVE
        if firing.snapshot.revision < job.timetable_rev and firing.id not in job.slots:
            return Verdict("close", "supersede", "timetable_changed")
    if firing.decision != "run":
        return Verdict("close", CLOSING[firing.decision], firing.reason)
    return Verdict("admit")


def judge_dispatched(firing: Firing, job: Job | None, tenant: Tenant, *, readable: bool = True) -> Verdict:
    """Judge a firing that was marked and has not begun in time."""
    if _is_anothers(firing):
        return LEAVE
    stopped = _stopped(firing, job, tenant) if readable else None
    if stopped is not None:
        return stopped
    return Verdict("publish") if tenant.state in _GOES_ON else LEAVE


def _stopped(firing: Firing, job: Job | None, tenant: Tenant) -> Verdict | None:
    """Return the cancellation of a firing whose job or tenant was stopped after it was recorded."""
    if firing.epoch != tenant.epoch or tenant.state == "deleted":
        return Verdict("close", "cancel", "tenant_stopped")
    if job is None or job.incarnation != firing.incarnation:
        return Verdict("close", "cancel", "job_gone")
    if job.state == "deleting":
        return Verdict("close", "cancel", "job_deleted")
    if firing.snapshot.revision < job.stop_rev:
        return Verdict("close", "cancel", "job_stopped")
    return None


def _ahead(firing: Firing, job: Job) -> bool:
    """Return whether the job has not moved past this firing: the claim path repeats it, and nobody else may."""
    if job.owed is not None and job.owed.start <= firing.nominal <= job.owed.through:
        return True
    return job.nominal is not None and job.nominal <= firing.nominal
