"""What one schedule is played on: the server, and what its seed says may happen."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pymongo import MongoClient

from jobstore.ledger import Ledger
from jobstore.tenant import Place, Tenant, to_document
from jobstore.tenants import Tenants
from tests.support.ids import CountingIds
from tests.support.simulation_fibers import Fiber

START: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
UID: Final = "acme-a00001"


@dataclass(frozen=True, slots=True)
class Profile:
    """What may happen in one schedule, drawn from its seed."""

    theme: str
    actions: int
    switch: float
    jobs: int
    instances: int
    every: int
    horizon: int
    store_faults: float
    broker_faults: float
    lossy: bool
    on_lost: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Options:
    """For negative controls: ``rollback`` plays a fail-over that undoes writes, ``theme`` says what happens often."""

    rollback: bool = False
    theme: str | None = None


class _Collections(dict[str, Any]):
    """The collections of a database, each made once."""

    def __init__(self, client: MongoClient[dict[str, Any]], database: str) -> None:
        super().__init__()
        self._database = client[database]

    def __missing__(self, name: str) -> Any:
        self[name] = self._database[name]
        return self[name]


class Server:
    """The mongod and what all schedules of a session share on it."""

    def __init__(self, url: str, database: str) -> None:
        self.client: MongoClient[dict[str, Any]] = MongoClient(
            url, tz_aware=True, retryWrites=False, retryReads=False, w=1, journal=False
        )
        self.database = database
        self.raw = _Collections(self.client, database)
        self.fibers: list[Fiber] = []
        place = Place(uid=UID, database=database, jobs="jobs", firings="firings")
        self.tenant = Tenant(id="acme", place=place, created_at=START)
        Ledger(self.raw["firings"], CountingIds()).ensure()
        self.raw["jobs"].create_index("next_run_time", sparse=True)
        self.raw["agenda"].create_index("next")
        self.tenants = Tenants(self.client[database])
        self.tenants.add(self.tenant)
        self.tenant_changed = False

    def reset(self) -> None:
        """Empty what a schedule writes."""
        for name in ("agenda", "nodes", "workers", "jobs", "firings"):
            self.raw[name].delete_many({})
        if self.tenant_changed:
            self.raw["audit"].delete_many({})
            self.raw["tenants"].replace_one({"_id": self.tenant.id}, to_document(self.tenant))
            self.tenants.changed()
            self.tenant_changed = False

    def fiber(self) -> Fiber:
        """Return an idle fiber."""
        return self.fibers.pop() if self.fibers else Fiber()

    def close(self) -> None:
        """End the threads and the connection."""
        for fiber in self.fibers:
            fiber.end()
        self.client.close()


def draw_profile(rng: random.Random, options: Options) -> Profile:
    """Draw what may happen."""
    theme = rng.choice(("even", "even", "owner", "broker", "crash", "tenant"))
    theme = options.theme or theme
    return Profile(
        theme=theme,
        actions=rng.choice((10, 20, 30, 45)),
        switch=rng.choice((0.08, 0.2, 0.4)),
        jobs=rng.choice((1, 1, 2)),
        instances=rng.choice((1, 1, 1, 2)),
        every=rng.choice((4, 7, 15)),
        horizon=rng.choice((10, 20, 30)),
        store_faults=rng.choice((0.0, 0.0, 0.04)) if theme == "even" else 0.0,
        broker_faults=rng.choice((0.0, 0.25)),
        lossy=theme != "broker" and rng.random() < 0.4,
        on_lost=rng.choice(("retry", "retry", "fail")),
        attempts=rng.choice((1, 3)),
    )
