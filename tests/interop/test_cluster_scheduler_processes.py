"""``ClusterScheduler`` in several processes, killed and frozen: each owed instant once, instances counted by all."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from jobstore import SharedMongoDBJobStore
from tests.interop import clustered, functions
from tests.support.processes import is_running, state
from tests.support.waiting import eventually, never

ROOT = Path(__file__).parents[2]
TENANTS = ("acme", "globex")
Start = Callable[..., subprocess.Popen[str]]
Run = tuple[str, float]


@pytest.fixture
def start(mongo_url: str, database_name: str) -> Iterator[Start]:
    """Starts scheduler processes and ends them with the test."""
    started: list[subprocess.Popen[str]] = []

    def make(*, lease_s: float = 2, unready: bool = False, **more: Any) -> Any:
        settings = {"url": mongo_url, "database": database_name, "lease_s": lease_s, "stores": TENANTS, **more}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.interop.clustered", json.dumps(settings)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process if unready else ready(process)

    yield make
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.terminate()
    for process in started:
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def ready(process: Any) -> Any:
    """Wait until a process is ready; return it."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def api(mongo_client: Any, database_name: str) -> Iterator[Any]:
    """A stock scheduler that runs nothing: the way into the tenants' collections."""
    stores = {
        name: SharedMongoDBJobStore(database=database_name, collection=name, client=mongo_client) for name in TENANTS
    }
    scheduler = BackgroundScheduler(jobstores=stores, timezone=UTC)
    scheduler.start(paused=True)
    yield scheduler
    scheduler.shutdown()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _runs(path: Path) -> list[Run]:
    return [(line["job"], line["run_time"]) for line in _lines(path)]


def test_a_jobs_instances_are_counted_across_processes_and_die_with_theirs(
    start: Start, api: Any, tmp_path: Path, database: Any
) -> None:
    first = start(dead_after_s=3)
    every = {"seconds": 0.2, "args": [str(tmp_path), "a"], "id": "a", "misfire_grace_time": None}
    api.add_job(clustered.hold, "interval", jobstore="acme", max_instances=1, **every)
    eventually(lambda: clustered.said(tmp_path))
    second = start(dead_after_s=3)
    never(lambda: len(clustered.said(tmp_path)) > 1, during=1.5, that="a second instance, in either process")
    # The other tenant's job of that name has instances of its own.
    api.add_job(clustered.hold, "interval", jobstore="globex", **every | {"args": [str(tmp_path), "b"]})
    eventually(lambda: [line["job"] for line in clustered.said(tmp_path)] == ["a", "b"])
    api.remove_job("a", jobstore="globex")
    holder, other = (first, second) if clustered.said(tmp_path)[0]["pid"] == first.pid else (second, first)
    holder.kill()
    begins = eventually(lambda: len(said := clustered.said(tmp_path)) > 2 and said, within=15)
    assert (begins[2]["job"], begins[2]["pid"]) == ("a", other.pid)
    never(lambda: len(clustered.said(tmp_path)) > 3, during=0.5)
    (running,) = database.acme.find_one({"_id": "a"})["running"]
    assert f"/{other.pid}/" in running["member"], "the dead process's instance is gone"
    api.remove_job("a", jobstore="acme")
    (tmp_path / "go").touch()
    eventually(lambda: [line["what"] for line in clustered.said(tmp_path)][-1] == "end")


def test_a_process_frozen_with_a_claim_is_too_late_and_goes_on(start: Start, api: Any, tmp_path: Path) -> None:
    path = tmp_path / "runs"
    frozen = start(signal_at=["claim.after", 1, "SIGSTOP"])
    due = datetime.now(UTC)
    _add(api, "acme", path, "a", "date", run_date=due)
    eventually(lambda: state(frozen.pid) == "T", that="the process stops itself")
    other = start()
    eventually(lambda: _runs(path), within=10)
    frozen.send_signal(signal.SIGCONT)
    never(lambda: len(_runs(path)) > 1, during=1)
    other.terminate()
    other.wait(20)
    _add(api, "acme", path, "b", "date", run_date=datetime.now(UTC))
    eventually(lambda: len(_runs(path)) > 1, that="the late process goes on working")
    assert [(line["job"], line["pid"]) for line in _lines(path)] == [("a", other.pid), ("b", frozen.pid)]


@pytest.mark.slow
def test_each_owed_instant_is_run_once_with_one_killed_and_one_frozen(start: Start, api: Any, tmp_path: Path) -> None:
    path = tmp_path / "runs"
    others = [start(lease_s=2, unready=True) for _ in range(2)]
    for process in others:
        ready(process)
    seconds = 7
    first = (datetime.now(UTC) + timedelta(seconds=1)).replace(microsecond=0)
    span = {"start_date": first, "end_date": first + timedelta(seconds=seconds)}
    owed: list[Run] = []
    for tenant in TENANTS:
        for name, trigger, step in (("interval", {"seconds": 1}, 1), ("cron", {"second": "*/2"}, 2)):
            job_id = f"{tenant} {name}"
            _add(api, tenant, path, job_id, name, **trigger, **span)
            at = first.timestamp()
            owed += [(job_id, at + n) for n in range(seconds + 1) if (first.second + n) % step == 0]
        for number in range(20):
            due = first + timedelta(seconds=seconds * number / 20)
            _add(api, tenant, path, f"{tenant} date{number}", "date", run_date=due)
            owed.append((f"{tenant} date{number}", due.timestamp()))
    eventually(lambda: len(_runs(path)) > 10, that="in the middle of the work")
    # It dies with its first claims, before it begins a run: one that has begun is not repeated.
    doomed = start(lease_s=2, unready=True, signal_at=["claim.after", 1, "SIGKILL"])
    assert doomed.wait(30) == -signal.SIGKILL
    os.kill(others[0].pid, signal.SIGSTOP)
    threading.Event().wait(3)  # past the lease: the freeze itself is what is being tested
    os.kill(others[0].pid, signal.SIGCONT)
    eventually(lambda: api.get_jobs() == [], within=40, that="the timetable comes to its end")
    eventually(lambda: len(_runs(path)) >= len(owed))
    never(lambda: len(_runs(path)) > len(owed), during=0.5)
    assert sorted(_runs(path)) == sorted(owed)
    assert all(is_running(process.pid) for process in others)


def _add(api: Any, tenant: str, path: Path, job_id: str, trigger: str, **options: Any) -> None:
    more = {"coalesce": False, "misfire_grace_time": None, "max_instances": 100}
    api.add_job(functions.record, trigger, args=[str(path), job_id], id=job_id, jobstore=tenant, **options, **more)
