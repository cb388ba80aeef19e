"""What the screen remembers of jobs and firings, from one reading to the next.  Knows no database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cluster.checking import Finding
from cluster.dev.promise import Look, findings
from cluster.dev.scene import last_moved
from cluster.dev.strip import Cell, JobLine, merged
from cluster.dev.tally import Totals, total
from jobstore.clock import to_posix
from jobstore.firing import Firing
from jobstore.job import Job
from jobstore.lifecycle import FINAL
from jobstore.tenant import Tenant

KEEP: Final = 500

JobKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one look at the store found.

    Attributes:
        at: The store's time when the look began.
        tenants: All that can be read.
        jobs: The jobs of the tenants that were asked for theirs this time, by uid.
        firings: New and changed ones, by uid.
        floors: By uid, the nominal before which some were left out, for there are many.
        holds: How many jobs each node has a claim on.
        runs: How many runs each worker process names.
    """

    at: datetime
    tenants: Sequence[Tenant]
    jobs: Mapping[str, Sequence[Job]]
    firings: Mapping[str, Sequence[Firing]]
    floors: Mapping[str, float] = field(default_factory=dict)
    holds: Mapping[str, int] = field(default_factory=dict)
    runs: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class TenantMemory:
    """The newest firings of one tenant; ``floor`` is the nominal up to which older ones were let go."""

    firings: dict[str, Firing] = field(default_factory=dict)
    gone: Totals = field(default_factory=Totals)
    floor: float = float("-inf")

    def take(self, firings: Iterable[Firing]) -> None:
        """Take new and changed firings."""
        for firing in firings:
            if firing.id in self.firings or firing.nominal > self.floor:
                self.firings[firing.id] = firing

    def shrink(self, since: datetime) -> None:
        """Let the oldest final firings go, counting those made since ``since``."""
        if len(self.firings) <= KEEP:
            return
        ordered = sorted(self.firings.values(), key=lambda firing: firing.nominal)
        leaving = [firing for firing in ordered[: len(ordered) - KEEP] if firing.state in FINAL]
        for firing in leaving:
            del self.firings[firing.id]
            self.floor = max(self.floor, firing.nominal)
        self.gone += total(firing for firing in leaving if firing.created_at >= since)

    def totals(self, since: datetime) -> Totals:
        """Return the totals of everything made since ``since``."""
        return self.gone + total(firing for firing in self.firings.values() if firing.created_at >= since)


@dataclass(slots=True)
class Memory:
    """Everything read so far, ``begun`` being the store's time when the run began."""

    begun: datetime
    at: datetime = field(init=False)
    tenants: list[Tenant] = field(default_factory=list)
    jobs: dict[JobKey, Job] = field(default_factory=dict)
    gone: dict[JobKey, Job] = field(default_factory=dict)
    holds: Mapping[str, int] = field(default_factory=dict)
    runs: Mapping[str, int] = field(default_factory=dict)
    _by_tenant: dict[str, TenantMemory] = field(default_factory=dict)
    _lines: dict[JobKey, JobLine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.at = self.begun

    def take(self, reading: Reading) -> None:
        """Take what was read; jobs that are gone stay known as such, because their firings must still be judged."""
        self.at, self.tenants = reading.at, list(reading.tenants)
        self.holds, self.runs = reading.holds, reading.runs
        for uid, jobs in reading.jobs.items():
            self._take_jobs(uid, jobs)
        for uid, firings in reading.firings.items():
            memory = self._of(uid)
            memory.take(firings)
            memory.floor = max(memory.floor, reading.floors.get(uid, memory.floor))
            memory.shrink(self.begun)

    def _take_jobs(self, uid: str, jobs: Sequence[Job]) -> None:
        there = {(uid, job.id): job for job in jobs}
        for key in [key for key in self.jobs if key[0] == uid and key not in there]:
            self.gone[key] = self.jobs.pop(key)
            self._lines.pop(key, None)
        self.jobs |= there

    def knows(self, firing: Firing) -> bool:
        """Return whether this firing has been taken, or let go, before."""
        memory = self._of(firing.uid)
        return firing.id in memory.firings or firing.nominal <= memory.floor

    def open_of(self, uid: str) -> list[Firing]:
        """Return the firings of a tenant that were not final when last read."""
        return [firing for firing in self._of(uid).firings.values() if firing.state not in FINAL]

    def firings(self) -> list[Firing]:
        """Return every firing at hand, in the order in which they are shown."""
        every = [firing for memory in self._by_tenant.values() for firing in memory.firings.values()]
        return sorted(every, key=lambda firing: (last_moved(firing), firing.id))

    def name_of(self, uid: str) -> str:
        """Return a tenant's id."""
        return next((tenant.id for tenant in self.tenants if tenant.uid == uid), uid.rpartition("-")[0])

    def totals(self, uid: str | None = None) -> Totals:
        """Return the totals of this run, of one tenant or of all."""
        chosen = self._by_tenant.values() if uid is None else [self._of(uid)]
        found = Totals()
        for memory in chosen:
            found += memory.totals(self.begun)
        return found

    def strip(self, uid: str) -> tuple[Cell, ...]:
        """Return the tenant's last instants, the newest last."""
        memory, now = self._of(uid), to_posix(self.at)
        by_job = _scheduled(memory.firings.values())
        lines = []
        for key, job in self.jobs.items():
            if key[0] != uid:
                continue
            records = by_job.get((job.id, job.incarnation), [])
            line = self._lines.setdefault(key, JobLine())
            line.follow(job, records, now)
            lines.append(line.cells(job, records, now, memory.floor))
        return merged(lines)

    def findings(self) -> list[Finding]:
        """Return the broken promises that can be seen in what is at hand."""
        # One that is still open may be older than others that were let go: between the two nothing is lost.
        whole = [
            one for memory in self._by_tenant.values() for one in memory.firings.values() if one.nominal > memory.floor
        ]
        return findings(Look(jobs=self.all_jobs(), firings=whole, since=float("inf"), until=to_posix(self.at)))

    def all_jobs(self) -> list[tuple[str, Job]]:
        """Return every job seen in this run, with the id of its tenant."""
        every = [*self.jobs.items(), *self.gone.items()]
        return [(self.name_of(uid), job) for (uid, _), job in every]

    def _of(self, uid: str) -> TenantMemory:
        return self._by_tenant.setdefault(uid, TenantMemory())


def _scheduled(firings: Iterable[Firing]) -> dict[tuple[str, str], list[Firing]]:
    """Return the scheduled firings by job and incarnation, in order of what they cover."""
    found: dict[tuple[str, str], list[Firing]] = {}
    for firing in sorted(firings, key=lambda firing: firing.covers.start):
        if firing.kind == "scheduled":
            found.setdefault((firing.job, firing.incarnation), []).append(firing)
    return found
