"""``CeleryExecutor``: jobs of stock schedulers and of ours on real Celery workers."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymongo
import pytest
import redis
from apscheduler.events import (
    EVENT_ALL,
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    EVENT_JOB_SUBMITTED,
)
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.mongodb import MongoDBJobStore as StockStore
from apscheduler.schedulers.background import BackgroundScheduler

from cluster import ClusterScheduler
from cluster.dev.ports import free_port
from cluster.dev.valkey import EmbeddedValkey
from cluster.verdicts import LEAVE, judge_dispatched, judge_pending
from jobstore import SharedMongoDBJobStore
from jobstore.errors import ConfigurationError
from jobstore.firing import read_firing
from tests.interop import celery_jobs
from tests.interop.celery_jobs import Parcel
from tests.interop.clustered import most_at_once
from tests.support.waiting import eventually, never
from tests.workerside.bench import Bench, WorkerProcess
from workers import CeleryExecutor
from workers.executor import handover
from workers.references import sealed

pytestmark = pytest.mark.celery
ROOT = Path(__file__).parents[2]
NOW = {"misfire_grace_time": None}
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def bench(mongo_url: str, redis_url: str) -> Iterator[Bench]:
    """A control database and a queue with a worker of four threads that has the jobs' code."""
    database = f"celery_executor_{os.getpid()}"
    broker = urlsplit(redis_url)._replace(path="/3").geturl()
    with redis.Redis.from_url(broker) as client:
        client.flushdb()
        made = Bench(mongo_url, broker, database, pool="interop")
        worker_on(made)
        yield made
        made.close()
        client.flushdb()
    with pymongo.MongoClient(mongo_url) as mongo:
        mongo.drop_database(database)


def worker_on(bench: Bench, **settings: Any) -> WorkerProcess:
    environment = {
        "PYTHONPATH": str(ROOT),
        "HORARIUM_MONGODB_URL": bench.mongo_url,
        "HORARIUM_DATABASE": bench.database,
        "HORARIUM_BROKER_URL": bench.broker_url,
        "HORARIUM_POOL": "interop",
        "HORARIUM_HEARTBEAT": "0.3",
        "HORARIUM_CELERY_POOL": "threads",
        "HORARIUM_CONCURRENCY": "4",
        **settings,
    }
    process = WorkerProcess(environment)
    bench.processes.append(process)
    process.await_line("is ready")
    return process


@pytest.fixture
def start(bench: Bench, request: pytest.FixtureRequest) -> Iterator[Make]:
    """Starts schedulers whose default executor is a Celery executor; each notes its events in ``told``."""
    number = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    with ExitStack() as stack:

        def make(kind: Any = BackgroundScheduler, store: Any = None, *, paused: bool = False, **settings: Any) -> Any:
            options = {
                "broker_url": bench.broker_url,
                "mongodb_url": bench.mongo_url,
                "database": bench.database,
                "tenant": f"t{number}",
                "pool": "interop",
            }
            executor = CeleryExecutor(**options | settings)
            executor.worker_dead_after_s, executor.watch_every_s = 1.5, 0.3
            scheduler = kind(
                jobstores={"default": store or MemoryJobStore()}, executors={"default": executor}, timezone=UTC
            )
            scheduler.executor = executor
            scheduler.told = []
            scheduler.add_listener(scheduler.told.append, EVENT_ALL)
            scheduler.start(paused=paused)
            stack.callback(lambda: scheduler.running and scheduler.shutdown())
            return scheduler

        yield make


def events(scheduler: Any, code: int) -> list[Any]:
    return [event for event in list(scheduler.told) if event.code == code]


def await_event(scheduler: Any, code: int, **options: Any) -> Any:
    return eventually(lambda: events(scheduler, code), that=f"event {code} in {scheduler.told}", **options)[0]


def records(scheduler: Any) -> list[dict[str, Any]]:
    opened = scheduler.executor._desk.open()
    return list(opened.store.collections.firings(opened.place).find({}))


@pytest.mark.parametrize("kind", [BackgroundScheduler, ClusterScheduler])
def test_a_job_runs_on_a_worker_and_the_scheduler_hears_of_it(bench: Bench, start: Make, kind: Any) -> None:
    scheduler = start(kind)
    job = scheduler.add_job(
        celery_jobs.echo, args=[(1, 2), {3}, Parcel("x")], kwargs={"when": datetime(2026, 1, 1)}, id="a b/ä", **NOW
    )
    event = await_event(scheduler, EVENT_JOB_EXECUTED)
    assert (event.job_id, event.jobstore, event.scheduled_run_time) == ("a b/ä", "default", job.next_run_time)
    assert event.retval["args"] == "((1, 2), {3}, Parcel(content='x'))"
    assert event.retval["kwargs"] == "{'when': datetime.datetime(2026, 1, 1, 0, 0)}"
    assert event.retval["pid"] == bench.processes[0].process.pid
    assert events(scheduler, EVENT_JOB_SUBMITTED)
    (record,) = records(scheduler)
    assert (record["state"], record["nominal"]) == ("succeeded", job.next_run_time.timestamp())
    assert [attempt["attempt"] for attempt in record["attempts"]] == [1]


def test_errors_misses_coroutines_and_methods_are_told_as_stock_tells_them(start: Make) -> None:
    scheduler = start()
    scheduler.add_job(celery_jobs.fail, id="fails", **NOW)
    late = datetime.now(UTC) - timedelta(hours=1)
    scheduler.add_job(celery_jobs.echo, id="late", run_date=late, misfire_grace_time=5)
    scheduler.add_job(celery_jobs.wait_and_echo, args=["async"], id="coroutine", **NOW)
    scheduler.add_job(Parcel("four").weigh, args=[3], id="method", **NOW)
    failed = await_event(scheduler, EVENT_JOB_ERROR)
    assert (failed.job_id, str(failed.exception)) == ("fails", "ZeroDivisionError: no such number")
    assert "celery_jobs.py" in failed.traceback
    missed = await_event(scheduler, EVENT_JOB_MISSED)
    assert (missed.job_id, missed.scheduled_run_time) == ("late", late)
    eventually(lambda: len(events(scheduler, EVENT_JOB_EXECUTED)) == 2)
    assert {event.job_id: event.retval for event in events(scheduler, EVENT_JOB_EXECUTED)} == {
        "coroutine": "async",
        "method": 12,
    }
    assert Counter(record["state"] for record in records(scheduler)) == {"failed": 1, "missed": 1, "succeeded": 2}


def test_a_run_that_waited_too_long_in_the_queue_is_missed(start: Make) -> None:
    scheduler = start(queue_grace=0)
    late = datetime.now(UTC) - timedelta(seconds=0.5)
    opened = scheduler.executor._desk.open()
    send = opened.sender.send
    held: list[Any] = []
    opened.sender.send = held.extend
    scheduler.add_job(celery_jobs.echo, id="a", run_date=late, misfire_grace_time=1)
    eventually(lambda: held)
    never(lambda: datetime.now(UTC) - late > timedelta(seconds=5), during=0.7)
    send(held)
    assert await_event(scheduler, EVENT_JOB_MISSED).scheduled_run_time == late


def test_it_is_an_executor_by_name(bench: Bench) -> None:
    scheduler = BackgroundScheduler(
        {
            "apscheduler.executors.default": {
                "type": "celery",
                "broker_url": bench.broker_url,
                "mongodb_url": bench.mongo_url,
                "queue_grace": "30",
            }
        }
    )
    assert isinstance(scheduler._executors["default"], CeleryExecutor)
    with pytest.raises(ConfigurationError, match="mongodb_url or client"):
        CeleryExecutor(bench.broker_url)


def test_a_client_that_was_given_is_used_and_stays_open(start: Make, mongo_client: Any) -> None:
    scheduler = start(mongodb_url=None, client=mongo_client)
    scheduler.add_job(celery_jobs.echo, id="a", **NOW)
    await_event(scheduler, EVENT_JOB_EXECUTED)
    scheduler.shutdown()
    assert mongo_client.admin.command("ping")["ok"]


def test_several_stock_schedulers_on_stocks_own_store_run_each_instant_once(
    bench: Bench, start: Make, database_name: str, tmp_path: Path
) -> None:
    path = tmp_path / "runs"
    both = [start(store=StockStore(database=database_name, host=bench.mongo_url)) for _ in range(2)]
    first = (datetime.now(UTC) + timedelta(seconds=1)).replace(microsecond=0)
    for scheduler in both:
        scheduler.add_job(
            celery_jobs.record,
            "interval",
            seconds=0.5,
            start_date=first,
            args=[str(path), "a"],
            id="a",
            replace_existing=True,
            max_instances=20,
            coalesce=False,
            **NOW,
        )
    eventually(lambda: all(len(events(scheduler, EVENT_JOB_EXECUTED)) >= 4 for scheduler in both))
    runs = Counter(line["run_time"] for line in celery_jobs.lines(path))
    assert set(runs.values()) == {1}
    assert max(runs) - min(runs) == (len(runs) - 1) * 0.5


@pytest.mark.parametrize("kind", [BackgroundScheduler, ClusterScheduler])
def test_a_full_job_is_skipped_and_a_dead_worker_frees_its_place(
    bench: Bench, start: Make, tmp_path: Path, kind: Any
) -> None:
    scheduler = start(kind)
    scheduler.add_job(celery_jobs.hold, "interval", seconds=0.25, args=[str(tmp_path)], id="a", max_instances=1, **NOW)
    said = tmp_path / "said"
    eventually(lambda: len(events(scheduler, EVENT_JOB_MAX_INSTANCES)) >= 3)
    assert len(celery_jobs.lines(said)) == 1
    if kind is BackgroundScheduler:
        bench.processes.pop().kill()
        worker_on(bench)
        lost = await_event(scheduler, EVENT_JOB_ERROR, within=20)
        assert "worker_gone" in str(lost.exception)
        eventually(lambda: len(celery_jobs.lines(said)) == 2)
    (tmp_path / "go").touch()
    eventually(lambda: len(events(scheduler, EVENT_JOB_EXECUTED)) >= 3)
    scheduler.remove_job("a")
    eventually(lambda: scheduler.executor._answers.awaited == 0)
    lines = celery_jobs.lines(said)[1:] if kind is BackgroundScheduler else celery_jobs.lines(said)
    assert most_at_once(lines) == 1


def test_runs_that_are_not_coalesced_run_one_after_the_other(start: Make, tmp_path: Path) -> None:
    scheduler = start()
    first = datetime.now(UTC) - timedelta(seconds=3.5)
    timetable = {"seconds": 1, "start_date": first, "end_date": datetime.now(UTC), "next_run_time": first}
    scheduler.add_job(
        celery_jobs.hold, "interval", args=[str(tmp_path)], id="a", coalesce=False, max_instances=1, **timetable, **NOW
    )
    said = tmp_path / "said"
    eventually(lambda: celery_jobs.lines(said))
    never(lambda: len(celery_jobs.lines(said)) > 1, during=1.5, that="the next begins before the first has ended")
    (tmp_path / "go").touch()
    eventually(lambda: len(events(scheduler, EVENT_JOB_EXECUTED)) == 4)
    assert most_at_once(celery_jobs.lines(said)) == 1
    run_times = [event.scheduled_run_time for event in events(scheduler, EVENT_JOB_EXECUTED)]
    assert run_times == [first + timedelta(seconds=second) for second in range(4)]


@pytest.mark.parametrize("store", ["stock loop", "our loop", "shared store"])
def test_a_broker_that_is_away_reaches_the_loop_and_the_run_is_made_when_it_is_back(
    bench: Bench, start: Make, database_name: str, caplog: pytest.LogCaptureFixture, store: str, tmp_path: Path
) -> None:
    port = free_port()
    kind = BackgroundScheduler if store == "stock loop" else ClusterScheduler
    jobs = SharedMongoDBJobStore(database=database_name, host=bench.mongo_url) if store == "shared store" else None
    scheduler = start(kind, jobs, broker_url=f"redis://127.0.0.1:{port}/0")
    path = tmp_path / "runs"
    scheduler.add_job(celery_jobs.record, args=[str(path), "a"], id="a", **NOW)
    eventually(lambda: "Error submitting job" in caplog.text)
    assert "BrokerUnavailable" in caplog.text
    assert not events(scheduler, EVENT_JOB_SUBMITTED)
    with EmbeddedValkey(port=port) as broker:
        here = Bench(bench.mongo_url, broker.url, bench.database, pool="interop", tenant_id=f"b{port}")
        try:
            worker_on(here)
            await_event(scheduler, EVENT_JOB_EXECUTED, within=20)
            if store == "our loop":
                eventually(lambda: events(scheduler, EVENT_JOB_SUBMITTED), that="it is kept, and submitted again")
            never(lambda: len(celery_jobs.lines(path)) > 1, during=0.3)
        finally:
            scheduler.shutdown()
            here.close()


def test_what_a_process_recorded_and_never_sent_is_sent_by_another(
    bench: Bench, start: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.executor.tending.UNDECIDED_AFTER", timedelta(seconds=0.5))
    dying, other = start(paused=True), start()
    monkeypatch.setattr(handover.Handover, "_begin", lambda *_: _die())
    job = dying.add_job(celery_jobs.echo, id="a", **NOW)
    with pytest.raises(KeyboardInterrupt):
        dying.executor.submit_job(job, [job.next_run_time])
    assert [record["state"] for record in records(dying)] == ["pending"]
    dying.executor.shutdown()
    eventually(lambda: [record["state"] for record in records(other)] == ["succeeded"])


def test_nodes_of_a_cluster_leave_such_records_to_the_executors(start: Make) -> None:
    scheduler = start(pool="nobody")
    scheduler.add_job(celery_jobs.echo, id="a", **NOW)
    (record,) = eventually(lambda: [one for one in records(scheduler) if one["state"] == "dispatched"])
    firing, tenant = read_firing(record), scheduler.executor._desk.open().tenant()
    assert judge_dispatched(firing, None, tenant) == LEAVE
    assert judge_pending(firing, None, tenant) == LEAVE


def _die() -> Any:
    raise KeyboardInterrupt


def test_only_a_sealed_reference_is_called(bench: Bench) -> None:
    bench.pool = "interop"
    forged = bench.fire("tests.interop.celery_jobs:echo", kind="reference")
    firing = bench.ended(forged)
    assert (firing.state, firing.reason) == ("failed", "unknown_target")
    assert "make it known to the workers" in str(firing.error)


def test_a_seal_holds_for_one_firing_and_one_function(bench: Bench) -> None:
    key = bench.store.message_key()
    message = bench.record("tests.interop.celery_jobs:echo", kind="reference")
    genuine = sealed(
        key, message.firing, name="tests.interop.celery_jobs:echo", args=(), kwargs={}, start_by=None, most=1
    )
    firings = bench.store.collections.firings(bench.tenant.place)
    outcomes = {}
    for what, change in {
        "genuine": {},
        "another function": {"name": "tests.interop.celery_jobs:fail"},
        "other arguments": {"arguments": genuine["arguments"] + b"."},
        "another firing": {"seal": sealed(key, "acme:x", **_parts(genuine))["seal"]},
    }.items():
        message = bench.record("x", kind="reference")
        target = sealed(key, message.firing, **_parts(genuine)) | change
        firings.update_one({"_id": message.firing}, {"$set": {"target": target}})
        bench.sender.send([message])
        outcomes[what] = bench.ended(message.firing).state
    assert outcomes == {
        "genuine": "succeeded",
        "another function": "failed",
        "other arguments": "failed",
        "another firing": "failed",
    }


def _parts(target: dict[str, Any]) -> dict[str, Any]:
    return {"name": target["name"], "args": (), "kwargs": {}, "start_by": None, "most": 1}


def test_processes_of_the_cluster_scheduler_with_one_killed_and_one_frozen_run_each_instant_once(
    bench: Bench, start: Make, database_name: str, tmp_path: Path
) -> None:
    path = tmp_path / "runs"
    api = start(
        store=SharedMongoDBJobStore(database=database_name, collection="acme", host=bench.mongo_url), paused=True
    )
    tenant = api.executor._desk.settings.tenant
    base = {"url": bench.mongo_url, "database": database_name, "stores": ["acme"], "lease_s": 2}
    celery = {"broker_url": bench.broker_url, "mongodb_url": bench.mongo_url, "database": bench.database}
    base["celery"] = celery | {"tenant": tenant, "pool": "interop"}
    with ExitStack() as stack:

        def process(**more: Any) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "tests.interop.clustered", json.dumps(base | more)]
            made = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            stack.callback(made.communicate, timeout=20)
            stack.callback(made.terminate)
            stack.callback(made.send_signal, signal.SIGCONT)
            return made

        doomed = process(signal_at=["claim.after", 3, "SIGKILL"])
        freezing = process(signal_at=["advance.after", 3, "SIGSTOP"])
        for made in (doomed, freezing, process()):
            assert made.stdout is not None
            assert made.stdout.readline() == "ready\n"
        first = (datetime.now(UTC) + timedelta(seconds=1)).replace(microsecond=0)
        more = {"coalesce": False, "max_instances": 50, "args": [str(path), "a"], "jobstore": "default", **NOW}
        end = first + timedelta(seconds=4)
        for name in ("a", "b"):
            more["args"] = [str(path), name]
            api.add_job(celery_jobs.record, "interval", seconds=0.5, start_date=first, end_date=end, id=name, **more)
        owed = [(name, first.timestamp() + half / 2) for name in ("a", "b") for half in range(9)]
        assert doomed.wait(15) == -signal.SIGKILL
        eventually(lambda: api.get_jobs() == [], within=25)
        freezing.send_signal(signal.SIGCONT)
        eventually(lambda: len(celery_jobs.lines(path)) >= len(owed))
        never(lambda: len(celery_jobs.lines(path)) > len(owed), during=1)
    assert sorted((line["job"], line["run_time"]) for line in celery_jobs.lines(path)) == sorted(owed)
