"""Firing a job by hand: a record of its own that waits for a place like any other and does not move the timetable."""

from typing import Final

from cluster.operations.common import NotAllowed, Room, open_room
from cluster.operations.shown import firing_view
from cluster.operations.views import TriggerResult
from jobstore.clock import from_posix, to_posix
from jobstore.edits import snapshot_of
from jobstore.errors import InvalidInput, InvariantBroken, NotFound
from jobstore.firing import Covers, Draft
from jobstore.ids import firing_id
from jobstore.job import Job
from jobstore.store import Store

_LONGEST_KEY: Final = 200


def trigger(store: Store, tenant_id: str, job_id: str, *, key: str | None = None) -> TriggerResult:
    """Fire a job now, whatever its timetable says and even while it is paused.

    Args:
        store: The store.
        tenant_id: The tenant.
        job_id: The job.
        key: An idempotency key: asked twice with the same one, the job fires once, as long as the ledger keeps the
            firing.

    Raises:
        InvalidInput: An id or the key is malformed.
        NotFound: There is no such tenant or job, or it is being deleted.
        NotAllowed: The job is in quarantine, or the tenant is halted.
    """
    room = open_room(store, tenant_id, job_id)
    if key is not None and not (1 <= len(key) <= _LONGEST_KEY and key.isprintable()):
        raise InvalidInput(f"an idempotency key has 1 to {_LONGEST_KEY} printable characters")
    if room.tenant.state != "active":
        raise NotAllowed(f"tenant {room.tenant.id!r} is {room.tenant.state}; nothing of it is fired")
    if room.tenant.place.codec == "pickled":
        room.jobs.complete_stock(job_id)
    job = room.read(room.find(job_id))
    if job.state == "deleting":
        raise NotFound(f"job {job_id!r} is being deleted")
    if job.state == "quarantined":
        raise NotAllowed(f"job {job_id!r} is in quarantine and is not run; change it first: horarium job put")
    return _record(room, job, key)


def _record(room: Room, job: Job, key: str | None) -> TriggerResult:
    store = room.store
    at = store.time.now()
    draft = _draft(room, job, to_posix(at), key)
    store.agenda.bump(room.tenant.uid, draft.nominal)
    created = room.ledger.insert(draft.document(created_at=at, attend_at=at, wait="slot"))
    store.runtime.points.reach("trigger.after")
    store.agenda.bump(room.tenant.uid, draft.nominal)
    store.runtime.points.reach("bump.after")
    firing = room.ledger.get(draft.id)
    if firing is None:
        raise InvariantBroken(f"the firing {draft.id} is gone from the ledger just after it was written: this is a bug")
    return TriggerResult(created=created, firing=firing_view(room.tenant, firing))


def _draft(room: Room, job: Job, now: float, key: str | None) -> Draft:
    # With a key, the id must not depend on when it was used.
    instant = from_posix(now if key is None else 0.0)
    nonce = room.store.runtime.ids.token() if key is None else key
    return Draft(
        id=firing_id(job.uid, job.id, job.incarnation, instant, "manual", nonce),
        uid=job.uid,
        job=job.id,
        incarnation=job.incarnation,
        kind="manual",
        nominal=now,
        covers=Covers(start=now, through=now, count=1),
        plan_next=None,
        decision="run",
        reason="",
        snapshot=snapshot_of(job),
        epoch=room.tenant.epoch,
    )
