"""Tenants: create, put, list, get."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from cluster.operations.common import open_room, until_won
from cluster.operations.shown import tenant_view
from cluster.operations.views import TenantResult, TenantView
from jobstore.choices import Choices, read_choices
from jobstore.clock import to_posix
from jobstore.errors import AlreadyExists, InvalidInput, NotFound
from jobstore.ids import check_pool, check_tenant_id
from jobstore.store import Store
from jobstore.tenant import Codec, Defaults, Place, Tenant, own_choices
from jobstore.tenants import check_place
from jobstore.timetable.zones import read_zone

HEAVIEST: Final = 1000
_PREFIX: Final = re.compile(r"[A-Za-z0-9._:@-]{0,80}")
_OUR_OWN: Final = frozenset({"tenants", "agenda", "nodes", "workers", "config", "keys", "audit", "gates", "pools"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is chosen about a tenant beside its place: zone and pool of jobs that name none, share of each pass."""

    zone: str = "UTC"
    pool: str = "default"
    weight: int = 1

    def check(self) -> None:
        """Refuse what cannot be (raises InvalidInput with every fault)."""
        faults = []
        zone: object = self.zone
        try:
            read_zone(zone) if isinstance(zone, str) else _no_zone(zone)
        except ValueError as error:
            faults.append(str(error))
        try:
            check_pool(self.pool)
        except InvalidInput as error:
            faults += error.faults
        if not _is_weight(self.weight):
            faults.append(f"weight: write a whole number from 1 to {HEAVIEST}, not {self.weight!r:.40}")
        if faults:
            raise InvalidInput(*faults)


def create(
    store: Store,
    tenant_id: str,
    *,
    zone: str = "UTC",
    pool: str = "default",
    weight: int = 1,
    database: str | None = None,
    jobs: str | None = None,
    firings: str | None = None,
    prefix: str = "",
    codec: Codec = "structured",
) -> TenantResult:
    """Create a tenant with its collections and its line of the agenda; the same again changes nothing.

    Args:
        store: The store.
        tenant_id: 3 to 40 lower-case letters, digits and hyphens.
        zone: Time zone of jobs that name none.
        pool: Worker pool of jobs that name none.
        weight: Share of a pass in which several tenants have work, 1 to 1000.
        database: Where its jobs are; by default the control database.
        jobs: Their collection; by default ``jobs.<uid>``.
        firings: Its ledger, which tenants may share; by default ``firings``.
        prefix: Put before every job's ``_id`` where tenants share a collection of jobs.
        codec: ``pickled`` for a collection of APScheduler; see ``adopting``.

    Raises:
        InvalidInput: With a sentence for every fault.
        AlreadyExists: The tenant exists with other settings, or the place belongs to another.
    """
    check_tenant_id(tenant_id)
    settings = Settings(zone=zone, pool=pool, weight=weight)
    settings.check()
    store.ensure()
    wanted = {"database": database, "jobs": jobs, "firings": firings, "prefix": prefix or None, "codec": codec}
    found = _find(store, tenant_id)
    if found is not None:
        _same(found, settings, wanted)
        _ensure(store, found)  # whoever created it may have died half-way
        return TenantResult(verdict="unchanged", tenant=tenant_view(found))
    uid = f"{tenant_id}-{store.runtime.ids.suffix()}"
    place = Place(
        uid=uid,
        database=database or store.control.name,
        jobs=jobs or f"jobs.{uid}",
        firings=firings or "firings",
        prefix=prefix,
        codec=codec,
    )
    _check_place(store, place)
    defaults = Defaults(zone=zone, pool=pool)
    tenant = Tenant(id=tenant_id, place=place, weight=weight, defaults=defaults, created_at=store.time.now())
    try:
        store.tenants.add(tenant)
    except AlreadyExists:  # created by somebody else just now, perhaps the same
        found = store.tenants.get(tenant_id)
        _same(found, settings, wanted)
        return TenantResult(verdict="unchanged", tenant=tenant_view(found))
    _ensure(store, tenant)
    return TenantResult(verdict="created", tenant=tenant_view(tenant))


def put(
    store: Store, tenant_id: str, *, zone: str | None = None, pool: str | None = None, weight: int | None = None
) -> TenantResult:
    """Create a tenant in the default place, or change the settings given; jobs that exist keep what they have."""
    check_tenant_id(tenant_id)
    chosen = {name: value for name, value in (("zone", zone), ("pool", pool), ("weight", weight)) if value is not None}

    def attempt() -> TenantResult | None:
        found = _find(store, tenant_id)
        if found is None:
            return create(store, tenant_id, **chosen)  # type: ignore[arg-type]
        settings = replace(_settings(found), **chosen)  # type: ignore[arg-type]
        settings.check()
        if settings == _settings(found):
            _ensure(store, found)
            return TenantResult(verdict="unchanged", tenant=tenant_view(found))
        changed = replace(
            found,
            weight=settings.weight,
            defaults=Defaults(zone=settings.zone, pool=settings.pool),
            own=_own(found, chosen),
            revision=found.revision + 1,
        )
        if not store.tenants.replace(changed, revision=found.revision):
            return None
        return TenantResult(verdict="changed", tenant=tenant_view(changed))

    return until_won(attempt, f"tenant {tenant_id!r}")


def get(store: Store, tenant_id: str) -> TenantView:
    """Return a tenant with the number of its jobs and when something is due there next (raises NotFound)."""
    room = open_room(store, tenant_id)
    line = store.agenda.get(room.tenant.uid)
    return tenant_view(room.tenant, jobs=room.jobs.count(), next_due=None if line is None else line.next)


def list_tenants(store: Store) -> tuple[list[TenantView], list[str]]:
    """Return every tenant in order of id, and a sentence for each that cannot be read."""
    good, bad = store.tenants.all()
    return [tenant_view(tenant) for tenant in good], bad


def _is_weight(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= HEAVIEST


def _no_zone(value: object) -> None:
    raise ValueError(f"time zone: write a name such as Europe/Berlin or UTC, not {value!r:.40}")


def _own(tenant: Tenant, chosen: Mapping[str, object]) -> Choices:
    """Return what is chosen for the tenant itself from now on."""
    named = {"zone": "time_zone", "pool": "pool", "weight": "weight"}
    return read_choices(own_choices(tenant).said() | {named[name]: value for name, value in chosen.items()})


def _find(store: Store, tenant_id: str) -> Tenant | None:
    try:
        return store.tenants.get(tenant_id)
    except NotFound:
        return None


def _settings(tenant: Tenant) -> Settings:
    return Settings(zone=tenant.defaults.zone, pool=tenant.defaults.pool, weight=tenant.weight)


def _same(found: Tenant, settings: Settings, place: dict[str, str | None]) -> None:
    has = _settings(found)
    differing = [
        f"{what} {getattr(has, name)!r} and not {getattr(settings, name)!r}"
        for name, what in (("zone", "time zone"), ("pool", "pool"), ("weight", "weight"))
        if getattr(has, name) != getattr(settings, name)
    ]
    differing += [
        f"{name} {getattr(found.place, name)!r} and not {wanted!r}"
        for name, wanted in place.items()
        if wanted is not None and getattr(found.place, name) != wanted
    ]
    if differing:
        raise AlreadyExists(f"tenant {found.id!r} exists already, with {', '.join(differing)}")


def check_name(place: Place) -> None:
    """Refuse names that no database or collection of a tenant may have (raises InvalidInput)."""
    check_place(place)


def _check_place(store: Store, place: Place) -> None:
    """Refuse a place from which one tenant's queries would reach another's documents, or ours."""
    check_name(place)
    faults = []
    if _PREFIX.fullmatch(place.prefix) is None:
        faults.append(f"{place.prefix!r:.60} cannot be a prefix: use up to 80 letters, digits and . _ : @ -")
    control = store.control.name
    for what, name in (("jobs", place.jobs), ("firings", place.firings)):
        if place.database == control and name in _OUR_OWN:
            faults.append(f"{name!r} cannot hold {what}: it is a collection of Horarium itself")
    if place.jobs == place.firings:
        faults.append("jobs and firings need a collection each")
    others, _ = store.tenants.all()
    for other in others:
        there = other.place
        if there.database != place.database:
            continue
        if there.jobs == place.jobs and _prefixes_clash(there.prefix, place.prefix):
            faults.append(
                f"the collection {place.database}.{place.jobs} belongs to tenant {other.id!r}; tenants that share one "
                "need a prefix each, none the beginning of another"
            )
        if there.firings == place.jobs or there.jobs == place.firings:
            faults.append(
                f"tenant {other.id!r} uses a collection for jobs that this one wants for firings, or the reverse"
            )
    if faults:
        raise InvalidInput(*faults)


def _prefixes_clash(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _ensure(store: Store, tenant: Tenant) -> None:
    store.jobs(tenant.place).ensure()
    store.ledger(tenant.place).ensure()
    if store.agenda.get(tenant.uid) is None:
        store.agenda.bump(tenant.uid, to_posix(store.time.now()))
