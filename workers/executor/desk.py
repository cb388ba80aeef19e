"""The connections of one executor: its store, its tenant, its sender; opened when they are first needed."""

import threading
from dataclasses import dataclass, field, replace

from jobstore.apscheduler.executed import Executed
from jobstore.errors import AlreadyExists, ConfigurationError, NotFound
from jobstore.ids import check_pool, check_tenant_id
from jobstore.ledger import Ledger
from jobstore.runtime import Runtime
from jobstore.store import Store, open_store
from jobstore.tenant import Place, Tenant
from workers.sender import BrokerEpoch, Sender, open_broker_epoch, open_sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where an executor's runs are recorded and sent."""

    broker_url: str
    mongodb_url: str
    database: str
    tenant: str
    pool: str
    queue_grace_s: float
    time_limit_s: float | None

    def __post_init__(self) -> None:
        check_tenant_id(self.tenant)
        check_pool(self.pool)
        if self.queue_grace_s < 0:
            raise ConfigurationError("queue_grace must not be negative")


@dataclass(slots=True, kw_only=True)
class Open:
    """What a desk has opened."""

    store: Store
    uid: str
    place: Place
    key: bytes
    ledger: Ledger
    executed: Executed
    sender: Sender
    epoch: BrokerEpoch

    def tenant(self) -> Tenant:
        """Return the tenant as confirmed just now, or recently.

        Raises:
            ConfigurationError: It gets no new runs: it is suspended, draining or gone.
            StoreUnavailable: MongoDB did not answer.
        """
        cache = self.store.cache
        if not cache.trusted():
            cache.refresh()
        tenant = cache.get(self.uid)
        if tenant is None or tenant.state != "active":
            state = "gone" if tenant is None else tenant.state
            raise ConfigurationError(f"the tenant {self.uid} is {state}: it gets no new runs")
        return tenant


@dataclass(slots=True)
class Desk:
    """Opens on demand, so that a scheduler starts while MongoDB or the broker is away.  Safe for threads."""

    settings: Settings
    given: Store | None = None
    runtime: Runtime = field(default_factory=Runtime)
    _open: Open | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> Open:
        """Return the connections.

        Raises:
            StoreUnavailable: MongoDB did not answer.
            ConfigurationError: The deployment or a URL cannot be used.
        """
        with self._lock:
            if self._open is None:
                self._open = self._connect()
            return self._open

    def close(self) -> None:
        """Close what was opened here; a client that was given stays open."""
        with self._lock:
            opened, self._open = self._open, None
        if opened is not None:
            opened.sender.close()
            opened.epoch.close()
            if self.given is None:
                opened.store.close()

    def _connect(self) -> Open:
        settings = self.settings
        store = self.given or open_store(
            settings.mongodb_url, control=settings.database, runtime=self.runtime, name="horarium-apscheduler"
        )
        try:
            store.ensure()
            place = self._tenant(store).place
            ledger = store.ledger(place)
            ledger.ensure()
            key = store.message_key()
        except BaseException:
            if self.given is None:
                store.close()
            raise
        return Open(
            store=store,
            uid=place.uid,
            place=place,
            key=key,
            ledger=ledger,
            executed=Executed(store, place),
            sender=open_sender(settings.broker_url, key),
            epoch=open_broker_epoch(settings.broker_url, self.runtime.ids),
        )

    def _tenant(self, store: Store) -> Tenant:
        """Return the tenant that the runs are recorded under, made at first use."""
        name = self.settings.tenant
        try:
            return store.tenants.get(name)
        except NotFound:
            uid = f"{name}-{self.runtime.ids.suffix()}"
        database = self.settings.database
        place = Place(uid=uid, database=database, jobs=f"jobs.{uid}", firings=f"firings.{uid}")
        made = Tenant(id=name, place=place, created_at=store.time.now())
        made = replace(made, defaults=replace(made.defaults, pool=self.settings.pool))
        try:
            store.tenants.add(made)
        except AlreadyExists:  # another process was quicker
            return store.tenants.get(name)
        return made
