"""Pausing, resuming and deleting a job: answered when nothing that was recorded before can begin."""

from cluster.operations.common import NotAllowed, Room, open_room, until_won
from cluster.operations.editing import (
    cancel_unbegun,
    count_running,
    edit_job,
    from_now_on,
    is_over,
    taken_away,
)
from cluster.operations.views import StopResult
from jobstore.clock import to_posix
from jobstore.connection import Document
from jobstore.edits import Edit
from jobstore.errors import NotFound
from jobstore.job import Job
from jobstore.jobs import readable
from jobstore.lifecycle import JobAction, job_before
from jobstore.store import Store


def pause(store: Store, tenant_id: str, job_id: str) -> StopResult:
    """Stop a job from firing until it is resumed; what has not begun is cancelled before this returns.

    Raises:
        NotFound: There is no such tenant or job.
        NotAllowed: The job is completed, in quarantine or being deleted.
    """
    room = open_room(store, tenant_id, job_id)
    room.own_jobs()

    def attempt() -> tuple[bool, Job] | None:
        job = room.read(room.find(job_id))
        if job.state == "paused":
            return False, job
        _allow(job, "pause")
        changed = edit_job(room, job, Edit(action="pause", nominal=job.nominal, stops=True))
        return None if changed is None else (True, changed)

    changed, job = until_won(attempt, f"job {job_id!r}")
    # Again when it was paused already: whoever did it may have died before the cancelling.
    cancelled = cancel_unbegun(room, job.id, job.incarnation, stop_rev=job.stop_rev, reason="job_stopped")
    return _stopped(room, "changed" if changed else "unchanged", job.id, job.state, cancelled)


def resume(store: Store, tenant_id: str, job_id: str) -> StopResult:
    """Let a paused job fire from now on; the ledger says which instants passed meanwhile (raises as ``pause``)."""
    room = open_room(store, tenant_id, job_id)
    room.own_jobs()

    def attempt() -> tuple[bool, Job] | None:
        job = room.read(room.find(job_id))
        if job.state == "active":
            return False, job
        _allow(job, "resume")
        now = to_posix(store.time.now())
        following = from_now_on(job.timetable, job, now)
        # With nothing left, the nominal stays: it is in the ledger then, and the next claim completes the job.
        nominal = job.nominal if following is None else following
        changed = edit_job(
            room, job, Edit(action="resume", nominal=nominal, owed=taken_away(job, now)), former=job.timetable
        )
        return None if changed is None else (True, changed)

    changed, job = until_won(attempt, f"job {job_id!r}")
    return _stopped(room, "changed" if changed else "unchanged", job.id, job.state, 0)


def delete(store: Store, tenant_id: str, job_id: str) -> StopResult:
    """Delete a job: what has not begun is cancelled before this returns, what runs ends by itself.

    The document goes when nothing of the job is open any more, at once or by a node; the firings stay in the ledger.

    Raises:
        NotFound: There is no such tenant or job.
        RevisionConflict: Others change it all the time.
    """
    room = open_room(store, tenant_id, job_id)
    room.own_jobs()

    def attempt() -> Document | None:
        document = room.find(job_id)
        return document if document.get("state") == "deleting" else _begin_deleting(room, job_id, document)

    document = until_won(attempt, f"job {job_id!r}")
    store.runtime.points.reach("delete.after")
    cancelled = cancel_unbegun(
        room, job_id, document.get("incarnation"), stop_rev=int(document["stop_rev"]), reason="job_deleted"
    )
    result = _stopped(room, "deleted", job_id, "deleting", cancelled)
    if is_over(room, job_id):
        room.jobs.remove(document)
    return result


def _begin_deleting(room: Room, job_id: str, document: Document) -> Document | None:
    job = readable(document, room.tenant.place)
    if isinstance(job, Job):
        fields = {"next_run_time": None, "stop_rev": job.revision + 1}
        return room.jobs.change(job, "delete", fields)
    if not room.jobs.delete_unreadable(job_id, document=document):
        return None
    return room.jobs.fetch(job_id)


def _allow(job: Job, action: JobAction) -> None:
    if job.state in job_before(action):
        return
    if job.state == "deleting":
        raise NotFound(f"job {job.id!r} is being deleted")
    raise NotAllowed(f"job {job.id!r} is {job.state}; only one that is {job_before(action)[0]} can be {action}d")


def _stopped(room: Room, verdict: str, job: str, state: str, cancelled: int) -> StopResult:
    return StopResult(
        verdict=verdict,  # type: ignore[arg-type]
        tenant=room.tenant.id,
        job=job,
        state=state,
        cancelled=cancelled,
        running=count_running(room, job),
    )
