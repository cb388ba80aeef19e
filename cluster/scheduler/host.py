"""What a visit needs of the scheduler that it is made for."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from logging import Logger
from typing import Any

from apscheduler.schedulers.base import STATE_RUNNING

from cluster.scheduler.evaluation import Evaluations
from jobstore.apscheduler.bounded import plan_bounded
from jobstore.apscheduler.plan import Plan
from jobstore.apscheduler.presence import Presence
from jobstore.clock import Clock
from jobstore.ids import IdSource


@dataclass(slots=True)
class _Shared:
    presence: Presence
    stores: set[Any] = field(default_factory=set)
    busy: bool = False


class Presences:
    """One sign of life for each database, however many tenants' stores are in it."""

    def __init__(self, ids: IdSource, clock: Clock, logger: Logger, dead_after_s: float) -> None:
        self._ids = ids
        self._clock = clock
        self._logger = logger
        self._dead_after_s = dead_after_s
        self._shared: dict[tuple[int, str], _Shared] = {}
        self._lock = threading.Lock()

    def acquire(self, store: Any) -> Presence:
        """Return the sign of life in a store's database, given from now on (raises StoreUnavailable)."""
        with self._lock:
            shared = self._shared.get(_key(store))
            if shared is None:
                database = store.collection.database
                presence = Presence(database, self._ids, self._clock, self._logger, self._dead_after_s)
                shared = self._shared[_key(store)] = _Shared(presence)
            shared.stores.add(store)
        shared.presence.start()
        return shared.presence

    def release(self, store: Any) -> None:
        """Let a store go; with the last one of its database the sign of life ends."""
        with self._lock:
            shared = self._shared.get(_key(store))
            if shared is None:
                return
            shared.busy = shared.busy or store.busy
            shared.stores.discard(store)
            if shared.stores:
                return
            del self._shared[_key(store)]
        shared.presence.stop(busy=shared.busy)


@dataclass(slots=True)
class Host:
    """A scheduler, as its visits see it.  No method waits for anything."""

    scheduler: Any
    clock: Clock
    presences: Presences
    closing: Callable[[], bool]
    evaluations: Evaluations

    @property
    def claiming(self) -> bool:
        """Return whether jobs may be handed over: neither stopped, nor about to stop, nor paused."""
        return self.scheduler.state == STATE_RUNNING and not self.closing()

    @property
    def logger(self) -> Logger:
        """Return the scheduler's logger."""
        logger: Logger = self.scheduler._logger
        return logger

    @property
    def lock(self) -> Any:
        """Return the lock that stores in memory rely on."""
        return self.scheduler._jobstores_lock

    def now(self) -> datetime:
        """Return the time in the scheduler's zone."""
        return self.clock.now().astimezone(self.scheduler.timezone)

    def executor(self, alias: str) -> Any:
        """Return an executor, or None if there is none of that name."""
        return self.scheduler._executors.get(alias)

    def plan(self, state: Mapping[str, Any], first: datetime, now: datetime, decided_through: float | None) -> Plan:
        """Return what a job owes (raises InvalidTrigger, TriggerStuck)."""
        return self.evaluations.call(partial(plan_bounded, state, first, now, decided_through))

    def dispatch(self, event: Any) -> None:
        """Tell the listeners."""
        self.scheduler._dispatch_event(event)


def _key(store: Any) -> tuple[int, str]:
    return id(store.client), store.collection.database.name
