"""Pools as configuration: what their workers are like, and which tenants' firings go to another pool.

Shape of a document of the collection ``pools``::

    {_id: "etl", v: 1, revision: 3, settings: {concurrency: 8, drain_s: 60.0}, by: "ann", at: ISODate,
     moved: {"acme-k3x9q2": "gpu"}}

``settings`` holds what was said, not the defaults.  ``moved`` says that the firings of a tenant which belong into this
pool are handed to another one: it stands with the pool that they leave, so that there is one answer for each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from jobstore.clock import Clock
from jobstore.connection import Document, stored
from jobstore.errors import InvalidInput, StoreUnavailable, Unreadable

VERSION: Final = 1
# How long a process goes on with what it knows of the pools before it reads them again.
KNOWN_FOR: Final = 1.0


class PoolSettings(BaseModel):
    """What may be said about a pool; None says nothing, and the environment or the default of a worker counts.

    Attributes:
        celery_pool: How runs go on side by side.
        concurrency: Runs at a time in one worker.
        queues: Further pools whose queues its workers serve.
        time_limit_s: Limit of a run whose job has none.
        max_time_limit_s: Most that any run may take, whatever its job says.
        drain_s: How long runs may take to end when a worker is stopped.
        min_replicas: Fewest workers, for whoever scales them.
        max_replicas: Most workers.
        description: For people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    celery_pool: Literal["prefork", "threads", "solo"] | None = None
    concurrency: int | None = Field(default=None, ge=1, le=1000)
    queues: tuple[str, ...] | None = Field(default=None, max_length=20, strict=False)
    time_limit_s: float | None = Field(default=None, gt=0, le=7 * 86_400)
    max_time_limit_s: float | None = Field(default=None, gt=0, le=7 * 86_400)
    drain_s: float | None = Field(default=None, ge=0, le=86_400)
    min_replicas: int | None = Field(default=None, ge=0, le=10_000)
    max_replicas: int | None = Field(default=None, ge=0, le=10_000)
    description: str | None = Field(default=None, max_length=1000)

    @model_validator(mode="after")
    def _agree(self) -> "PoolSettings":
        if None not in (self.min_replicas, self.max_replicas) and self.min_replicas > self.max_replicas:  # type: ignore[operator]
            raise ValueError("min_replicas is more than max_replicas")
        if None not in (self.time_limit_s, self.max_time_limit_s) and self.time_limit_s > self.max_time_limit_s:  # type: ignore[operator]
            raise ValueError("time_limit_s is more than max_time_limit_s")
        return self

    def said(self) -> dict[str, Any]:
        """Return what is said: the stored form."""
        found = self.model_dump(exclude_none=True)
        return found | ({"queues": list(self.queues)} if self.queues is not None else {})


KEYS: Final = tuple(PoolSettings.model_fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool as stored; ``revision`` 0 means that nobody has said anything about it."""

    name: str
    settings: PoolSettings = field(default_factory=PoolSettings)
    revision: int = 0
    moved: Mapping[str, str] = field(default_factory=dict)
    by: str = ""
    at: datetime | None = None


def read_pool_settings(fields: Mapping[str, Any]) -> PoolSettings:
    """Return the settings that people or a document wrote.

    Raises:
        InvalidInput: With a sentence for every fault.
    """
    try:
        return PoolSettings.model_validate(dict(fields))
    except ValidationError as error:
        raise InvalidInput(*(_sentence(fault) for fault in error.errors())) from error


def _sentence(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(part)[:60] for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{where} is not a setting of a pool; known: {', '.join(KEYS)}"
    message = str(fault["msg"]).removeprefix("Value error, ").replace("Input should be", "it must be")
    return f"{where}: {message}" if where else message


class Pools:
    """The collection of pools."""

    def __init__(self, control: Database[Document]) -> None:
        self._pools = control["pools"]

    @stored
    def all(self) -> list[Pool]:
        """Return every pool about which something is said, by name (raises Unreadable)."""
        return [_pool(document) for document in self._pools.find({}, sort=[("_id", ASCENDING)])]

    @stored
    def get(self, name: str) -> Pool:
        """Return one pool; one that nobody spoke of has revision 0 (raises Unreadable)."""
        found = self._pools.find_one({"_id": str(name)})
        return Pool(name=name) if found is None else _pool(found)

    @stored
    def put(self, name: str, settings: PoolSettings, *, revision: int, by: str, at: datetime) -> bool:
        """Write a pool's settings if it has ``revision``; return whether it had."""
        fields = {"v": VERSION, "revision": revision + 1, "settings": settings.said(), "by": by, "at": at}
        if revision == 0:
            try:
                self._pools.insert_one({"_id": name, **fields, "moved": {}})
            except DuplicateKeyError:
                return False
            return True
        return self._pools.update_one({"_id": name, "revision": revision}, {"$set": fields}).matched_count == 1

    @stored
    def remove(self, name: str, *, revision: int) -> bool:
        """Forget a pool if it has ``revision`` and no tenant's firings are led away from it."""
        result = self._pools.delete_one({"_id": name, "revision": revision, "moved": {}})
        return result.deleted_count == 1

    @stored
    def move(self, uid: str, *, away_from: str, to: str, revision: int, by: str, at: datetime) -> bool:
        """Lead a tenant's firings from one pool to another, or back; return whether the pool had ``revision``."""
        path = f"moved.{uid}"
        if revision == 0 and not self.put(away_from, PoolSettings(), revision=0, by=by, at=at):
            return False
        change: Document = {"$set": {"by": by, "at": at}, "$inc": {"revision": 1}}
        if to == away_from:
            change["$unset"] = {path: ""}
        else:
            change["$set"][path] = to
        return self._pools.update_one({"_id": away_from, "revision": max(1, revision)}, change).matched_count == 1


def _pool(document: Mapping[str, Any]) -> Pool:
    name = document.get("_id")
    if document.get("v") != VERSION:
        raise Unreadable(f"pool {name!r} is stored in version {document.get('v')!r}; this release reads {VERSION}")
    try:
        return Pool(
            name=str(name),
            settings=read_pool_settings(document["settings"]),
            revision=int(document["revision"]),
            moved={str(uid): str(to) for uid, to in document["moved"].items()},
            by=str(document["by"]),
            at=document["at"],
        )
    except (AttributeError, InvalidInput, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"the document of pool {name!r} is damaged: {error}") from error


class Routes:
    """Which pool a tenant's firings are handed to, as this process last read it."""

    def __init__(self, pools: Pools, clock: Clock) -> None:
        self._pools = pools
        self._clock = clock
        self._moved: Mapping[tuple[str, str], str] = {}
        self._read_at: float | None = None

    def refresh(self) -> None:
        """Read the pools again if what is known is older than a second.

        When MongoDB does not answer, or a pool cannot be read, what was known goes on: a firing in its former pool is
        better than none.
        """
        now = self._clock.monotonic()
        if self._read_at is not None and now - self._read_at < KNOWN_FOR:
            return
        try:
            self._moved = routes_of(self._pools.all())
        except (StoreUnavailable, Unreadable):
            return
        self._read_at = now

    def pool(self, uid: str, pool: str) -> str:
        """Return the pool that firings of ``uid`` which belong into ``pool`` are handed to; never led on twice."""
        return self._moved.get((uid, pool), pool)

    def moved(self) -> Mapping[tuple[str, str], str]:
        """Return every (uid, pool) whose firings are handed to another pool."""
        return self._moved


def routes_of(pools: Sequence[Pool]) -> dict[tuple[str, str], str]:
    """Return (uid, pool) → the pool that its firings are handed to."""
    return {(uid, pool.name): to for pool in pools for uid, to in pool.moved.items()}
