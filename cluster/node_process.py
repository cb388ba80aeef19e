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
from cluster.policy import NodePolicy
from jobstore.errors import BrokerUnavailable, StoreUnavailable
from jobstore.events import Event
from jobstore.runtime import Runtime
from jobstore.store import open_store
from workers.sender import open_broker_epoch, open_sender

_LOG: Final = logging.getLogger("horarium.node")
_RETRY_EVERY: Final = 1.0


def run_node(
    *,
    mongodb_url: str,
    database: str,
    broker_url: str,
    name: str,
    policy: NodePolicy,
    runtime: Runtime,
    start_within: timedelta,
    stop_within: timedelta,
) -> int:
    """Run a scheduler node until SIGTERM or SIGINT; return the exit code.

    Raises:
        StoreUnavailable: MongoDB did not answer within ``start_within``.
        BrokerUnavailable: The broker did not.
        ConfigurationError: A URL or the deployment cannot be used.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    runtime.events.listen(log_event)
    store = open_store(mongodb_url, control=database, runtime=runtime, name=f"horarium-node {name}")
    key = patiently(store.message_key, runtime, stop, start_within)
    sender = open_sender(broker_url, key)
    broker = open_broker_epoch(broker_url, runtime.ids)
    patiently(broker.check, runtime, stop, start_within)
    about = {
        "version": version("horarium"),
        "host": platform.node(),
        "python": platform.python_version(),
        "tzdata": version("tzdata"),
    }
    node = Node(
        store=store,
        sender=sender,
        broker=broker,
        policy=policy,
        name=name,
        boot=runtime.ids.token(),
        about=about,
    )
    patiently(node.start, runtime, stop, start_within)
    _LOG.info("node %s is ready", name)
    stop.wait()
    _LOG.info("node %s is stopping", name)
    try:
        node.stop(stop_within)
    except StoreUnavailable:
        _LOG.warning("node %s could not say goodbye: MongoDB does not answer", name)
    sender.close()
    store.close()
    return 0


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
