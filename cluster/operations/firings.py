"""Firings: what the ledger says about a tenant, one of its jobs, or one firing."""

import re
from typing import Final

from cluster.operations.common import Room, open_room
from cluster.operations.shown import firing_view
from cluster.operations.views import FiringView
from jobstore.errors import InvalidInput, NotFound
from jobstore.firing import Firing
from jobstore.lifecycle import FINAL, OPEN
from jobstore.store import Store

MOST: Final = 10_000
_ID: Final = re.compile(r"[a-z][a-z0-9-]{1,60}:[a-z2-7]{32}")


def list_firings(
    store: Store, tenant_id: str, *, job_id: str | None = None, state: str | None = None, limit: int = 50
) -> list[FiringView]:
    """Return a tenant's firings, the newest nominal first.

    Raises:
        InvalidInput: An id, the state or the limit is out of bounds.
        NotFound: There is no such tenant, or nothing is known of such a job.
    """
    if state is not None and state not in (known := (*OPEN, *sorted(FINAL))):
        raise InvalidInput(f"{state!r:.60} is not a state of a firing; known: {', '.join(known)}")
    if not 1 <= limit <= MOST:
        raise InvalidInput(f"a list has 1 to {MOST:,} firings, not {limit}")
    room = open_room(store, tenant_id, job_id)
    found = room.ledger.history(room.tenant.uid, job=job_id, state=state, limit=limit)
    if not found and job_id is not None:
        room.find(job_id)
    return [firing_view(room.tenant, firing) for firing in found]


def get(store: Store, tenant_id: str, firing_id: str) -> FiringView:
    """Return one firing of a tenant.

    Raises:
        InvalidInput: The id is malformed.
        NotFound: There is no such tenant, or no such firing of it.
    """
    room = open_room(store, tenant_id)
    return firing_view(room.tenant, find(room, firing_id))


def find(room: Room, firing_id: str) -> Firing:
    """Return one firing of a tenant as recorded (raises as ``get``)."""
    if _ID.fullmatch(firing_id) is None:
        raise InvalidInput(f"{firing_id!r:.60} is not the id of a firing; see: horarium firing list {room.tenant.id}")
    firing = room.ledger.get(firing_id)
    # Several tenants may share a ledger.
    if firing is None or firing.uid != room.tenant.uid:
        raise NotFound(f"tenant {room.tenant.id!r} has no firing {firing_id}; final ones are kept for seven days")
    return firing
