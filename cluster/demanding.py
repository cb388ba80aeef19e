"""``horarium api``: health, metrics, and what each pool wants, for whoever scales the workers.

``GET /v1/pools/{pool}/demand`` answers ``{slots, running, queued, due_soon, oldest_age_s}`` behind a key.
"""

import hmac
import json
import logging
import re
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics

from cluster.settings import ApiSettings
from cluster.telemetry import StoreMetrics
from jobstore.demand import Demand, read_demand
from jobstore.errors import StoreUnavailable
from jobstore.expectations import Expectations
from jobstore.runtime import Runtime
from jobstore.store import Store, open_store
from workers.health import Answer, HealthServer, Verdict

_LOG: Final = logging.getLogger("horarium.api")
_PATH: Final = re.compile(r"/v1/pools/([a-z][a-z0-9-]{0,38})/demand/?")
_KEPT_S: Final = 2.0


@dataclass(slots=True)
class Desk:
    """Answers about demand, from one reading of the store for everybody who asks within two seconds."""

    store: Store
    horizon: timedelta
    key: str
    _expectations: Expectations = field(init=False)
    _read: tuple[float, list[Demand]] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._expectations = Expectations(self.store)

    def demands(self) -> list[Demand]:
        """Return what every pool wants (raises StoreUnavailable)."""
        with self._lock:
            now = self.store.runtime.clock.monotonic()
            if self._read is None or now - self._read[0] > _KEPT_S:
                self.store.cache.refresh()
                found = read_demand(self.store, horizon=self.horizon, expectations=self._expectations)
                self._read = (now, found)
            return self._read[1]

    def ready(self) -> Verdict:
        """Return whether MongoDB answers."""
        try:
            self.demands()
        except StoreUnavailable as error:
            return Verdict(good=False, said=str(error))
        return Verdict(good=True, said="MongoDB answers")

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer | None:
        """Answer a request, or None if it is about nothing we know."""
        found = _PATH.fullmatch(path.partition("?")[0])
        if found is None:
            return None
        refused = self._refuse(headers.get("authorization", ""))
        if refused is not None:
            return refused
        try:
            demands = {demand.pool: demand for demand in self.demands()}
        except StoreUnavailable as error:
            # Never a zero: it would take a busy pool's workers away.
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)})
        return _said(HTTPStatus.OK, shape(demands.get(found[1]) or Demand(pool=found[1])))

    def _refuse(self, authorization: str) -> Answer | None:
        if not self.key:
            return _said(HTTPStatus.UNAUTHORIZED, {"error": "this API has no key: set HORARIUM_API_KEY"})
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.key.encode()):
            return None
        return _said(HTTPStatus.UNAUTHORIZED, {"error": "send the key: Authorization: Bearer …"})


def shape(demand: Demand) -> dict[str, float]:
    """Return a demand as KEDA's metrics-api reads it."""
    return {
        "slots": demand.slots,
        "running": demand.running,
        "queued": demand.queued,
        "due_soon": demand.due_soon,
        "oldest_age_s": round(demand.oldest_age_s, 3),
    }


def _said(status: HTTPStatus, value: Mapping[str, object]) -> Answer:
    return Answer(status, json.dumps(value).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Api:
    """The server and what it answers with."""

    desk: Desk
    server: HealthServer


def make_api(store: Store, settings: ApiSettings) -> Api:
    """Return the API, its port bound and not yet answering (raises ConfigurationError)."""
    desk = Desk(store, timedelta(seconds=settings.horizon), settings.api_key.get_secret_value())
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(StoreMetrics(desk.demands, lambda: store.time.offset, store.runtime.clock))
    server = HealthServer(
        settings.host,
        settings.port,
        # An outage of MongoDB must not restart every replica at once.
        alive=lambda: Verdict(good=True, said="answering"),
        ready=desk.ready,
        registry=registry,
        more=desk.answer,
    )
    return Api(desk, server)


def run_api(settings: ApiSettings, runtime: Runtime) -> int:
    """Answer until SIGTERM or SIGINT; return the exit code.

    Raises:
        ConfigurationError: A URL or the port cannot be used.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    store = open_store(settings.mongodb_url, control=settings.database, runtime=runtime, name="horarium-api")
    api = make_api(store, settings)
    api.server.start()
    _LOG.info("the api is ready on %s:%d", settings.host, api.server.port)
    stop.wait()
    api.server.close()
    store.close()
    return 0
