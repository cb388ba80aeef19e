"""Everything one process knows about MongoDB, opened once at its composition root."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bson.binary import Binary
from pymongo import MongoClient, ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError
from pymongo.monitoring import CommandListener

from jobstore.agenda import Agenda
from jobstore.audit import Audit
from jobstore.claims import Claims
from jobstore.connection import Document, check_deployment, connect, database, stored
from jobstore.errors import ConfigurationError
from jobstore.gates import Gates
from jobstore.jobs import Jobs
from jobstore.ledger import Ledger
from jobstore.members import Members
from jobstore.pools import Pools, Routes
from jobstore.runs import Runs
from jobstore.runtime import Runtime
from jobstore.servertime import MeasuredServerTime, ServerTime
from jobstore.tenant import Place
from jobstore.tenants import Collections, TenantCache, Tenants


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The control collections, and doors to each tenant's own."""

    client: MongoClient[Document]
    control: Database[Document]
    runtime: Runtime
    time: ServerTime
    collections: Collections
    tenants: Tenants
    cache: TenantCache
    agenda: Agenda
    audit: Audit
    gates: Gates
    nodes: Members
    workers: Members
    pools: Pools
    routes: Routes

    def jobs(self, place: Place) -> Jobs:
        """Return the tenant's jobs."""
        return Jobs(self.collections, place, self.time, self.runtime)

    def ledger(self, place: Place | tuple[str, str]) -> Ledger:
        """Return the ledger of a place, or of (database, collection)."""
        where = place.ledger if isinstance(place, Place) else place
        return Ledger(self.collections.ledger(where), self.runtime.ids)

    def runs(self, place: Place) -> Runs:
        """Return the worker's side of the tenant's ledger."""
        return Runs(self.collections.firings(place), self.time)

    def claims(self, lease: timedelta) -> Claims:
        """Return the claimer of due jobs."""
        return Claims(self.collections, self.time, self.runtime, lease=lease)

    def ensure(self) -> None:
        """Check the deployment and create the control collections' indexes (idempotent).

        Raises:
            ConfigurationError: The deployment cannot keep the promises.
            StoreUnavailable: No server answered.
        """
        check_deployment(self.client)
        self.agenda.ensure()
        self.audit.ensure()
        self._ensure_tenants()

    @stored
    def _ensure_tenants(self) -> None:
        self.control["tenants"].create_index("uid", unique=True)

    @stored
    def message_key(self) -> bytes:
        """Return the key that messages are signed with, made at first use.

        It lives in the control database: whoever can read that can write the ledger, which is what a message is
        believed by.
        """
        config = self.control["config"]
        fresh = Binary(bytes.fromhex(self.runtime.ids.token() + self.runtime.ids.token()))
        try:
            found = config.find_one_and_update(
                {"_id": "message_key"},
                {"$setOnInsert": {"v": 1, "key": fresh}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:  # two first users at once
            found = config.find_one({"_id": "message_key"})
        return bytes(found["key"]) if found else bytes(fresh)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def open_store(
    url: str,
    *,
    control: str,
    runtime: Runtime,
    name: str,
    time: ServerTime | None = None,
    listeners: Sequence[CommandListener] = (),
) -> Store:
    """Return the store of the deployment at ``url`` with the control database ``control``.

    It connects when first used.  ``name`` shows in the server's logs; ``time`` replaces the measured server clock in
    tests, ``listeners`` are told of every command.

    Raises:
        ConfigurationError: The URL cannot be read.
    """
    client = connect(url, name=name, listeners=listeners)
    return store_on(client, control=control, runtime=runtime, time=time)


def store_on(client: MongoClient[Document], *, control: str, runtime: Runtime, time: ServerTime | None = None) -> Store:
    """Return the store on a client that was made elsewhere.

    Raises:
        ConfigurationError: The client gives times without a zone.
    """
    if not client.codec_options.tz_aware:
        raise ConfigurationError("make the MongoClient with tz_aware=True; without it times lose their zone")
    base = database(client, control)
    tenants, pools = Tenants(base), Pools(base)
    return Store(
        client=client,
        control=base,
        runtime=runtime,
        time=time or MeasuredServerTime(base, runtime.clock),
        collections=Collections(client),
        tenants=tenants,
        cache=TenantCache(tenants, runtime.clock),
        agenda=Agenda(base, runtime.ids),
        audit=Audit(base, runtime.ids),
        gates=Gates(base),
        nodes=Members(base, "nodes"),
        workers=Members(base, "workers"),
        pools=pools,
        routes=Routes(pools, runtime.clock),
    )
