"""The tenants collection, and what one process may believe about it.

A process acts for a tenant only within ``TRUST`` seconds of having confirmed its configuration; a suspension waits
that long before it answers.  One small document, ``config/tenants {seq}``, confirms all tenants with one read.
"""

import threading
from collections.abc import Mapping
from typing import Final

from pymongo import ASCENDING, MongoClient, ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from jobstore.clock import Clock
from jobstore.connection import Document, Documents, database, stored
from jobstore.errors import AlreadyExists, InvalidInput, NotFound, Unreadable
from jobstore.plans import Plans, Tiers
from jobstore.tenant import Place, Tenant, from_document, to_document, with_tiers

TRUST: Final = 2.0
_CONFIG: Final = "tenants"
# Somebody who died between a change and the sequence number of it is noticed after this many seconds.
_READ_EVERY: Final = 30.0


class Tenants:
    """Reads and writes tenants; every change raises the sequence number that confirms all of them."""

    def __init__(self, control: Database[Document]) -> None:
        self._tenants = control["tenants"]
        self._config = control["config"]
        self.plans = Plans(control)

    @stored
    def sequence(self) -> int:
        """Return the number of changes so far."""
        found = self._config.find_one({"_id": _CONFIG})
        return int(found["seq"]) if found else 0

    @stored
    def add(self, tenant: Tenant) -> None:
        """Store a new tenant.

        Raises:
            AlreadyExists: The id is taken, or another tenant has the same place.
        """
        place = tenant.place
        same = {"place.database": place.database, "place.jobs": place.jobs, "place.prefix": place.prefix}
        clash = self._tenants.find_one(same)
        if clash is not None and clash["_id"] != tenant.id:
            raise AlreadyExists(f"the collection {place.database}.{place.jobs} belongs to tenant {clash['_id']!r}")
        try:
            self._tenants.insert_one(to_document(tenant))
        except DuplicateKeyError as error:
            raise AlreadyExists(f"tenant {tenant.id!r} exists already; see: horarium tenant get {tenant.id}") from error
        self.changed()

    @stored
    def replace(self, tenant: Tenant, *, revision: int) -> bool:
        """Store a changed tenant if it still has ``revision``; return whether it had."""
        result = self._tenants.replace_one({"_id": tenant.id, "revision": revision}, to_document(tenant))
        self.changed()
        return result.matched_count == 1

    @stored
    def changed(self) -> None:
        """Make every process read the tenants again."""
        self._config.find_one_and_update(
            {"_id": _CONFIG}, {"$inc": {"seq": 1}}, upsert=True, return_document=ReturnDocument.AFTER
        )

    @stored
    def get(self, tenant_id: str) -> Tenant:
        """Return one tenant (raises NotFound, Unreadable)."""
        found = self._tenants.find_one({"_id": str(tenant_id)})
        if found is None:
            raise NotFound(f"there is no tenant {tenant_id!r}; create it: horarium tenant create {tenant_id}")
        return _counted(from_document(found), self.plans.read())

    @stored
    def remove(self, tenant: Tenant) -> None:
        """Remove the document of a tenant that has been purged."""
        self._tenants.delete_one({"_id": tenant.id, "uid": tenant.uid})
        self.changed()

    @stored
    def all(self) -> tuple[list[Tenant], list[str]]:
        """Return the readable tenants in order of id, and a sentence for each unreadable one."""
        good, bad = [], []
        tiers = self.plans.read()
        for document in self._tenants.find({}, sort=[("_id", ASCENDING)]):
            try:
                good.append(_counted(from_document(document), tiers))
            except Unreadable as error:
                bad.append(str(error))
        return good, bad


def _counted(tenant: Tenant, tiers: Tiers) -> Tenant:
    """Return the tenant with what counts for it (raises Unreadable)."""
    if tenant.plan is None:
        return with_tiers(tenant, tiers.cluster.choices)
    plan = tiers.plans.get(tenant.plan)
    if plan is None:
        # Going on without it would lift every limit.
        raise Unreadable(f"tenant {tenant.id!r} has the plan {tenant.plan!r}, which does not exist")
    return with_tiers(tenant, tiers.cluster.choices, plan.choices)


class TenantCache:
    """The tenants as this process last confirmed them.

    ``refresh`` is called at least every second; ``trusted`` says whether that was recent enough to act upon.
    """

    def __init__(self, tenants: Tenants, clock: Clock) -> None:
        self._tenants = tenants
        self._clock = clock
        self._lock = threading.Lock()
        self._seq = -1
        self._by_uid: Mapping[str, Tenant] = {}
        self._confirmed: float | None = None
        self._read_at = 0.0
        self.unreadable: list[str] = []

    def refresh(self) -> None:
        """Confirm what is known, reading the tenants only if one has changed (raises StoreUnavailable)."""
        with self._lock:
            # The trust counts from before the read: a slow answer must not stretch it.
            started = self._clock.monotonic()
            seq = self._tenants.sequence()
            if seq != self._seq or started - self._read_at > _READ_EVERY:
                good, self.unreadable = self._tenants.all()
                self._by_uid = {tenant.uid: tenant for tenant in good}
                self._seq, self._read_at = seq, started
            self._confirmed = started

    def trusted(self) -> bool:
        """Return whether the configuration was confirmed recently enough to act upon."""
        return self._confirmed is not None and self._clock.monotonic() - self._confirmed <= TRUST

    def get(self, uid: str) -> Tenant | None:
        """Return the tenant of ``uid`` as last confirmed."""
        return self._by_uid.get(uid)

    def active(self) -> list[Tenant]:
        """Return the tenants for which firings may be made."""
        return [tenant for tenant in self._by_uid.values() if tenant.state == "active"]

    def all(self) -> list[Tenant]:
        """Return every readable tenant."""
        return list(self._by_uid.values())

    def ledgers(self) -> dict[tuple[str, str], list[Tenant]]:
        """Return the tenants by the ledger they share."""
        found: dict[tuple[str, str], list[Tenant]] = {}
        for tenant in self._by_uid.values():
            found.setdefault(tenant.place.ledger, []).append(tenant)
        return found


class Collections:
    """Turns a place into collections; the only door to a tenant's documents."""

    def __init__(self, client: MongoClient[Document]) -> None:
        self._client = client

    def jobs(self, place: Place) -> Documents:
        """Return the collection of the tenant's jobs."""
        return database(self._client, place.database)[place.jobs]

    def firings(self, place: Place) -> Documents:
        """Return the collection of the tenant's firings."""
        return database(self._client, place.database)[place.firings]

    def ledger(self, ledger: tuple[str, str]) -> Documents:
        """Return a collection of firings that several tenants may share."""
        return database(self._client, ledger[0])[ledger[1]]


def check_place(place: Place) -> None:
    """Refuse a place that could reach another's documents (raises InvalidInput)."""
    faults = []
    for what, name in (("database", place.database), ("job collection", place.jobs), ("ledger", place.firings)):
        if not name or "$" in name or "\0" in name or name.startswith("system.") or name != name.strip("."):
            faults.append(f"{name!r} cannot be a {what}: no $, no NUL, no dot at either end, not system.*")
    if place.database in ("admin", "local", "config"):
        faults.append(f"the database {place.database!r} belongs to MongoDB itself")
    if len(f"{place.database}.{place.jobs}".encode()) > 200:
        faults.append("database and collection together are longer than 200 bytes")
    if faults:
        raise InvalidInput(*faults)
