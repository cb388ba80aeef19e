"""Stock schedulers and executors of every kind on the shared store, as they are."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MISSED
from apscheduler.executors.pool import ProcessPoolExecutor, ThreadPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.blocking import BlockingScheduler

from jobstore import SharedMongoDBJobStore
from tests.interop import functions
from tests.support.waiting import eventually, never

Start = Callable[..., Any]


@pytest.fixture
def start(mongo_client: Any, database_name: str) -> Iterator[Start]:
    """Starts a stock scheduler of the given class on the shared store."""
    with ExitStack() as stack:

        def make(kind: Any, **options: Any) -> Any:
            store = SharedMongoDBJobStore(database=database_name, client=mongo_client)
            scheduler = kind(jobstores={"default": store}, timezone=UTC, **options)
            _begin[kind](scheduler, stack)
            return scheduler

        yield make


def _background(scheduler: Any, stack: ExitStack) -> None:
    scheduler.start()
    stack.callback(scheduler.shutdown)


def _blocking(scheduler: Any, stack: ExitStack) -> None:
    thread = threading.Thread(target=scheduler.start)
    thread.start()
    eventually(lambda: scheduler.running)
    stack.callback(thread.join)
    stack.callback(scheduler.shutdown)


def _asyncio(scheduler: Any, stack: ExitStack) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stack.callback(loop.close)
    stack.callback(thread.join)
    stack.callback(loop.call_soon_threadsafe, loop.stop)
    stack.callback(lambda: _called(loop, scheduler.shutdown).result(10))
    _called(loop, scheduler.start).result(10)


def _called(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> "Future[None]":
    async def inside() -> None:
        call()
        await asyncio.sleep(0)  # shutdown is put off to the next round of the loop

    return asyncio.run_coroutine_threadsafe(inside(), loop)


_begin = {BackgroundScheduler: _background, BlockingScheduler: _blocking, AsyncIOScheduler: _asyncio}


def _recorded(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("kind", list(_begin))
def test_a_job_added_elsewhere_runs_within_a_second(start: Start, tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "runs"
    running = start(kind)
    api = start(BackgroundScheduler)
    api.pause()
    never(lambda: _recorded(path), during=0.1)
    now = datetime.now(UTC)
    api.add_job(functions.record, "date", run_date=now, args=[str(path), "a"], misfire_grace_time=None)
    (line,) = eventually(lambda: _recorded(path), within=5)
    assert line["at"] - now.timestamp() < 1.0
    assert eventually(lambda: running.get_jobs() == [])


@pytest.mark.parametrize("kind", list(_begin))
def test_three_of_a_kind_run_each_second_once(start: Start, tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "runs"
    schedulers = [start(kind) for _ in range(3)]
    first = (datetime.now(UTC) + timedelta(seconds=1)).replace(microsecond=0)
    last = first + timedelta(seconds=3)
    options = {"coalesce": False, "misfire_grace_time": None, "max_instances": 5}
    for number in range(5):
        schedulers[0].add_job(
            functions.record,
            "interval",
            seconds=1,
            start_date=first,
            end_date=last,
            args=[str(path), f"job{number}"],
            id=f"job{number}",
            **options,
        )
    eventually(lambda: schedulers[1].get_jobs() == [], within=20, that="all jobs end")
    eventually(lambda: len(_recorded(path)) >= 20)
    assert sorted((line["job"], line["run_time"]) for line in _recorded(path)) == [
        (f"job{number}", (first + timedelta(seconds=second)).timestamp()) for number in range(5) for second in range(4)
    ]


def test_a_coroutine_is_run_in_the_event_loop(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "runs"
    first, second = start(AsyncIOScheduler), start(AsyncIOScheduler)
    events: list[Any] = []
    for scheduler in (first, second):
        scheduler.add_listener(events.append, EVENT_JOB_EXECUTED | EVENT_JOB_MISSED)
    for number in range(10):
        first.add_job(functions.record_async, args=[str(path), f"job{number}"], id=f"job{number}")
    eventually(lambda: len(events) >= 10)
    assert sorted(line["job"] for line in _recorded(path)) == [f"job{number}" for number in range(10)]
    assert {event.code for event in events} == {EVENT_JOB_EXECUTED}
    assert first.get_jobs() == []


@pytest.mark.slow
def test_a_process_pool_runs_each_job_once(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "runs"
    schedulers = [start(BackgroundScheduler, executors={"default": ProcessPoolExecutor(1)}) for _ in range(2)]
    for number in range(6):
        job_id = f"job{number}"
        schedulers[0].add_job(functions.record, args=[str(path), job_id], id=job_id, misfire_grace_time=None)
    eventually(lambda: len(_recorded(path)) >= 6, within=60)
    assert sorted(line["job"] for line in _recorded(path)) == [f"job{number}" for number in range(6)]
    assert schedulers[0].get_jobs() == []


def test_a_full_process_is_helped_out_after_the_lease(start: Start, tmp_path: Path) -> None:
    path, busy = tmp_path / "runs", threading.Event()
    functions.actions["slow"] = lambda: busy.wait(30)
    full = start(BackgroundScheduler, executors={"default": ThreadPoolExecutor(1)})
    full._jobstores["default"]._claims._lease_ms = 300
    full.add_job(functions.act, args=["slow"], id="slow")
    eventually(lambda: full.get_jobs() == [], that="the slow job has begun")
    full.add_job(functions.record, args=[str(path), "queued"], id="queued", misfire_grace_time=None)
    eventually(lambda: full._executors["default"]._instances.get("queued"))
    helper = start(BackgroundScheduler)
    eventually(lambda: _recorded(path))
    busy.set()
    eventually(lambda: not full._executors["default"]._instances)
    assert len(_recorded(path)) == 1
    assert helper.get_jobs() == []


def test_the_loops_thread_outlives_jobs_removed_under_it(start: Start, database: Any, tmp_path: Path) -> None:
    path = tmp_path / "runs"
    scheduler = start(BackgroundScheduler)
    removing = scheduler._jobstores["default"]._holdings.begin

    def begin_and_remove(*arguments: Any) -> bool:
        database.jobs.delete_many({})
        granted: bool = removing(*arguments)
        return granted

    scheduler._jobstores["default"]._holdings.begin = begin_and_remove
    scheduler.add_job(functions.record, "interval", seconds=1, next_run_time=datetime.now(UTC), args=[str(path), "a"])
    eventually(lambda: database.jobs.count_documents({}) == 0)
    never(lambda: _recorded(path), during=0.3)
    del scheduler._jobstores["default"]._holdings.begin
    scheduler.add_job(functions.record, args=[str(path), "b"])
    eventually(lambda: _recorded(path))
    assert scheduler._thread.is_alive()
