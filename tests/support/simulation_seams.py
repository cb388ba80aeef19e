"""The seams at which a simulated process may be stopped: MongoDB commands, the clock, the broker, the crash points.

Everything on the far side is real: a real mongod executes every command of the real code.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from bson.codec_options import CodecOptions
from pymongo.errors import AutoReconnect

from jobstore.runtime import Runtime
from jobstore.servertime import ManualServerTime
from jobstore.store import Store, store_on

Document = dict[str, Any]
WRITES = frozenset(
    ("insert_one", "insert_many", "update_one", "update_many", "bulk_write", "find_one_and_update", "replace_one",
     "delete_one", "delete_many")
)  # fmt: skip


class Controller(Protocol):
    """What a schedule decides at every seam."""

    def at(self, process: str, place: str) -> None:
        """Say that ``process`` is about to pass ``place``; returns when it may, raises Killed when it dies here."""
        ...

    def fault(self, process: str, command: str) -> str:
        """Return ``""``, ``"before"`` (the command never arrives) or ``"after"`` (its reply is lost)."""
        ...

    def seen(self, process: str, collection: str, command: str, result: Any, words: Sequence[Any]) -> None:
        """Look at what a command did."""
        ...

    def sleep(self, process: str, seconds: float) -> None:
        """Let ``process`` wait until the simulated clock has moved on."""
        ...

    def stand_back(self) -> None:
        """Let others go on: what is wanted is held by another thread of the same process."""
        ...


class SimulatedClock:
    """One clock for all processes; it moves only when the schedule says so, and a millisecond with every command."""

    def __init__(self, start: datetime) -> None:
        self.start = start
        self.elapsed = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.elapsed = round(self.elapsed + seconds, 3)

    def now(self) -> datetime:
        """Return the wall clock."""
        return self.start + timedelta(milliseconds=round(self.elapsed * 1000))

    def monotonic(self) -> float:
        """Return the monotonic clock."""
        return 1000.0 + self.elapsed


@dataclass(frozen=True)
class ProcessClock:
    """The clock as one process sees it: waiting hands the baton back."""

    clock: SimulatedClock
    controller: Controller
    process: str

    def now(self) -> datetime:
        """Return the wall clock."""
        return self.clock.now()

    def monotonic(self) -> float:
        """Return the monotonic clock."""
        return self.clock.monotonic()

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        """Wait in simulated time."""
        self.controller.sleep(self.process, seconds)
        return wake.is_set()


@dataclass(frozen=True)
class ProcessPoints:
    """Crash points: places like any other."""

    controller: Controller
    process: str

    def reach(self, name: str) -> None:
        """Pass the point, or stop there."""
        self.controller.at(self.process, name)


class SeamLock:
    """A lock between threads that take turns: waiting for it hands the baton back."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            self._controller.stand_back()
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False


class SeamCollection:
    """A collection whose every command passes a seam; bulks are taken apart, as other writers may come in between."""

    def __init__(self, collection: Any, controller: Controller, clock: SimulatedClock, process: str) -> None:
        self._collection = collection
        self._controller = controller
        self._clock = clock
        self._process = process
        self.name: str = collection.name

    def __getattr__(self, command: str) -> Any:
        call = getattr(self._collection, command)
        if not callable(call):
            return call

        def passed(*words: Any, **named: Any) -> Any:
            return self._pass(command, call, words, named)

        return passed

    def create_index(self, *_: Any, **__: Any) -> None:
        """Indexes were made once, for all schedules."""

    def find(self, *words: Any, **named: Any) -> list[Document]:
        """Find, at once."""
        return list(self._pass("find", lambda *w, **n: list(self._collection.find(*w, **n)), words, named))

    def bulk_write(self, requests: Sequence[Any], **named: Any) -> Any:
        """Write one after the other: an unordered bulk promises no more."""
        results = [self._pass("bulk_write", self._collection.bulk_write, ([one],), named) for one in requests]
        return _Counts(sum(one.matched_count for one in results), sum(one.modified_count for one in results))

    def _pass(self, command: str, call: Callable[..., Any], words: Sequence[Any], named: Document) -> Any:
        self._controller.at(self._process, f"{self.name}.{command}")
        self._clock.advance(0.001)
        fault = self._controller.fault(self._process, command)
        if fault == "before":
            raise AutoReconnect("the simulated network lost the command")
        result = call(*words, **named)
        self._controller.seen(self._process, self.name, command, result, words)
        if fault == "after":
            raise AutoReconnect("the simulated network lost the reply")
        return result


@dataclass(frozen=True, slots=True)
class _Counts:
    matched_count: int
    modified_count: int


class SeamDatabase:
    """A database of seam collections."""

    def __init__(self, name: str, collections: Any, controller: Controller, clock: SimulatedClock, owner: str) -> None:
        self._make = lambda name: SeamCollection(collections[name], controller, clock, owner)
        self._made: dict[str, SeamCollection] = {}
        self.name = name

    def __getitem__(self, name: str) -> SeamCollection:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]


class SeamClient:
    """A client of one seam database; majority is left out, because a single member has nobody to wait for."""

    codec_options = CodecOptions[Document](tz_aware=True)

    def __init__(self, collections: Any, controller: Controller, clock: SimulatedClock, owner: str) -> None:
        self._parts = (collections, controller, clock, owner)
        self._made: dict[str, SeamDatabase] = {}

    def get_database(self, name: str, **_: Any) -> SeamDatabase:
        """Return the database."""
        if name not in self._made:
            self._made[name] = SeamDatabase(name, *self._parts)
        return self._made[name]

    def close(self) -> None:
        """Leave the shared client open."""


def seam_store(client: Any, database: str, runtime: Runtime, controller: Controller) -> Store:
    """Return the real store over a seam client."""
    store = store_on(client, control=database, runtime=runtime, time=ManualServerTime(runtime.clock))
    store.cache._lock = SeamLock(controller)  # type: ignore[assignment]  # held over a command
    return store
