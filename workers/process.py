"""What ``horarium worker`` runs: a Celery worker on one pool's queue, with the user's application in it."""

import logging
import os
import platform
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from celery import Celery

from jobstore.clock import Clock, SystemClock
from jobstore.errors import BrokerUnavailable, ConfigurationError, StoreUnavailable
from jobstore.ids import SystemIds
from jobstore.pools import Pool
from jobstore.runtime import Runtime
from jobstore.store import open_store
from workers.app import CONNECT_TIMEOUT_S, transport_options
from workers.identity import check_packages, load_app
from workers.installation import Installation, install
from workers.observing import observe_worker
from workers.pooling import with_pool
from workers.settings import WorkerSettings
from workers.wire import queue_of

__all__ = ["WorkerSettings", "run_worker"]

_LOG: Final = logging.getLogger("horarium.worker")
_RETRY_EVERY_S: Final = 1.0
_T = TypeVar("_T")
# A run may be longer than any limit we know here; what is delivered again is dropped by the begin.
_VISIBILITY_S: Final = 3600


def run_worker(settings: WorkerSettings) -> int:
    """Run a worker until SIGTERM, which lets what runs come to its end; return the exit code.

    Raises:
        ConfigurationError: The application cannot be loaded, a URL or the deployment cannot be used.
        StoreUnavailable: MongoDB did not answer within ``start_within_s``.
        BrokerUnavailable: The broker did not.
    """
    check_packages()
    name = settings.name or f"{platform.node()}-{SystemIds().suffix()}"
    app = load_app(settings.app, Path.cwd()) if settings.app else Celery("horarium")
    installation = install(app)
    configure(app, settings)
    clock = SystemClock()
    if settings.http_port:
        observe_worker(installation, host=settings.http_host, port=settings.http_port, clock=clock)
    settings = with_pool(settings, patiently(lambda: check_store(settings), clock, settings.start_within_s))
    patiently(lambda: check_broker(app), clock, settings.start_within_s)
    return _serve(installation, settings, name)


def configure(app: Celery, settings: WorkerSettings) -> None:
    """Set what a worker of ours needs; it serves our queue only, so its settings are ours."""
    options = {"visibility_timeout": _VISIBILITY_S, **(app.conf.broker_transport_options or {})}
    url = settings.broker_url or app.conf.broker_url
    if not url:
        raise ConfigurationError("HORARIUM_BROKER_URL is not set, and the application names no broker")
    scheme = url.partition("://")[0]
    if scheme.startswith(("redis", "sentinel")):
        # Not the read timeout: this connection blocks in BRPOP by design.
        bounds = transport_options(url)
        options |= {key: bounds[key] for key in ("socket_connect_timeout", "socket_keepalive")}
        options.setdefault("health_check_interval", 10)
    app.conf.update(
        broker_url=url,
        broker_read_url=None,
        broker_write_url=None,
        broker_transport_options=options,
        broker_connection_timeout=CONNECT_TIMEOUT_S,
        # The start is bounded by our own check; after it a broker may be away for as long as it likes.
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_prefetch_multiplier=1,
        # A run goes on when its connection breaks: the ledger fences it, not the message.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_redirect_stdouts=False,
    )


def check_store(settings: WorkerSettings) -> Pool:
    """Look whether the job store answers and can keep the promises; return what it says about the pool.

    It hangs up afterwards: nothing stays open over a fork.

    Raises:
        StoreUnavailable: No server answered.
        ConfigurationError: The deployment cannot be used.
    """
    store = open_store(
        settings.mongodb_url, control=settings.database, runtime=Runtime(), name="horarium-worker (starting)"
    )
    try:
        store.ensure()
        store.message_key()
        return store.pools.get(settings.pool)
    finally:
        store.close()


def check_broker(app: Celery) -> None:
    """Look whether the broker answers (raises BrokerUnavailable)."""
    connection = app.connection_for_read()
    try:
        connection.connect()
    except (OSError, *connection.connection_errors, *connection.channel_errors) as error:
        raise BrokerUnavailable(f"the broker at {connection.host} does not answer: {error}") from error
    finally:
        connection.release()


def patiently(call: Callable[[], _T], clock: Clock, within_s: float) -> _T:
    """Call until it works; a server that is not there yet is waited for, but not for ever."""
    deadline = clock.monotonic() + within_s
    never = threading.Event()
    while True:
        try:
            return call()
        except (StoreUnavailable, BrokerUnavailable) as error:
            left = deadline - clock.monotonic()
            if left <= 0:
                raise
            _LOG.warning("%s; trying again for %.0f s", error, left)
            clock.wait(never, min(_RETRY_EVERY_S, left))


def _serve(installation: Installation, settings: WorkerSettings, name: str) -> int:
    app = installation.app
    installation.settings = settings

    def say() -> None:
        sys.stdout.write(f"horarium worker {name} is ready: pool {settings.pool}, {settings.celery_pool}, ")
        sys.stdout.write(f"{settings.concurrency} at a time, pid {os.getpid()}\n")
        sys.stdout.flush()

    installation.on_ready = say
    worker = app.Worker(**celery_options(settings, name))
    worker.start()
    return int(worker.exitcode or 0)


def celery_options(settings: WorkerSettings, name: str) -> Mapping[str, Any]:
    """Return how Celery's worker is started."""
    return {
        "hostname": f"horarium-{name}@{platform.node()}",
        "queues": [queue_of(pool) for pool in dict.fromkeys((settings.pool, *settings.queues))],
        "pool": settings.celery_pool,
        "concurrency": settings.concurrency,
        "loglevel": settings.loglevel.upper(),
        # A message goes to a child that is free, never behind one that is busy.
        "optimization": "fair",
        # What workers tell each other costs a connection and slows every reconnect; the ledger knows more.
        "without_gossip": True,
        "without_mingle": True,
        "without_heartbeat": True,
        "quiet": True,
    }
