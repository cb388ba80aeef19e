"""A cluster of real processes over the test's servers, and what it left behind."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cluster.checking import Finding, History, check, check_lines, unfinished
from cluster.dev.child import Spec
from cluster.dev.logbook import LogBook
from cluster.dev.plan import says_ready
from cluster.dev.supervisor import Supervisor
from jobstore.clock import SystemClock, to_posix
from jobstore.firing import Firing
from jobstore.job import parse_spec
from jobstore.jobs import next_nominal
from jobstore.lifecycle import FINAL
from jobstore.runtime import Runtime
from jobstore.store import Store, open_store
from jobstore.tenant import Place, Tenant
from jobstore.timetable import Timetable

ROOT = Path(__file__).resolve().parents[2]


class LiveCluster:
    """Nodes and workers as processes; use as a context manager, nothing is left running."""

    def __init__(self, mongo_url: str, redis_url: str, database: str, directory: Path) -> None:
        self.clock = SystemClock()
        self.database = database
        self.notes = directory / "notes.jsonl"
        self.notes.touch()
        self.supervisor = Supervisor(LogBook(directory / "logs", self.clock), self.clock)
        self.store: Store = open_store(mongo_url, control=database, runtime=Runtime(), name="test")
        self.store.ensure()
        self.tenants: dict[str, Tenant] = {}
        self.jobs: dict[tuple[str, str], tuple[Timetable, float]] = {}
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "HORARIUM_MONGODB_URL": mongo_url,
            "HORARIUM_BROKER_URL": redis_url,
            "HORARIUM_DATABASE": database,
            "HORARIUM_APP": "tests.support.noting_app:app",
            "HORARIUM_HTTP_PORT": "0",
            "NOTES": str(self.notes),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.supervisor.stop_all()
        self.store.close()

    def spec(self, name: str, *words: str, more: Mapping[str, str] | None = None, stage: int = 1) -> Spec:
        return Spec(
            name=name,
            argv=(sys.executable, "-P", "-m", "cluster", *words),
            env=self.environment | dict(more or {}),
            ready=says_ready,
            stage=stage,
            stop_within=15.0,
            cwd=ROOT,
        )

    def node(self, name: str, more: Mapping[str, str] | None = None) -> Spec:
        return self.spec(name, "node", "--name", name, more=more, stage=2)

    def worker(self, name: str, *words: str, more: Mapping[str, str] | None = None) -> Spec:
        return self.spec(name, "worker", "--pool", "default", "--name", name, *words, more=more)

    def tenant(self, name: str) -> Tenant:
        uid = f"{name}-{self.store.runtime.ids.suffix()}"
        place = Place(uid=uid, database=self.database, jobs=f"jobs.{uid}", firings="firings")
        tenant = Tenant(id=name, place=place, created_at=datetime.now(UTC))
        self.store.tenants.add(tenant)
        self.store.jobs(place).ensure()
        self.store.ledger(place).ensure()
        self.tenants[name] = tenant
        return tenant

    def job(self, tenant: Tenant, name: str, trigger: dict[str, Any], task: str, **fields: Any) -> None:
        now = self.store.time.now()
        timetable = Timetable.from_spec(trigger, now=now)
        spec = parse_spec({"trigger": timetable.to_document(), "target": {"name": task}, **fields})
        first = next_nominal(timetable, now)
        assert first is not None
        self.jobs[tenant.id, name] = (timetable, first)
        self.store.agenda.bump(tenant.uid, first)
        assert self.store.jobs(tenant.place).add(name, spec, first=first)
        self.store.agenda.bump(tenant.uid, first)

    def firings(self) -> list[Firing]:
        return [
            firing
            for tenant in self.tenants.values()
            for firing in self.store.ledger(tenant.place).history(tenant.uid, limit=100_000)
        ]

    def finals(self) -> int:
        return self._count({"state": {"$in": sorted(FINAL)}})

    def _count(self, condition: dict[str, Any]) -> int:
        tenants = [tenant.uid for tenant in self.tenants.values()]
        firings = self.store.collections.ledger((self.database, "firings"))
        return firings.count_documents({"tenant": {"$in": tenants}} | condition)

    def settled(self) -> bool:
        """Return whether every timetable has ended and no firing is open."""
        for tenant in self.tenants.values():
            for document in self.store.jobs(tenant.place).all():
                if document["state"] == "active":
                    return False
        return self._count({"state": {"$nin": sorted(FINAL)}}) == 0

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.notes.read_text().splitlines()]

    def findings(self, *, quiet_for: float | None = None) -> list[Finding]:
        """Hold jobs, ledger and the tasks' own lines against each other."""
        now = to_posix(self.store.time.now())
        found: list[Finding] = []
        for (name, job), (timetable, first) in self.jobs.items():
            tenant = self.tenants[name]
            stored = self.store.jobs(tenant.place).get(job)
            history = History(
                job=f"{name}/{job}",
                timetable=timetable,
                first=first,
                nominal=None if stored is None else stored.nominal,
                until=now,
                firings=self.store.ledger(tenant.place).history(tenant.uid, job=job, limit=100_000),
            )
            found += check(history)
            if quiet_for is not None:
                found += unfinished(history, older_than=now - quiet_for)
        return found + check_lines(self.firings(), self.lines())

    def logs(self) -> str:
        """Return the end of every process's output, for a failing test to show."""
        return "\n".join(
            f"--- {view.name} ({view.state})\n" + "\n".join(self.supervisor.logbook.tail(view.name))
            for view in self.supervisor.views()
        )
