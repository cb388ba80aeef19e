"""The servers of a run and the jobs that are put into them."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis

from cluster.dev.mongod import EmbeddedMongo
from cluster.dev.valkey import EmbeddedValkey
from jobstore.clock import to_posix
from jobstore.documents import spec_document
from jobstore.job import parse_spec
from jobstore.runtime import Runtime
from jobstore.store import Store, open_store
from jobstore.tenant import Place, Tenant
from jobstore.timetable import Timetable

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class World:
    """Fresh servers: one mongod (replica set of one, journal, majority) and one Valkey."""

    mongo_url: str
    redis_url: str
    store: Store
    broker: redis.Redis

    def tenants(self, count: int) -> list[Tenant]:
        """Create dedicated tenants."""
        made = []
        for number in range(count):
            uid = f"tenant-{number}-bench1"
            place = Place(uid=uid, database="bench", jobs=f"jobs.{uid}", firings="firings")
            tenant = Tenant(id=f"tenant-{number}", place=place, created_at=datetime.now(UTC))
            self.store.tenants.add(tenant)
            self.store.jobs(place).ensure()
            self.store.ledger(place).ensure()
            made.append(tenant)
        return made

    def jobs(self, tenant: Tenant, starts: list[datetime], every: timedelta, **fields: Any) -> None:
        """Insert one interval job for each start, in bulk."""
        documents = []
        for number, start in enumerate(starts):
            whole = start.replace(microsecond=start.microsecond // 1000 * 1000)
            trigger = {"every": every.total_seconds(), "start": whole.isoformat()}
            timetable = Timetable.from_spec(trigger, now=whole)
            spec = parse_spec({"trigger": timetable.to_document(), "target": {"name": "bench.noop"}, **fields})
            documents.append(_document(tenant, f"job-{number}", spec_document(spec), to_posix(whole)))
        self.store.collections.jobs(tenant.place).insert_many(documents)

    def bump(self, tenants: list[Tenant], instant: datetime) -> None:
        """Let the nodes know."""
        for tenant in tenants:
            self.store.agenda.bump(tenant.uid, to_posix(instant))

    def queued(self) -> int:
        """Return how many messages wait for the default pool."""
        return int(self.broker.llen("horarium.default"))


def _document(tenant: Tenant, name: str, spec: Mapping[str, Any], first: float) -> dict[str, Any]:
    return {
        "_id": name, "v": 1, "tenant": tenant.uid, "next_run_time": first, "state": "active", "spec": spec,
        "nominal": first, "decided_through": None, "incarnation": "bench", "revision": 1, "timetable_rev": 1,
        "stop_rev": 0, "claim_token": 0, "fence": 0, "slots": [],
    }  # fmt: skip


@contextmanager
def world() -> Iterator[World]:
    """Start servers, and take them away afterwards."""
    with EmbeddedMongo() as mongo, EmbeddedValkey() as valkey:
        store = open_store(mongo.url, control="bench", runtime=Runtime(), name="bench")
        store.ensure()
        broker = redis.Redis.from_url(valkey.url)
        try:
            yield World(mongo.url, valkey.url, store, broker)
        finally:
            store.close()
            broker.close()


class Child:
    """A process that says when it is ready, begins when it is told, and tells what it measured at the end."""

    def __init__(self, module: str, *words: str, python: str = sys.executable) -> None:
        command = [python, str(module), *words] if module.endswith(".py") else [python, "-m", module, *words]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=_environment()
        )
        self._expect("ready")

    def go(self) -> None:
        """Let it begin."""
        self.say("go")

    def say(self, word: str) -> None:
        """Tell it a word."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def end(self) -> str:
        """Ask for what it measured, and stop it."""
        self.go()
        line = self.line()
        self.kill()
        return line

    def line(self) -> str:
        """Return the next line it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        """Stop it at once."""
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def _expect(self, word: str) -> None:
        line = self.line()
        if line != word:
            self.kill()
            raise RuntimeError(f"expected {word!r}, got {line!r}")


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(Path.home())}


def wait_for(done: Callable[[], bool], within: float) -> float:
    """Return the seconds until ``done``; raises TimeoutError."""
    started = time.perf_counter()
    while not done():
        if time.perf_counter() - started > within:
            raise TimeoutError(f"not done within {within:g} s")
        time.sleep(0.01)
    return time.perf_counter() - started
