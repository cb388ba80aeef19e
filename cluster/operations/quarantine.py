"""What waits in quarantine: list, show, try again, discard."""

from collections.abc import Mapping
from typing import Any

from cluster.operations import stopping
from cluster.operations.common import NotAllowed, Room, open_room
from cluster.operations.views import SetAside
from jobstore.audit import Note
from jobstore.clock import to_posix
from jobstore.errors import InvalidInput, NotFound
from jobstore.setaside import Quarantine
from jobstore.store import Store

MOST = 1000


def list_all(store: Store, tenant_id: str, *, limit: int = MOST) -> list[SetAside]:
    """Return the tenant's jobs and firings in quarantine (raises InvalidInput, NotFound)."""
    if not 1 <= limit <= MOST:
        raise InvalidInput(f"a list has 1 to {MOST:,} entries, not {limit}")
    room = open_room(store, tenant_id)
    held = _of(room)
    found = [_job(room, document) for document in held.jobs(limit=limit)]
    found += [_firing(room, document) for document in held.firings(limit=limit)]
    return sorted(found, key=lambda one: (one.kind, one.id))[:limit]


def show(store: Store, tenant_id: str, name: str) -> SetAside:
    """Return one entry; ``name`` is the id of a job or of a firing (raises NotFound)."""
    for one in list_all(store, tenant_id):
        if one.id == name:
            return one
    raise NotFound(f"tenant {tenant_id!r} has nothing named {name!r:.80} in quarantine; see: horarium quarantine list")


def retry(store: Store, tenant_id: str, name: str, *, who: str) -> SetAside:
    """Bring a job back to where it stood, or let nodes look at a firing at once.

    What still cannot be read or run comes back into quarantine.

    Raises:
        NotFound: There is nothing of that name in quarantine.
        NotAllowed: It was changed meanwhile.
    """
    one, room = show(store, tenant_id, name), open_room(store, tenant_id)
    now = store.time.now()
    if one.kind == "job":
        document = room.jobs.fetch(name)
        if document is None or not room.jobs.recover(document):
            raise NotAllowed(f"job {name!r} was changed meanwhile; look again")
        store.agenda.bump(room.tenant.uid, to_posix(now))
    elif not _of(room).retry(name, at=now):
        raise NotAllowed(f"the firing {name} moved on meanwhile; look again")
    _note(room, "quarantine.retry", who, one)
    return one


def discard(store: Store, tenant_id: str, name: str, *, who: str) -> SetAside:
    """Delete a job in quarantine, or cancel a firing (raises as ``retry``)."""
    one, room = show(store, tenant_id, name), open_room(store, tenant_id)
    if one.kind == "job":
        stopping.delete(store, tenant_id, name)
    elif not _of(room).discard(name, at=store.time.now()):
        raise NotAllowed(f"the firing {name} moved on meanwhile; look again")
    _note(room, "quarantine.discard", who, one)
    return one


def _of(room: Room) -> Quarantine:
    return Quarantine(room.store.collections, room.tenant.place)


def _job(room: Room, document: Mapping[str, Any]) -> SetAside:
    note = _note_of(document)
    name = room.tenant.place.job(str(document["_id"]))
    return SetAside(kind="job", tenant=room.tenant.id, id=name, job=name, at=note.get("at"), reason=_text(note))


def _firing(room: Room, document: Mapping[str, Any]) -> SetAside:
    note = _note_of(document)
    return SetAside(
        kind="firing", tenant=room.tenant.id, id=str(document["_id"]), job=str(document.get("job")), at=note.get("at"),
        reason=_text(note),
    )  # fmt: skip


def _note_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    note = document.get("quarantine")
    return note if isinstance(note, Mapping) else {}


def _text(note: Mapping[str, Any]) -> str:
    return str(note.get("reason", "nobody said why"))


def _note(room: Room, what: str, who: str, one: SetAside) -> None:
    tenant = room.tenant
    details = {"kind": one.kind, "id": one.id, "reason": one.reason}
    at = room.store.time.now()
    room.store.audit.write(Note(at=at, who=who, what=what, tenant=tenant.id, uid=tenant.uid, details=details))
