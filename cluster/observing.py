"""Making a node observable: its counters, its pulse, its port, in one place."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from cluster.loop import Loop
from cluster.node import Node
from cluster.telemetry import NodeMetrics, StoreMetrics
from jobstore.demand import read_demand
from workers.health import HealthServer, Pulse


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Where the health server listens, and what it tells.

    ``tenants`` are kept apart in the lateness histogram; ``horizon`` is how far demand looks ahead.
    """

    host: str = "127.0.0.1"
    port: int = 9464
    tenants: Collection[str] = ()
    horizon: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Observed:
    """What ``observe`` made; close it after the node has stopped."""

    registry: CollectorRegistry
    pulse: Pulse
    server: HealthServer

    def close(self) -> None:
        """Stop answering."""
        self.server.close()


def observe(node: Node, where: Port) -> Observed:
    """Count what ``node`` announces, feel its claim loop's pulse and answer on ``where``; call it before ``start``.

    Raises:
        ConfigurationError: The port cannot be opened.
    """
    store = node.store
    # They double the number of series, and nothing here asks for them.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    store.runtime.events.listen(NodeMetrics(registry, about=node.about, tenants=where.tenants))
    registry.register(
        StoreMetrics(lambda: read_demand(store, horizon=where.horizon), lambda: store.time.offset, store.runtime.clock)
    )
    pulse = Pulse(store.runtime.clock)
    node.loops["claim"] = Loop("claim", pulse.around(node.claim), store.runtime)
    server = HealthServer(where.host, where.port, alive=pulse.alive, ready=pulse.ready, registry=registry)
    server.start()
    return Observed(registry, pulse, server)
