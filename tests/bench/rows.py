"""The rows of the table: what is run, how often, and in which unit its figures are."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import ours
from tests.bench.world import ROOT, Child, world

PEERS = ROOT / ".bench" / "venv"
PACKAGES = ("apscheduler==3.11.3", "pymongo", "celery", "redis", "packaging", "celery-redbeat", "rq", "rq-scheduler")


@dataclass(frozen=True)
class Row:
    """One line: ``run`` does the work once and returns figures by name; ``group`` compares with the first of it."""

    name: str
    run: Callable[[], dict[str, float]]
    group: str
    quick: bool = True
    repetitions: int = 3


def peer(module: str, count: int) -> Callable[[], dict[str, float]]:
    """Return a run of one peer on ``count`` due jobs."""

    def run() -> dict[str, float]:
        with world() as made:
            python = str(PEERS / "bin" / "python")
            child = Child(f"tests.bench.peers.{module}", made.mongo_url, made.redis_url, str(count), python=python)
            child.go()
            said = child.line().split()
            child.kill()
            if said[:1] != ["done"]:
                raise RuntimeError(f"{module} ended without a result")
            return {"per_s": count / float(said[1])}

    return run


def install_peers() -> None:
    """Install the peers into an environment of their own, once."""
    if (PEERS / "installed").exists():
        return
    uv = str(ROOT / ".venv" / "bin" / "uv")
    subprocess.run([uv, "venv", "--quiet", "--clear", str(PEERS)], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(PEERS / "bin" / "python"), *PACKAGES], check=True)
    (PEERS / "installed").touch()


def versions() -> dict[str, str]:
    """Return what the peers are, by version."""
    uv = str(ROOT / ".venv" / "bin" / "uv")
    command = [uv, "pip", "freeze", "--python", str(PEERS / "bin" / "python")]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def _backlog(count: int, nodes: int = 1, tenants: int = 8) -> Callable[[], dict[str, float]]:
    return lambda: ours.backlog(count, nodes, tenants)


ROWS: tuple[Row, ...] = (
    Row("bare loop, 10,000", lambda: ours.bare(10_000), "backlog"),
    Row("1 node, 8 tenants, 10,000", _backlog(10_000), "backlog"),
    Row("1 node, 1 tenant, 10,000", _backlog(10_000, 1, 1), "backlog"),
    Row("2 nodes, 8 tenants, 10,000", _backlog(10_000, 2), "backlog"),
    Row("2 nodes, 1 tenant, 10,000", _backlog(10_000, 2, 1), "backlog", quick=False),
    Row("4 nodes, 8 tenants, 10,000", _backlog(10_000, 4), "backlog", quick=False),
    Row("4 nodes, 1 tenant, 10,000", _backlog(10_000, 4, 1), "backlog"),
    Row("APScheduler 3, 10,000", peer("aps3", 10_000), "backlog", quick=False, repetitions=1),
    Row("bare loop, 1,000", lambda: ours.bare(1000), "backlog-1000"),
    Row("1 node, 8 tenants, 1,000", _backlog(1000), "backlog-1000"),
    Row("APScheduler 3, 1,000", peer("aps3", 1000), "backlog-1000"),
    Row("celery beat + redbeat, 1,000", peer("redbeat", 1000), "backlog-1000"),
    Row("rq-scheduler, 1,000", peer("rqscheduler", 1000), "backlog-1000"),
    Row("steady 100/s, 8 tenants", lambda: ours.steady(100, 8, 8), "steady"),
    Row("steady 500/s, 8 tenants", lambda: ours.steady(500, 8, 8), "steady", quick=False),
    Row("steady 1,000/s, 1 tenant", lambda: ours.steady(1000, 1, 8), "steady"),
    Row("steady 1,000/s, 8 tenants", lambda: ours.steady(1000, 8, 8), "steady"),
    Row("steady 100/s beside 100,000 idle jobs", lambda: ours.steady(100, 8, 8, 100_000), "steady", quick=False),
    Row("7 days of 1 s intervals, 1,000 jobs", lambda: ours.catch_up(1000, 7), "catch-up"),
    Row("herd of 1,000 tenants", lambda: ours.herd(1000), "herd", quick=False),
    Row("herd of 200 tenants", lambda: ours.herd(200), "herd"),
    Row("idle, 100 tenants", lambda: ours.idle(100, 10), "idle", repetitions=1),
    Row("idle, 1,000 tenants", lambda: ours.idle(1000, 20), "idle", quick=False, repetitions=1),
)


def result_folder() -> Path:
    """Return where results are written."""
    folder = ROOT / ".bench"
    folder.mkdir(exist_ok=True)
    return folder
