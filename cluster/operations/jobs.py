"""Jobs: put, get, list.  ``stopping`` pauses, resumes and deletes, ``triggering`` fires by hand."""

from collections.abc import Mapping
from typing import Any

from cluster.operations.common import NotAllowed, Room, open_room, until_won
from cluster.operations.definition import Definition, read_definition
from cluster.operations.editing import edit_job, freshen, from_now_on, taken_away
from cluster.operations.limits import LimitReached, check_definition, check_room_for_one, with_defaults
from cluster.operations.shown import clock_notes, job_row, job_view, quarantine_reason
from cluster.operations.stopping import delete
from cluster.operations.targets import check_target
from cluster.operations.views import JobRow, JobView, PutResult, Verdict
from jobstore.clock import to_posix
from jobstore.connection import Document
from jobstore.edits import Edit, same_spec
from jobstore.errors import InvalidTrigger, RevisionConflict, TriggerStuck
from jobstore.job import Job, Owed
from jobstore.lifecycle import JobAction
from jobstore.store import Store


class TimetableEnded(InvalidTrigger):
    """Every instant of the trigger has passed: the job would never fire."""


def put(
    store: Store,
    tenant_id: str,
    job_id: str,
    definition: object,
    *,
    expected_revision: int | None = None,
) -> PutResult:
    """Make a job what ``definition`` says, whether it exists or not.

    An edit is answered when nothing can begin any more with what it replaced.  One that leaves the timetable alone
    keeps the job's place in it; one that changes it begins from now on, and the ledger says which instants were taken
    away.

    Args:
        store: The store.
        tenant_id: The tenant.
        job_id: The job.
        definition: As people write it; see ``cluster.operations.definition``.
        expected_revision: Refuse unless the job has this revision; 0 means that there must be none.

    Raises:
        InvalidInput: With a sentence for every fault; ``TimetableEnded`` if the trigger names only past instants.
        NotFound: There is no such tenant.
        RevisionConflict: The job has another revision than expected.
        Unreadable: The stored job cannot be read.
    """
    room = open_room(store, tenant_id, job_id)
    room.own_jobs()
    defaults, now = room.tenant.defaults, store.time.now()
    definition = with_defaults(definition, room)
    first = read_definition(definition, defaults=defaults, now=now)
    check_definition(first, room)
    warnings = check_target(store, first.spec.target, first.spec.pool)

    def attempt() -> tuple[Verdict, Job] | None:
        document = room.jobs.fetch(job_id)
        if document is None or document.get("state") == "deleting":
            _expect(job_id, expected_revision, None)
            return _create(room, job_id, first, taken=document is not None)
        job = room.read(document)
        _expect(job_id, expected_revision, job.revision)
        wanted = read_definition(definition, defaults=defaults, now=now, stored=job.spec.trigger)
        if same_spec(wanted.spec, job.spec):
            return "unchanged", job
        changed = edit_job(room, job, _edit(room, job, wanted), former=job.timetable)
        if changed is None:
            return None
        freshen(room, changed)
        return "changed", changed

    verdict, job = until_won(attempt, f"job {job_id!r}")
    return _answer(room, verdict, job, warnings)


def get(store: Store, tenant_id: str, job_id: str) -> JobView:
    """Return a job whole (raises InvalidInput, NotFound, Unreadable)."""
    room = open_room(store, tenant_id, job_id)
    document = room.find(job_id)
    job = room.read(document)
    newest = room.ledger.history(room.tenant.uid, job=job.id, limit=1)
    last = newest[0] if newest else None
    return job_view(room.tenant, job, now=store.time.now(), reason=quarantine_reason(document), last=last)


def list_jobs(store: Store, tenant_id: str, *, limit: int = 0) -> list[JobRow]:
    """Return a line for each of the tenant's jobs in order of id, those that cannot be read among them.

    ``limit`` 0 means all.
    """
    room = open_room(store, tenant_id)
    return [job_row(room.tenant, document) for document in room.jobs.all(limit=limit)]


def _expect(job_id: str, expected: int | None, found: int | None) -> None:
    if expected is None or expected == (found or 0):
        return
    if found is None:
        raise RevisionConflict(f"job {job_id!r} does not exist, and revision {expected} of it was expected")
    if expected == 0:
        raise RevisionConflict(f"job {job_id!r} exists already, in revision {found}")
    raise RevisionConflict(f"job {job_id!r} has revision {found}, not {expected}: read it again and repeat the change")


def _create(room: Room, job_id: str, wanted: Definition, *, taken: bool) -> tuple[Verdict, Job] | None:
    """Insert the job, or put it in the place of one that is being deleted; None if somebody was quicker."""
    first = _first(wanted, None, to_posix(room.store.time.now()))
    agenda, points = room.store.agenda, room.store.runtime.points
    check_room_for_one(room, there=int(taken))
    agenda.bump(room.tenant.uid, first)
    points.reach("edit.bumped")
    write = room.jobs.replace_deleted if taken else room.jobs.add
    if not write(job_id, wanted.spec, first=first):
        return None
    points.reach("edit.after")
    _stay_within(room, job_id, taken)
    agenda.bump(room.tenant.uid, first)
    points.reach("bump.after")
    job = room.jobs.get(job_id)
    return None if job is None else ("created", job)


def _stay_within(room: Room, job_id: str, taken: bool) -> None:
    """Take a new job back where several were put at once and there are too many now: never more than may be."""
    if taken:
        return
    try:
        check_room_for_one(room, there=1)
    except LimitReached:
        delete(room.store, room.tenant.id, job_id)
        raise


def _first(wanted: Definition, job: Job | None, now: float) -> float:
    try:
        first = from_now_on(wanted.timetable, job, now)
    except TriggerStuck as error:
        raise InvalidTrigger(f"the trigger never fires: {error}") from error
    if first is None:
        raise TimetableEnded(f"nothing is left to fire: {wanted.timetable.describe()}, and that has passed")
    return first


def _edit(room: Room, job: Job, wanted: Definition) -> Edit:
    now = to_posix(room.store.time.now())
    quarantined = job.state == "quarantined"
    action: JobAction | None = "reopen" if quarantined else None
    kept = dict(wanted.spec.trigger) == dict(job.spec.trigger)
    if kept and not (quarantined and job.nominal is None):
        return Edit(action=action, nominal=job.nominal, spec=wanted.spec)
    if job.state == "completed":
        action = "reopen"
    owed: Owed | None = taken_away(job, now)
    return Edit(action=action, nominal=_first(wanted, job, now), spec=wanted.spec, timetable=True, owed=owed)


def _answer(room: Room, verdict: Verdict, job: Job, warnings: list[str]) -> PutResult:
    reason = None
    if job.state == "quarantined":
        reason = quarantine_reason(_document(room, job.id))
        warnings = [*warnings, f"the job is in quarantine and does not fire: {reason}; change it to bring it back"]
    if job.state == "paused":
        warnings = [*warnings, f"the job is paused; run: horarium job resume {room.tenant.id} {job.id}"]
    now = room.store.time.now()
    view = job_view(room.tenant, job, now=now, reason=reason)
    return PutResult(verdict=verdict, job=view, warnings=tuple(warnings), notes=clock_notes(job.timetable, now))


def _document(room: Room, job_id: str) -> Mapping[str, Any]:
    found: Document | None = room.jobs.fetch(job_id)
    return found or {}


__all__ = ["NotAllowed", "TimetableEnded", "get", "list_jobs", "put"]
