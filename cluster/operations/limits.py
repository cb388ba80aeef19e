"""A tenant's limits when a job is put, what its jobs get that say nothing, and what it uses of what it may."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from cluster.operations.common import NotAllowed, Room, open_room
from cluster.operations.definition import Definition
from cluster.operations.shown import following
from cluster.operations.views import UsageView
from jobstore.clock import to_posix
from jobstore.errors import InvalidInput
from jobstore.job import payload_size
from jobstore.store import Store
from jobstore.traces import Traces

# A pattern such as "three times in the first minute of each hour" shows its shortest step within so many instants.
_LOOKED_AT: Final = 100
_FILLED: Final = ("catch_up", "overlap", "misfire_grace_s")


class LimitReached(NotAllowed):
    """The tenant has as much as it may have."""


def with_defaults(definition: object, room: Room) -> object:
    """Return a definition with the tenant's choices where it says nothing."""
    if not isinstance(definition, Mapping):
        return definition
    counts = room.tenant.choices.said()
    filled: dict[Any, Any] = {name: counts[name] for name in _FILLED if name in counts and definition.get(name) is None}
    retry = definition.get("retry")
    if "max_attempts" in counts and (retry is None or (isinstance(retry, Mapping) and "max_attempts" not in retry)):
        filled["retry"] = {**(retry or {}), "max_attempts": counts["max_attempts"]}
    return {**definition, **filled}


def check_definition(wanted: Definition, room: Room) -> None:
    """Refuse a job that asks for more than the tenant may have.

    Raises:
        InvalidInput: With a sentence for every limit that it breaks.
    """
    choices, faults = room.tenant.choices, []
    size = payload_size(wanted.spec)
    if choices.max_payload_bytes is not None and size > choices.max_payload_bytes:
        faults.append(f"the arguments take {size:,} bytes; this tenant's jobs may have {choices.max_payload_bytes:,}")
    if choices.min_interval_s is not None:
        instants = following(wanted.timetable, room.store.time.now(), _LOOKED_AT)
        steps = ((later - earlier).total_seconds() for earlier, later in pairwise(instants))
        shortest = min(steps, default=choices.min_interval_s)
        if shortest < choices.min_interval_s:
            faults.append(
                f"the job would fire {shortest:g} s after the instant before; this tenant's jobs leave at least "
                f"{choices.min_interval_s:g} s"
            )
    if faults:
        raise InvalidInput(*faults)


def check_room_for_one(room: Room, *, there: int = 0) -> None:
    """Refuse one more job where the tenant has as many as it may; ``there`` of those counted are this one.

    Raises:
        LimitReached: Says how many there are.
    """
    most = room.tenant.choices.max_jobs
    if most is not None and (count := room.jobs.count() - there) >= most:
        raise LimitReached(f"tenant {room.tenant.id!r} has {count} of {most} jobs; delete one, or ask for more")


def usage(store: Store, tenant_id: str) -> UsageView:
    """Return what a tenant uses of what it may (raises InvalidInput, NotFound)."""
    room = open_room(store, tenant_id)
    tenant, counts = room.tenant, room.tenant.choices
    traces = Traces(store.collections, tenant.place).count_open()
    rated = counts.max_per_s is not None
    return UsageView(
        tenant=tenant.id,
        plan=tenant.plan,
        jobs=room.jobs.count(),
        max_jobs=counts.max_jobs,
        live=traces["dispatched"] + traces["running"],
        max_live=counts.max_live,
        waiting=traces["pending"],
        per_s=store.gates.spent(tenant.uid, to_posix(store.time.now())).per_s if rated else None,
        max_per_s=counts.max_per_s,
        burst=counts.burst,
        min_interval_s=counts.min_interval_s,
        max_payload_bytes=counts.max_payload_bytes,
    )
