"""Real processes, killed and frozen: every owed instant is run once, none is lost, none is run twice."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from jobstore import SharedMongoDBJobStore
from tests.interop import functions
from tests.support.processes import is_running, state
from tests.support.waiting import eventually, never

ROOT = Path(__file__).parents[2]
Start = Callable[..., subprocess.Popen[str]]
Run = tuple[str, float]

OPTIONS = {"coalesce": False, "misfire_grace_time": None, "max_instances": 100}


@pytest.fixture
def start(mongo_url: str, database_name: str) -> Iterator[Start]:
    """Starts scheduler processes and ends them with the test."""
    started: list[subprocess.Popen[str]] = []

    def make(kind: str = "background", *, store: str = "shared", lease_s: float = 2, **more: Any) -> Any:
        settings = {"kind": kind, "store": store, "url": mongo_url, "database": database_name, "lease_s": lease_s}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.interop.node", json.dumps(settings | more)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

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


@pytest.fixture
def api(mongo_client: Any, database_name: str) -> Iterator[Any]:
    """A stock scheduler that runs nothing: the way into the shared collection."""
    store = SharedMongoDBJobStore(database=database_name, client=mongo_client)
    scheduler = BackgroundScheduler(jobstores={"default": store}, timezone=UTC)
    scheduler.start(paused=True)
    yield scheduler
    scheduler.shutdown()


def _runs(path: Path) -> list[Run]:
    return [(line["job"], line["run_time"]) for line in _lines(path)]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _add_date(api: Any, path: Path, job_id: str) -> float:
    due = datetime.now(UTC)
    api.add_job(functions.record, "date", run_date=due, args=[str(path), job_id], id=job_id, **OPTIONS)
    return due.timestamp()


def test_what_a_process_killed_after_its_claim_had_taken_is_run_by_another(
    start: Start, api: Any, tmp_path: Path
) -> None:
    path = tmp_path / "runs"
    killed = start(signal_at=["claim.after", 1, "SIGKILL"])
    due = _add_date(api, path, "a")
    assert killed.wait(10) == -signal.SIGKILL
    other = start()
    eventually(lambda: _runs(path), within=10)
    (line,) = _lines(path)
    assert (line["job"], line["run_time"], line["pid"]) == ("a", due, other.pid)
    assert line["at"] - due < 2 + 1.5, "within the lease and a look"
    assert api.get_jobs() == []


def test_a_process_frozen_past_its_lease_is_too_late(start: Start, api: Any, tmp_path: Path) -> None:
    path = tmp_path / "runs"
    frozen = start(signal_at=["claim.after", 1, "SIGSTOP"])
    due = _add_date(api, path, "a")
    eventually(lambda: state(frozen.pid) == "T", that="the process stops itself")
    other = start()
    eventually(lambda: _runs(path), within=10)
    frozen.send_signal(signal.SIGCONT)
    never(lambda: len(_runs(path)) > 1, during=1.5)
    assert _runs(path) == [("a", due)]
    other.terminate()
    other.wait(20)
    later = _add_date(api, path, "b")
    eventually(lambda: len(_runs(path)) > 1, that="the late process goes on working")
    assert _lines(path)[1] | {"at": 0} == {"job": "b", "run_time": later, "pid": frozen.pid, "at": 0}
    assert api.get_jobs() == []


@pytest.mark.parametrize("kind", ["background", "asyncio"])
def test_a_process_frozen_between_submit_and_update_runs_it_itself_or_not_at_all(
    start: Start, api: Any, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "runs"
    frozen = start(kind, signal_at=["advance.after", 1, "SIGSTOP"])
    due = _add_date(api, path, "a")
    eventually(lambda: state(frozen.pid) == "T", that="the process stops itself")
    start()
    never(lambda: len(_runs(path)) > 1, during=3.5)  # its executor may have begun before it stopped
    frozen.send_signal(signal.SIGCONT)
    eventually(lambda: _runs(path))
    never(lambda: len(_runs(path)) > 1, during=1)
    assert _runs(path) == [("a", due)]


def test_a_process_frozen_when_it_had_begun_keeps_its_run(start: Start, api: Any, tmp_path: Path) -> None:
    path = tmp_path / "runs"
    frozen = start(signal_at=["begin.after", 1, "SIGSTOP"])
    due = _add_date(api, path, "a")
    eventually(lambda: state(frozen.pid) == "T", that="the process stops itself")
    start()
    never(lambda: _runs(path), during=3.5)
    frozen.send_signal(signal.SIGCONT)
    eventually(lambda: _runs(path))
    never(lambda: len(_runs(path)) > 1, during=1)
    assert [(line["run_time"], line["pid"]) for line in _lines(path)] == [(due, frozen.pid)]


def test_a_run_that_had_begun_when_its_process_was_killed_is_not_repeated_and_is_known(
    start: Start, api: Any, database: Any, tmp_path: Path
) -> None:
    path = tmp_path / "runs"
    killed = start(signal_at=["begin.after", 1, "SIGKILL"])
    due = datetime.now(UTC)
    later = due + timedelta(seconds=4)
    timetable = {"seconds": 4, "start_date": due, "next_run_time": due, "end_date": later + timedelta(seconds=1)}
    api.add_job(functions.record, "interval", args=[str(path), "a"], id="a", **timetable, **OPTIONS)
    assert killed.wait(10) == -signal.SIGKILL
    (begun,) = database.jobs.find_one({"_id": "a"})["begun"]
    assert begun["through"] == due.timestamp()
    assert f"/{killed.pid}/" in begun["owner"]
    start()
    eventually(lambda: api.get_jobs() == [], within=15)
    eventually(lambda: _runs(path))
    assert _runs(path) == [("a", later.timestamp())]


def test_two_processes_on_stocks_own_store_do_not_keep_the_promise(start: Start, api: Any, tmp_path: Path) -> None:
    path = tmp_path / "runs"
    _add_timetable(api, path, seconds=8)  # first: stock would sleep for ever on an empty collection
    for _ in range(2):
        start(store="stock")
    eventually(lambda: max(Counter(_runs(path)).values(), default=0) > 1, that="something is run twice")


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kinds", [("background", "asyncio"), ("background", "blocking", "asyncio", "background")])
def test_each_owed_instant_is_run_once_for_thirty_seconds_with_one_killed_and_one_frozen(
    start: Start, api: Any, tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    path = tmp_path / "runs"
    lease_s = 10
    # The first dies holding a claim, about a quarter of the way; it stays dead.
    doomed = start(kinds[0], lease_s=lease_s, signal_at=["claim.after", 80 // len(kinds), "SIGKILL"])
    others = [start(kind, lease_s=lease_s) for kind in kinds[1:]]
    owed = _add_timetable(api, path, seconds=30)
    assert len(owed) == 3 * 31 + 2 * 16 + 40
    assert doomed.wait(30) == -signal.SIGKILL
    assert len(_runs(path)) >= 40, "it died in the middle of the work"
    _freeze(others[0], seconds=lease_s + 2)
    eventually(lambda: api.get_jobs() == [], within=60, that="the timetable comes to its end")
    eventually(lambda: len(_runs(path)) >= len(owed), within=10)
    never(lambda: len(_runs(path)) > len(owed), during=1)
    assert sorted(_runs(path)) == sorted(owed)
    assert all(is_running(process.pid) for process in others)
    assert len({line["pid"] for line in _lines(path)}) == len(kinds), "every process had a share"


def _add_timetable(api: Any, path: Path, *, seconds: int) -> list[Run]:
    """Add date, interval and cron jobs that end; return every run that they owe."""
    first = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    first += timedelta(seconds=first.second % 2)
    span = {"start_date": first, "end_date": first + timedelta(seconds=seconds)}
    owed: list[Run] = []
    for number in range(3):
        job_id = f"interval{number}"
        owed += [(job_id, first.timestamp() + second) for second in range(seconds + 1)]
        _add(api, path, job_id, "interval", seconds=1, **span)
    for number in range(2):
        job_id = f"cron{number}"
        owed += [(job_id, first.timestamp() + second) for second in range(0, seconds + 1, 2)]
        _add(api, path, job_id, "cron", second="*/2", **span)
    for number in range(40):
        job_id, due = f"date{number}", first + timedelta(seconds=seconds * number / 40)
        owed.append((job_id, due.timestamp()))
        _add(api, path, job_id, "date", run_date=due)
    return owed


def _add(api: Any, path: Path, job_id: str, trigger: str, **options: Any) -> None:
    function = functions.record
    api.add_job(function, trigger, args=[str(path), job_id], id=job_id, **options, **OPTIONS)


def _freeze(process: subprocess.Popen[str], *, seconds: float) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    eventually(lambda: state(process.pid) == "T")
    threading.Event().wait(seconds)  # the freeze itself is what is being tested
    os.kill(process.pid, signal.SIGCONT)
