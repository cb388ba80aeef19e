"""Pools: what their workers are like, and which tenants' firings are led into another one."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from cluster.operations.common import NotAllowed, open_room, until_won
from cluster.operations.views import Verdict
from jobstore.audit import Note
from jobstore.errors import InvalidInput, NotFound
from jobstore.ids import check_pool
from jobstore.pools import KNOWN_FOR, Pool, PoolSettings, read_pool_settings
from jobstore.store import Store
from jobstore.tenant import Tenant

# Longer than any node goes on with what it knew, and than the publish that it had begun.
_HEARD_AFTER: Final = KNOWN_FOR + 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedView:
    """A tenant whose firings are led from one pool into another."""

    tenant: str
    away_from: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """A pool; a setting that is None was not said.  ``tenants`` have it by default, ``moved`` lead into it or away."""

    pool: str
    revision: int
    settings: Mapping[str, Any]
    tenants: tuple[str, ...]
    moved: tuple[MovedView, ...]
    workers: int
    by: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolResult:
    """What became of a pool that was put or deleted."""

    verdict: Literal["created", "changed", "unchanged", "deleted"]
    pool: PoolView


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignResult:
    """What became of a tenant that was assigned; ``queued`` firings that had not begun are handed over anew."""

    verdict: Verdict
    tenant: str
    away_from: str
    to: str
    queued: int


def list_pools(store: Store) -> list[PoolView]:
    """Return every pool that is configured, that a tenant has by default, or that a living worker serves, by name."""
    stored = {pool.name: pool for pool in store.pools.all()}
    tenants, _ = store.tenants.all()
    served = _served(store)
    names = {*stored, *(tenant.defaults.pool for tenant in tenants), *served}
    names |= {to for pool in stored.values() for to in pool.moved.values()}
    pools = [stored.get(name) or Pool(name=name) for name in sorted(names)]
    return [_view(pool, list(stored.values()), tenants, served) for pool in pools]


def get(store: Store, name: str) -> PoolView:
    """Return one pool (raises InvalidInput; NotFound where nothing at all is known of it)."""
    check_pool(name)
    for view in list_pools(store):
        if view.pool == name:
            return view
    raise NotFound(f"there is no pool {name!r}; see: horarium pool list")


def put(store: Store, name: str, fields: Mapping[str, Any], *, who: str) -> PoolResult:
    """Say what a pool is like; what is not named stays as it is, None takes back what was said.

    Workers that start from now on are like that; those that run stay as they are.

    Raises:
        InvalidInput: With a sentence for every fault.
        RevisionConflict: Others change it all the time.
    """
    check_pool(name)
    for queue in fields.get("queues") or ():
        check_pool(queue)

    def attempt() -> str | None:
        found = store.pools.get(name)
        said = found.settings.said() | dict(fields)
        settings = read_pool_settings({key: value for key, value in said.items() if value is not None})
        if settings == found.settings and found.revision:
            return "unchanged"
        if not store.pools.put(name, settings, revision=found.revision, by=who, at=store.time.now()):
            return None
        _note(store, who, "pool.put", "", {"pool": name, "settings": settings.said()})
        return "changed" if found.revision else "created"

    verdict = until_won(attempt, f"pool {name!r}")
    return PoolResult(verdict=verdict, pool=get(store, name))  # type: ignore[arg-type]  # one of the three above


def delete(store: Store, name: str, *, who: str) -> PoolResult:
    """Forget what was said about a pool.

    Raises:
        NotFound: Nothing was said about it.
        NotAllowed: Firings still go into it: tenants have it by default or are led into it, or away from it.
    """
    check_pool(name)

    def attempt() -> PoolView | None:
        found = store.pools.get(name)
        if not found.revision:
            raise NotFound(f"nothing was said about pool {name!r}; see: horarium pool list")
        view = get(store, name)
        users = sorted({*view.tenants, *(one.tenant for one in view.moved)})
        if users:
            raise NotAllowed(f"pool {name!r} is used by {', '.join(users[:5])}; assign them to another one first")
        return view if store.pools.remove(name, revision=found.revision) else None

    view = until_won(attempt, f"pool {name!r}")
    _note(store, who, "pool.delete", "", {"pool": name})
    return PoolResult(verdict="deleted", pool=view)


def assign(store: Store, name: str, tenant_id: str, *, away_from: str | None = None, who: str) -> AssignResult:
    """Lead a tenant's firings from one pool into another, those that are queued as well; into the same one: back.

    What had been handed to the former pool and has not begun is handed over anew.  Its first message stays where it
    is: whichever pool is first begins the firing, and the other's message is dropped.

    Args:
        store: The store.
        name: The pool that they go into.
        tenant_id: The tenant.
        away_from: The pool that they leave; by default the one that the tenant has by default.
        who: Who does it, for the audit.

    Raises:
        InvalidInput: A name is malformed.
        NotFound: There is no such tenant.
        RevisionConflict: Others change the pool all the time.
    """
    check_pool(name)
    room = open_room(store, tenant_id)
    uid, source = room.tenant.uid, check_pool(away_from or room.tenant.defaults.pool)

    def attempt() -> bool | None:
        found = store.pools.get(source)
        if found.moved.get(uid, source) == name:
            return False
        moved = store.pools.move(uid, away_from=source, to=name, revision=found.revision, by=who, at=store.time.now())
        return True if moved else None

    changed = until_won(attempt, f"pool {source!r}")
    if changed:
        _note(store, who, "pool.assign", room.tenant.id, {"from": source, "to": name})
    # Also when nothing changed: whoever did it may have died before this.
    store.runtime.clock.wait(threading.Event(), _HEARD_AFTER)
    other = None if name == source else name
    queued = room.ledger.hasten({"tenant": uid, "pool": source, "routed_to": {"$ne": other}}, at=store.time.now())
    return AssignResult(
        verdict="changed" if changed else "unchanged", tenant=room.tenant.id, away_from=source, to=name, queued=queued
    )


def _served(store: Store) -> dict[str, int]:
    """Return how many worker processes serve each pool, as their last signs of life tell."""
    counts: dict[str, int] = {}
    for member in store.workers.all():
        for pool in member.details.get("pools", ()):
            counts[pool] = counts.get(pool, 0) + 1
    return counts


def _view(pool: Pool, pools: Sequence[Pool], tenants: Sequence[Tenant], served: Mapping[str, int]) -> PoolView:
    names = {tenant.uid: tenant.id for tenant in tenants}
    moved = [
        MovedView(tenant=names.get(uid, uid), away_from=other.name, to=to)
        for other in pools
        for uid, to in sorted(other.moved.items())
        if pool.name in (other.name, to)
    ]
    return PoolView(
        pool=pool.name,
        revision=pool.revision,
        settings=dict.fromkeys(PoolSettings.model_fields) | pool.settings.said(),
        tenants=tuple(tenant.id for tenant in tenants if tenant.defaults.pool == pool.name),
        moved=tuple(moved),
        workers=served.get(pool.name, 0),
        by=pool.by,
        at=pool.at,
    )


def _note(store: Store, who: str, what: str, tenant: str, details: Mapping[str, Any]) -> None:
    store.audit.write(Note(at=store.time.now(), who=who, what=what, tenant=tenant, details=details))


def read_setting(text: str) -> tuple[str, object]:
    """Return name and value of ``name=value``; an empty value takes back what was said.

    Raises:
        InvalidInput: There is no such setting, or the value is of another kind.
    """
    name, separator, value = text.partition("=")
    field = PoolSettings.model_fields.get(name.strip())
    if field is None or not separator:
        raise InvalidInput(
            f"{text!r:.80} is not a setting; write one of {', '.join(PoolSettings.model_fields)} as name=value"
        )
    if not value:
        return name, None
    if name == "queues":
        return name, [part.strip() for part in value.split(",") if part.strip()]
    if field.annotation in (int | None, float | None):
        try:
            return name, int(value) if field.annotation == int | None else float(value)
        except ValueError:
            raise InvalidInput(f"{name} is a number, not {value!r:.40}") from None
    return name, value
