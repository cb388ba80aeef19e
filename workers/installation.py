"""One line in a user's Celery application: ``install(app)`` lets its workers run firings.

Registers ``horarium.run`` and the hooks of worker processes.  Outside a worker, and in workers that consume none of
our queues, it does nothing: no environment is read, no connection opened.
"""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final
from weakref import WeakKeyDictionary

from celery import Celery, Task, signals
from celery.exceptions import SoftTimeLimitExceeded

from jobstore.clock import SystemClock
from jobstore.errors import ConfigurationError
from workers import registry
from workers.draining import DrainCall
from workers.engine import Engine, start_engine
from workers.faults import mend_restore
from workers.settings import POOL_TYPES, PoolType, WorkerSettings
from workers.targets import ProcessTargets
from workers.wire import TASK, queue_of

_LOG: Final = logging.getLogger("horarium.worker")
_QUEUES: Final = queue_of("")
_CELERYS_PREFETCH: Final = 4
_MODULES: Final[dict[str, PoolType]] = {
    "prefork": "prefork",
    "thread": "threads",
    "threads": "threads",
    "solo": "solo",
    "processes": "prefork",
}
# A run longer than this is delivered again while it runs, which costs a worker's slot for a moment each time.
_SHORTEST_VISIBILITY_S: Final = 60


class Installation:
    """Our part of one Celery application."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.settings: WorkerSettings | None = None
        self.pools: tuple[str, ...] = ()
        self.celery_pool: PoolType = "prefork"
        self.on_ready: Callable[[], None] | None = None
        self._drain: DrainCall | None = None
        self._engine: Engine | None = None
        self._pid = 0
        self._hostname = ""
        self._lock = threading.Lock()

    def connect(self) -> None:
        """Register the task and listen to Celery's signals."""
        _register_task(self)
        for signal, hook in (
            (signals.worker_init, self._on_init),
            (signals.worker_process_init, self._on_process),
            (signals.worker_ready, self._on_ready),
            (signals.worker_shutting_down, self._on_shutting_down),
            (signals.worker_process_shutdown, self._on_end),
            (signals.worker_shutdown, self._on_end),
        ):
            signal.connect(hook, weak=False, dispatch_uid=f"horarium-{id(self)}-{hook.__name__}")

    def engine(self) -> Engine:
        """Return this process's engine, started now if it is not yet: never one from before a fork."""
        with self._lock:
            if self._engine is None or self._pid != os.getpid():
                self._engine, self._pid = self._start(), os.getpid()
            return self._engine

    def _start(self) -> Engine:
        settings = replace(self.settings or _environment(), celery_pool=self.celery_pool)
        hostname = self._hostname or settings.name or TASK
        return start_engine(
            settings,
            targets=ProcessTargets(self.app, registry.functions, SystemClock(), hostname),
            pools=self.pools,
            time_limit=SoftTimeLimitExceeded,
            own_process=self.celery_pool == "prefork",
            drain=self._drain,
        )

    # -- Celery's signals

    def _on_init(self, sender: Any, **_: Any) -> None:
        """Look at what the worker is going to do, before it forks."""
        if sender.app is not self.app:
            return
        queues = sender.app.amqp.queues.consume_from
        self.pools = tuple(sorted(name.removeprefix(_QUEUES) for name in queues if name.startswith(_QUEUES)))
        if not self.pools:
            return
        self._hostname = sender.hostname
        try:
            self.celery_pool = pool_type(sender.pool_cls)
            self.settings = self.settings or _environment()
        except ConfigurationError as error:
            # Celery logs what a signal handler raises and goes on; a worker that drops every message must not.
            _LOG.critical("%s", error)
            raise SystemExit(error.exit_code) from error
        # Before the fork: its children hold the other end.
        self._drain = DrainCall()
        mend_restore()
        _adjust(sender)

    def _on_process(self, **_: Any) -> None:
        """Start in a child of the pool, or in the one process of a solo worker."""
        if self.pools:
            self.engine()

    def _on_ready(self, sender: Any, **_: Any) -> None:
        if not self.pools or sender.app is not self.app:
            return
        if self.celery_pool == "threads":
            self.engine()
        if self.on_ready is not None:
            self.on_ready()

    def _on_shutting_down(self, **_: Any) -> None:
        if self._drain is not None:
            self._drain.call()

    def _on_end(self, **_: Any) -> None:
        with self._lock:
            engine = self._engine if self._pid == os.getpid() else None
            self._engine = None
        if engine is not None:
            engine.stop()


def install(app: Celery) -> Installation:
    """Let the workers of ``app`` run firings; calling it again changes nothing.

    Their settings come from the environment (``HORARIUM_MONGODB_URL``, ``HORARIUM_DATABASE``) when they start.
    """
    found = _installed.get(app)
    if found is None:
        found = _installed[app] = Installation(app)
        found.connect()
    return found


_installed: "WeakKeyDictionary[Celery, Installation]" = WeakKeyDictionary()


def _register_task(installation: Installation) -> None:
    def run(**fields: Any) -> None:
        installation.engine().run(fields)

    # Not the application's own base class, and no setting of its tasks: this one has promises to keep.
    installation.app.task(
        run,
        name=TASK,
        base=Task,
        typing=False,
        # An early acknowledgement would let the broker forget a message that waits behind a long run.
        acks_late=True,
        acks_on_failure_or_timeout=True,
        acks_on_failure=True,
        acks_on_timeout=True,
        # Attempts are counted in the ledger; a requeue would not be.
        reject_on_worker_lost=False,
        retry_on_worker_lost=False,
        max_retries=0,
        ignore_result=True,
        store_errors_even_if_ignored=False,
        track_started=False,
        rate_limit=None,
        time_limit=None,
        soft_time_limit=None,
        serializer="json",
    )


def pool_type(pool: Any) -> PoolType:
    """Return which of the pools that can run firings ``pool`` is: a name or class, as Celery's worker has it.

    Raises:
        ConfigurationError: It is another one.
    """
    name = pool if isinstance(pool, str) else getattr(pool, "__module__", "")
    found = _MODULES.get(name.partition(":")[0].rpartition(".")[2])
    if found is None:
        raise ConfigurationError(f"firings cannot run in the Celery pool {name!r}; use {', '.join(POOL_TYPES)}")
    return found


def _adjust(worker: Any) -> None:
    """Set what the promises need, and only that."""
    conf = worker.app.conf
    if "json" not in conf.accept_content:
        conf.accept_content = [*conf.accept_content, "json"]
    if worker.prefetch_multiplier == _CELERYS_PREFETCH:
        # Messages that wait behind a long run are late, and no other worker can take them.
        worker.prefetch_multiplier = 1
    visibility = (conf.broker_transport_options or {}).get("visibility_timeout")
    if visibility is not None and visibility < _SHORTEST_VISIBILITY_S:
        _LOG.warning(
            "the broker's visibility_timeout of %s s is short: every longer run is delivered again, and dropped, "
            "each time it passes; 3600 is Celery's default",
            visibility,
        )


def _environment() -> WorkerSettings:
    from workers.__main__ import settings_from_environment

    return settings_from_environment()
