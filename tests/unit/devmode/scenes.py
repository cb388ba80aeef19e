"""Firings, jobs and scenes to draw and to judge."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cluster.dev.child import View
from cluster.dev.scene import FiringRow, ProcessRow, Scene, TenantRow
from cluster.dev.strip import Cell
from cluster.dev.tally import Totals
from jobstore.clock import from_posix
from jobstore.edits import snapshot_of
from jobstore.firing import Covers, Firing
from jobstore.job import Job
from tests.unit.test_planner import START, ZERO, a_job
from tests.unit.test_verdicts import a_firing

__all__ = ["START", "ZERO", "at", "covering", "job_at", "node", "row", "scene", "worker"]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def covering(start: float, through: float | None = None, *, late: float = 0.02, **fields: Any) -> Firing:
    """A firing that node-a released, and that worker-1 ran, at once."""
    end = start if through is None else through
    covers = Covers(start=ZERO + start, through=ZERO + end, count=int((end - start) / 10) + 1)
    released = from_posix(ZERO + end + late)
    made = a_firing(
        id=f"acme-x:{start}",
        nominal=ZERO + start,
        covers=covers,
        state="succeeded",
        fence=1,
        released_by="node-a",
        released_at=released,
        worker="worker-1-4711-abcdef",
        started_at=released + timedelta(milliseconds=10),
        finished_at=released + timedelta(milliseconds=30),
        created_at=released,
    )
    return replace(made, **fields)


def unrun(start: float, state: str, reason: str, **fields: Any) -> Firing:
    """A firing that was recorded and not released."""
    bare = {"released_by": None, "released_at": None, "worker": None, "started_at": None, "finished_at": at(start)}
    return covering(start, **{**bare, "state": state, "reason": reason, "decision": "skipped", **fields})


def job_at(nominal: float | None, **fields: Any) -> Job:
    """The job of these firings, which fires every ten seconds, having come to ``nominal``."""
    known: dict[str, Any] = {"nominal": None if nominal is None else ZERO + nominal, "created_at": at(-5)}
    return replace(a_job(), **(known | fields))


def edited(job: Job, revision: int) -> Any:
    """The snapshot of a later revision of the job."""
    return snapshot_of(replace(job, revision=revision))


def view(name: str, state: str = "ready", pid: int | None = 4242) -> View:
    return View(name, state, pid, None, 1, 30.0)  # type: ignore[arg-type]


def node(name: str, state: str = "ready", **fields: Any) -> ProcessRow:
    return ProcessRow(view=view(name, state, 4242 if state == "ready" else None), **fields)


worker = node


def row(number: int, **fields: Any) -> FiringRow:
    known: dict[str, Any] = {
        "at": at(number),
        "tenant": "acme",
        "job": "orders-summary",
        "nominal": at(number),
        "node": "node-b",
        "worker": "worker-1",
        "late_ms": 12.0,
        "kind": "succeeded",
        "outcome": "succeeded",
        "reason": "",
    }
    return FiringRow(**(known | fields))


def scene(**fields: Any) -> Scene:
    """A busy scene: a node was killed, everything that can happen has."""
    cells = tuple(Cell(number, "succeeded", "node-a" if number < 20 else "node-b") for number in range(40))
    totals = Totals(
        82, 1, 0, {"succeeded": 76, "skipped": 3, "failed": 2}, {("skipped", "overlap"): 3, ("failed", "raised"): 2}
    )
    known: dict[str, Any] = {
        "now": at(41),
        "up_s": 42.0,
        "servers": {"mongodb": "127.0.0.1:27117", "valkey": "127.0.0.1:16379"},
        "processes": [node("node-a", "killed", done=40, now=2), node("node-b", done=42), worker("worker-1", done=79)],
        "tenants": [TenantRow(name=name, cells=cells, totals=totals) for name in ("acme", "globex", "initech")],
        "firings": [row(number) for number in range(20)],
        "totals": totals,
        "keys": {"k": "kill node-b", "r": "restart it", "w": "kill worker-1", "p": "pause acme", "q": "quit"},
    }
    return Scene(**(known | fields))
