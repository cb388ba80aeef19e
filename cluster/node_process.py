"""What ``horarium node`` runs: opens the store and the broker, starts a node, waits for the signal to stop."""

import logging
import platform
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import version
from typing import Final, TypeVar

from cluster.node import Node
from cluster.observing import Port, observe
from cluster.settings import NodeSettings
from jobstore.errors import BrokerUnavailable, StoreUnavailable
from jobstore.events import Event
from jobstore.runtime import Runtime
from jobstore.store import open_store
from workers.purging import open_purge
from workers.sender import open_broker_epoch, open_sender

_LOG: Final = logging.getLogger("horarium.node")
_RETRY_EVERY: Final = 1.0


def run_node(settings: NodeSettings, runtime: Runtime) -> int:
    """Run a scheduler node until SIGTERM or SIGINT; return the exit code.

    Raises:
        StoreUnavailable: MongoDB did not answer within ``settings.start_within``.
        BrokerUnavailable: The broker did not.
        ConfigurationError: A URL, a port or the deployment cannot be used.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    runtime.events.listen(log_event)
    within, name = timedelta(seconds=settings.start_within), settings.name
    store = open_store(settings.mongodb_url, control=settings.database, runtime=runtime, name=f"horarium-node {name}")
    key = patiently(store.message_key, runtime, stop, within)
    sender = open_sender(settings.broker_url, key, runtime.ids)
    broker = open_broker_epoch(settings.broker_url, runtime.ids)
    messages = open_purge(settings.broker_url)
    node = Node(
        store=store,
        sender=sender,
        broker=broker,
        policy=settings.policy(),
        name=name,
        boot=runtime.ids.token(),
        about=about(),
        messages=messages,
    )
    observed = observe(node, Port(host=settings.http_host, port=settings.http_port, tenants=settings.metrics_tenants))
    # A node that starts where the broker is away would claim what it cannot hand over; it says so instead.
    node.sweep.broker_lost = patiently(broker.check, runtime, stop, within)
    patiently(node.start, runtime, stop, within)
    _LOG.info("node %s is ready", name)
    stop.wait()
    _LOG.info("node %s is stopping", name)
    observed.pulse.leave()
    try:
        node.stop(timedelta(seconds=settings.stop_within))
    except StoreUnavailable:
        _LOG.warning("node %s could not say goodbye: MongoDB does not answer", name)
    observed.close()
    sender.close()
    broker.close()
    messages.close()
    store.close()
    return 0


def about() -> dict[str, str]:
    """Return what a node tells about itself in its heartbeat."""
    return {
        "version": version("horarium"),
        "host": platform.node(),
        "python": platform.python_version(),
        "tzdata": version("tzdata"),
    }


_T = TypeVar("_T")


def patiently(call: Callable[[], _T], runtime: Runtime, stop: threading.Event, within: timedelta) -> _T:
    """Call until it works; a server that is not there yet is waited for, but not for ever."""
    deadline = runtime.clock.monotonic() + within.total_seconds()
    while True:
        try:
            return call()
        except (StoreUnavailable, BrokerUnavailable) as error:
            left = deadline - runtime.clock.monotonic()
            if left <= 0 or stop.is_set():
                raise
            _LOG.warning("%s; trying again for %.0f s", error, left)
            runtime.clock.wait(stop, _RETRY_EVERY)


_QUIET: Final = frozenset({"PassEnded", "FiringReleased"})


def log_event(event: Event) -> None:
    """Write an event as one log line; what happens all the time at a level that is off by default."""
    name = type(event).__name__
    level = logging.DEBUG if name in _QUIET else logging.INFO
    if _LOG.isEnabledFor(level):
        _LOG.log(level, "%s", event)
