"""A cluster under load with servers of its own, faults that strike it, and what it must have kept afterwards."""

import os
import random
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import redis

from cluster.dev.mongod import EmbeddedMongo
from cluster.dev.valkey import EmbeddedValkey
from jobstore.clock import from_posix, to_posix
from jobstore.errors import ConfigurationError
from jobstore.firing import Firing
from tests.support.live import ROOT, LiveCluster
from tests.support.processes import state
from tests.support.waiting import eventually

CHAOS = bool(os.environ.get("HORARIUM_TEST_CHAOS"))


@dataclass(frozen=True, slots=True)
class Scale:
    """How much load, for how long, and by which numbers the nodes act."""

    tenants: int
    jobs: int
    seconds: int
    environment: Mapping[str, str]


# The defaults of the product: 100 firings a second over 20 tenants.
FULL = Scale(20, 5, 40, {})
# The same within minutes: a lease of 4 s instead of 10, a worker is dead after 6 s instead of 30.
SHORT = Scale(
    4,
    5,
    12,
    {
        "HORARIUM_LEASE": "4",
        "HORARIUM_MARGIN": "1",
        "HORARIUM_NODE_HEARTBEAT": "1",
        "HORARIUM_HEARTBEAT": "1.5",
        "HORARIUM_WORKER_DEAD_AFTER": "6",
        "HORARIUM_REPUBLISH_AFTER": "8",
        "HORARIUM_SWEEP_EVERY": "1.5",
        "HORARIUM_PENDING_AFTER": "3",
        "HORARIUM_TEND_EVERY": "4",
    },
)


@dataclass
class Row:
    """One line of the table at the end."""

    name: str
    seed: int
    figures: dict[str, Any] = field(default_factory=dict)
    held: bool = False

    def text(self) -> str:
        told = ", ".join(f"{name} {value}" for name, value in self.figures.items())
        return f"{'held' if self.held else 'BROKEN':7} {self.name:<58} seed {self.seed:<6} {told}"


class Storm(LiveCluster):
    """A live cluster over servers that belong to the test."""

    def __init__(self, directory: Path, row: Row, *, scale: Scale, members: int = 1, persist: bool = False) -> None:
        self.row, self.scale = row, scale
        self.rng = random.Random(row.seed)
        self.mongo = EmbeddedMongo(members=members, parameters={"enableTestCommands": "1"})
        try:
            self.valkey = EmbeddedValkey(persist=persist)
        except BaseException:
            self.mongo.stop()
            raise
        super().__init__(self.mongo.url, self.valkey.url, "chaos", directory)
        self.environment |= dict(scale.environment) | {"HORARIUM_APP": "tests.support.faults_app:app"}
        self.end = self.clock.now()
        # Processes that were to die and are not started again.
        self.once: set[str] = set()
        self.left_out: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            super().__exit__()
        finally:
            self.valkey.stop()
            self.mongo.stop()

    @property
    def lease(self) -> float:
        return float(self.scale.environment.get("HORARIUM_LEASE", 10))

    @property
    def dead_after(self) -> float:
        return float(self.scale.environment.get("HORARIUM_WORKER_DEAD_AFTER", 30))

    # -- what runs

    def staff(self, nodes: int = 3, workers: int = 2, more: Mapping[str, str] | None = None) -> None:
        """Start nodes ``node-1…`` and workers ``worker-1…``."""
        specs = [self.node(f"node-{number}", more) for number in range(1, nodes + 1)]
        specs += [self.worker(f"worker-{number}", "--concurrency", "2") for number in range(1, workers + 1)]
        self.supervisor.start(specs)

    def load(self, task: str = "noting.quick", *, every: str = "1s", **fields: Any) -> None:
        """Give every tenant jobs that name instants from now until ``scale.seconds`` have passed."""
        # Late enough for the last job to be there when the first instant comes.
        start = self.store.time.now() + timedelta(seconds=2 + 0.05 * self.scale.tenants * self.scale.jobs)
        self.end = start + timedelta(seconds=self.scale.seconds, milliseconds=-1)
        when = {"every": every, "start": start.isoformat(), "end": self.end.isoformat()}
        policy = {"max_instances": 500, "retry": {"max_attempts": 5, "delay_s": 1.0}} | fields
        for number in range(self.scale.tenants):
            tenant = self.tenant(f"tenant-{number}")
            for name in range(self.scale.jobs):
                self.job(tenant, f"job-{name}", when, task, **policy)

    def command(self, *words: str, more: Mapping[str, str] | None = None) -> int:
        """Run the command line to its end; return the exit code."""
        argv = [sys.executable, "-P", "-m", "cluster", *words]
        environment = self.environment | dict(more or {})
        return subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, timeout=60, check=False).returncode

    def keep_alive(self) -> int:
        """Start again whatever crashed; return how many."""
        dead = [view.name for view in self.supervisor.views() if view.state in ("crashed", "killed")]
        crashed = [name for name in dead if name not in self.once]
        for name in crashed:
            # It may die again before it is ready; the next round sees to it.
            with suppress(ConfigurationError):
                self.supervisor.restart(name)
        return len(crashed)

    def stands_still(self, name: str) -> bool:
        """Return whether a process has been stopped by a signal, perhaps its own."""
        pid = self.supervisor.view(name).pid
        return pid is not None and state(pid) == "T"

    def while_running(self, strike: Callable[[], None], *, every: float) -> int:
        """Call ``strike`` every so many seconds until no more instants are named; return how often."""
        pause, count = threading.Event(), 0
        while self.store.time.now() < self.end:
            strike()
            count += 1
            pause.wait(every)
        return count

    def rest(self, seconds: float) -> None:
        """Let the fault last: the time itself is the test."""
        threading.Event().wait(seconds)

    def forget(self, tenant: str) -> None:
        """Leave a tenant out of the final account: its jobs never end."""
        del self.tenants[tenant]
        self.jobs = {key: known for key, known in self.jobs.items() if key[0] != tenant}
        self.left_out.add(tenant)

    def lines(self) -> list[dict[str, Any]]:
        return [line for line in super().lines() if line["tenant"] not in self.left_out]

    def settle(self, within: float) -> None:
        """Wait until every timetable has ended and no firing is open, with everything alive."""

        def settled() -> bool:
            self.keep_alive()
            return self.settled()

        eventually(settled, within=within, that=f"nothing is open\n{self.open_ones()}")

    def open_ones(self) -> str:
        return str(Counter(firing.state for firing in self.firings()))

    # -- what must have been kept

    def owed(self) -> int:
        """Return how many instants the jobs named, from the first that each owed."""
        return sum(timetable.span(from_posix(first), self.end).count for timetable, first in self.jobs.values())

    def verdict(self) -> list[Firing]:
        """Check coverage and begins, note the figures, return the firings."""
        findings = self.findings(quiet_for=0)
        assert findings == [], (findings[:10], self.logs())
        firings, lines = self.firings(), self.lines()
        scheduled = [firing for firing in firings if firing.kind == "scheduled"]
        covered = sum(map(self._covered, scheduled))
        assert covered == self.owed(), f"{covered} of {self.owed()} instants are covered"
        begun = Counter((line["firing"], line["attempt"]) for line in lines if line["event"] == "begin")
        assert max(begun.values(), default=0) <= 1
        self._fences(lines)
        late = sorted(self.lateness(firing) for firing in scheduled if firing.released_at and firing.attempt == 1)
        self.row.figures |= {
            "instants": covered,
            "records": len(scheduled),
            "begun": len(begun),
            "repeated": sum(1 for _, attempt in begun if attempt > 1),
            "late p99/max s": f"{late[int(len(late) * 0.99)]:.2f}/{late[-1]:.2f}" if late else "-",
        }
        return firings

    def _covered(self, firing: Firing) -> int:
        """Return how many instants a record answers for; one that a claimer settled says only that it did not count."""
        known = self.jobs.get((firing.uid.rpartition("-")[0], firing.job))
        if known is None:  # deleted on purpose
            return 0
        covers = firing.covers
        span = known[0].span(from_posix(covers.start), from_posix(covers.through))
        assert covers.count == span.count or not covers.exact
        return span.count

    def lateness(self, firing: Firing) -> float:
        """Return the seconds between the first instant a record answers for and its release."""
        assert firing.released_at is not None
        return to_posix(firing.released_at) - firing.covers.start

    def _fences(self, lines: list[dict[str, Any]]) -> None:
        fences: dict[tuple[str, str], list[int]] = defaultdict(list)
        for line in lines:
            if line["event"] == "begin":
                fences[line["tenant"], line["job"]].append(line["fence"])
        assert all(len(set(found)) == len(found) for found in fences.values()), "a fence was given twice"

    def valkey_is_empty(self) -> bool:
        """Return whether no message waits in the queue."""
        with redis.Redis.from_url(self.valkey.url, socket_timeout=5) as client:
            return client.llen("horarium.default") == 0 and client.hlen("unacked") == 0

    def said(self, name: str, *words: str) -> int:
        """Return in how many of its lines a process said all of ``words``."""
        path = self.supervisor.logbook.path(name)
        text = path.read_text(errors="replace") if path.exists() else ""
        return sum(1 for line in text.splitlines() if all(word in line for word in words))

    def refused(self) -> int:
        """Return how many fenced writes were refused, as the processes said."""
        return sum(self.said(view.name, "WriteRefused") for view in self.supervisor.views())

    def cpu_seconds(self, name: str) -> float:
        """Return the processor time that a process has used."""
        pid = self.supervisor.view(name).pid
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
