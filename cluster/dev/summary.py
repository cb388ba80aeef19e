"""What a run came to: outcomes, lateness, the promise kept or broken.  Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cluster.checking import Finding, check_lines
from cluster.dev.promise import Look, count, findings
from cluster.dev.stack import Step
from cluster.dev.takeover import Takeover
from cluster.dev.tally import Lateness, Totals, begun_ms, lateness, released_ms, total
from jobstore.firing import Firing
from jobstore.job import Job
from jobstore.lifecycle import FINAL
from jobstore.tenant import Tenant

# Something began twice, or two records answer for one instant, or it began before its time.
_TWICE = ("twice", "early")


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSummary:
    """One tenant's part of a run."""

    name: str
    totals: Totals
    begun: Lateness | None
    lost: int
    twice: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """Instants from before the run that one firing, or one record, of the run answers for."""

    tenant: str
    job: str
    since: datetime
    count: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The whole run; ``seconds`` since everything was up, ``open`` firings are recorded and not final."""

    seconds: float
    totals: Totals
    released: Lateness | None
    begun: Lateness | None
    tenants: tuple[TenantSummary, ...]
    findings: tuple[Finding, ...]
    takeovers: tuple[Takeover, ...]
    caught_up: tuple[CaughtUp, ...]
    lines: int
    steps: tuple[Step, ...]
    killed: tuple[str, ...] = ()

    @property
    def lost(self) -> int:
        """Return how many owed instants have no record."""
        return count(self.findings, "lost")

    @property
    def twice(self) -> int:
        """Return how many began, or are answered for, more than once."""
        return count(self.findings, *_TWICE)

    @property
    def exit_code(self) -> int:
        """Return 0 if something fired, nothing is lost and nothing came twice."""
        return 0 if self.totals.fired and not self.lost and not self.twice else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a summary is made of: all of it read after the nodes had stopped, the jobs first.

    The run began at ``begun``; everything was up at ``up``.
    ``lines`` are what running code wrote of itself.
    """

    tenants: Sequence[Tenant]
    jobs: Sequence[tuple[str, Job]]
    firings: Sequence[Firing]
    begun: datetime
    up: datetime
    ended: datetime
    lines: Sequence[Mapping[str, Any]] = ()


def summarise(material: Material, *, seconds: float, takeovers: Iterable[Takeover], steps: Iterable[Step]) -> Summary:
    """Return what the run came to."""
    begun = material.begun
    run = [firing for firing in material.firings if _of_this_run(firing, begun)]
    look = Look(
        jobs=material.jobs,
        firings=material.firings,
        since=begun.timestamp(),
        until=material.ended.timestamp(),
    )
    found = findings(look)
    for tenant in material.tenants:
        found += _lines(tenant, run, material.lines)
    names = {tenant.uid: tenant.id for tenant in material.tenants}
    return Summary(
        seconds=seconds,
        totals=total(run),
        released=lateness(map(released_ms, _due_since(material.up, run))),
        begun=lateness(map(begun_ms, _due_since(material.up, run))),
        tenants=tuple(_tenant(tenant, run, found, material.up) for tenant in material.tenants),
        findings=tuple(found),
        takeovers=tuple(takeovers),
        caught_up=tuple(_caught_up(run, names, begun)),
        lines=len(material.lines),
        steps=tuple(steps),
    )


def _of_this_run(firing: Firing, begun: datetime) -> bool:
    if firing.created_at >= begun or firing.state not in FINAL:
        return True
    return firing.finished_at is not None and firing.finished_at >= begun


def _due_since(up: datetime, firings: Iterable[Firing]) -> list[Firing]:
    """Return those whose lateness is the cluster's doing: nobody was there for what was due before."""
    return [firing for firing in firings if firing.covers.start >= up.timestamp()]


def _tenant(tenant: Tenant, run: Sequence[Firing], found: Sequence[Finding], up: datetime) -> TenantSummary:
    mine = [firing for firing in run if firing.uid == tenant.uid]
    about = [finding for finding in found if finding.job.startswith(f"{tenant.id}/")]
    return TenantSummary(
        name=tenant.id,
        totals=total(mine),
        begun=lateness(map(begun_ms, _due_since(up, mine))),
        lost=count(about, "lost"),
        twice=count(about, *_TWICE),
    )


def _lines(tenant: Tenant, run: Sequence[Firing], lines: Sequence[Mapping[str, Any]]) -> Iterable[Finding]:
    """Hold the firings of the tenant's jobs that write lines against these."""
    mine = {firing.id: firing for firing in run if firing.uid == tenant.uid}
    said = [line for line in lines if line["firing"] in mine]
    writing = {mine[line["firing"]].job for line in said}
    for finding in check_lines([firing for firing in mine.values() if firing.job in writing], said):
        # One is told of a job, the other of a firing.
        job = mine[finding.job].job if finding.job in mine else finding.job
        yield Finding(finding.kind, f"{tenant.id}/{job}", finding.detail)


def _caught_up(run: Iterable[Firing], names: Mapping[str, str], begun: datetime) -> Iterable[CaughtUp]:
    for firing in sorted(run, key=lambda firing: firing.nominal):
        if firing.created_at >= begun and firing.kind == "scheduled" and firing.instant < begun:
            yield CaughtUp(
                tenant=names.get(firing.uid, firing.uid),
                job=firing.job,
                since=firing.instant,
                count=firing.covers.count,
                state=firing.state,
            )
