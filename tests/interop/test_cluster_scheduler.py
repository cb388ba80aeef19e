"""``ClusterScheduler`` in one process: what no store, trigger, job, executor or listener may do to it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from apscheduler.events import (
    EVENT_ALL,
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    EVENT_JOB_REMOVED,
    EVENT_JOB_SUBMITTED,
)
from apscheduler.executors.pool import ProcessPoolExecutor, ThreadPoolExecutor
from apscheduler.jobstores.base import BaseJobStore
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.combining import AndTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from cluster import ClusterScheduler
from cluster.dev.ports import free_port
from jobstore import MongoDBJobStore, SharedMongoDBJobStore
from jobstore.errors import InvalidTrigger
from tests.interop import clustered
from tests.support.waiting import eventually, never

Make = Callable[..., Any]
NOW = {"misfire_grace_time": None}


@pytest.fixture(autouse=True)
def _forget() -> None:
    clustered.calls.clear()


@pytest.fixture
def shared(mongo_client: Any, database_name: str) -> Make:
    """Makes a shared store in a collection of that name, on the one client of all."""

    def make(name: str = "jobs", **settings: Any) -> Any:
        store = SharedMongoDBJobStore(database=database_name, collection=name, client=mongo_client)
        store.lease_for = timedelta(seconds=0.5)
        for key, value in settings.items():
            setattr(store, key, value)
        return store

    return make


@pytest.fixture
def start(shared: Make) -> Iterator[Make]:
    """Starts schedulers; each notes its events in ``told``."""
    with ExitStack() as stack:

        def make(kind: Any = ClusterScheduler, **options: Any) -> Any:
            options.setdefault("jobstores", {"default": shared()})
            paused = options.pop("paused", False)
            scheduler = kind(timezone=UTC, **options)
            scheduler.start_within_s = 0.5
            scheduler.told = []
            scheduler.add_listener(scheduler.told.append, EVENT_ALL)
            scheduler.start(paused=paused)
            stack.callback(lambda: scheduler.running and scheduler.shutdown())
            return scheduler

        yield make
        for gate in clustered.gates.values():
            gate.set()
    clustered.gates.clear()


def codes(scheduler: Any, job_id: str) -> list[int]:
    return [event.code for event in list(scheduler.told) if getattr(event, "job_id", None) == job_id]


def ran(name: str, times: int = 1) -> None:
    eventually(lambda: clustered.calls.count(name) >= times, that=f"{name} runs")


# -- triggers


def test_jobs_that_would_hang_stock_are_set_aside_or_simply_run(start: Make) -> None:
    stock = start(BackgroundScheduler, paused=True)
    now = datetime.now(UTC)
    pills = {
        "backwards": IntervalTrigger(seconds=-5),
        "never": AndTrigger([CronTrigger(month=2, day=28), CronTrigger(month=3)]),
        # Solved by us; stock searches for ever, as the parts do not agree at once.
        "and": AndTrigger([IntervalTrigger(hours=2, start_date=now), IntervalTrigger(hours=3, start_date=now)]),
    }
    for name, trigger in pills.items():
        stock.add_job(clustered.call, trigger, args=[name], id=name, next_run_time=now, **NOW)
    stock.add_job(clustered.call, args=["good"], id="good", **NOW)
    scheduler = start()
    ran("good")
    ran("and")
    store = scheduler._jobstores["default"]
    aside = eventually(lambda: len(found := store.get_quarantined_jobs()) == 2 and found, that="two are set aside")
    assert {job.id for job in aside} == {"backwards", "never"}
    following = eventually(lambda: (run := scheduler.get_job("and").next_run_time) > now and run)
    assert following.replace(microsecond=0) == (now + timedelta(hours=6)).replace(microsecond=0)
    assert set(clustered.calls) == {"good", "and"}


@pytest.mark.parametrize("jobstore", ["default", "memory"])
def test_a_trigger_that_does_not_move_forward_is_refused_at_the_door(start: Make, shared: Make, jobstore: str) -> None:
    scheduler = start(jobstores={"default": shared(), "memory": MemoryJobStore()})
    with pytest.raises(InvalidTrigger, match="interval"):
        scheduler.add_job(clustered.call, "interval", seconds=-5, args=["a"], jobstore=jobstore)
    job = scheduler.add_job(clustered.call, "interval", hours=1, args=["a"], jobstore=jobstore)
    with pytest.raises(InvalidTrigger):
        job.reschedule("interval", seconds=-5)
    with pytest.raises(InvalidTrigger):
        job.modify(trigger=IntervalTrigger(seconds=-5))
    assert scheduler.get_job(job.id).trigger.interval == timedelta(hours=1)


@pytest.mark.parametrize("kind", ["shared", "memory"])
def test_a_trigger_of_the_application_that_never_returns_holds_up_its_own_store_and_is_set_aside(
    start: Make, shared: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    monkeypatch.setattr("cluster.scheduler.evaluation.MOST_S", 0.7)
    bad = shared("bad") if kind == "shared" else MemoryJobStore()
    scheduler = start(jobstores={"default": shared("good"), "bad": bad})
    clustered.gates["endless"] = threading.Event()
    begun = scheduler.clock.monotonic()
    scheduler.add_job(clustered.call, clustered.Endless(), args=["bad"], jobstore="bad", id="bad")
    scheduler.add_job(clustered.call, args=["good"], **NOW)
    ran("good")
    assert scheduler.clock.monotonic() - begun < 0.7
    eventually(lambda: "took longer than 0.7 s" in caplog.text)
    scheduler.add_job(clustered.call, args=["next"], jobstore="bad", **NOW)
    ran("next")
    assert sorted(clustered.calls) == ["good", "next"]


def test_a_long_outage_is_caught_up_in_bounded_pieces_or_coalesced(start: Make) -> None:
    stock = start(BackgroundScheduler, paused=True)
    late = datetime.now(UTC) - timedelta(days=10)
    every = IntervalTrigger(seconds=1, start_date=late)
    stock.add_job(clustered.call, every, args=["last"], id="last", next_run_time=late, **NOW)
    stock.add_job(
        clustered.call, every, args=["all"], id="all", next_run_time=late, coalesce=False, max_instances=1, **NOW
    )
    scheduler = start()
    ran("last", 2)
    ran("all", 200)
    assert scheduler.get_job("all").next_run_time < late + timedelta(seconds=clustered.calls.count("all") + 150)


def test_jitter_spreads_and_does_not_drift(start: Make) -> None:
    scheduler = start()
    begin = datetime.now(UTC).replace(microsecond=0)
    scheduler.add_job(
        clustered.call, "interval", seconds=1, jitter=0.5, start_date=begin, args=["a"], id="a", max_instances=9, **NOW
    )
    ran("a", 3)
    events = [event for event in scheduler.told if event.code == EVENT_JOB_SUBMITTED]
    offsets = [(event.scheduled_run_times[0] - begin).total_seconds() % 1 for event in events]
    assert all(offset < 0.5 for offset in offsets)
    assert len(set(offsets)) == len(offsets) > 2


# -- stores


def test_a_store_whose_server_is_down_or_frozen_stops_nobody_and_comes_back(
    shared: Make, start: Make, mongo_url: str, database_name: str
) -> None:
    port, server = free_port(), urlsplit(mongo_url)
    url = f"mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=400"
    far = SharedMongoDBJobStore(database=database_name, collection="far", host=url)
    scheduler = ClusterScheduler(jobstores={"default": shared(), "far": far}, timezone=UTC, jobstore_retry_interval=0.2)
    scheduler.start_within_s = 0.5
    scheduler.add_job(clustered.call, args=["far"], jobstore="far", **NOW)
    scheduler.start()
    for number in range(2):
        scheduler.add_job(clustered.call, args=[f"job{number}"], **NOW)
        ran(f"job{number}")
    wire = clustered.Wire(port, server.hostname or "", server.port or 0)
    try:
        ran("far")
        scheduler.add_job(clustered.call, args=["far again"], jobstore="far", next_run_time=soon(0.3), **NOW)
        wire.freeze()
        for number in range(2, 4):
            scheduler.add_job(clustered.call, args=[f"job{number}"], **NOW)
            ran(f"job{number}")
        never(lambda: "far again" in clustered.calls, during=0.5)
        wire.thaw()
        ran("far again")
    finally:
        wire.thaw()
        scheduler.shutdown()
        wire.close()


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


class Faulty(MemoryJobStore):  # type: ignore[misc]
    """A store that fails as the test asks."""

    fault: Callable[[], object] | None = None

    def get_due_jobs(self, now: datetime) -> Any:
        """Fail, or do as ever."""
        if self.fault is not None:
            self.fault()
        return super().get_due_jobs(now)


class Hanging(BaseJobStore):  # type: ignore[misc]
    """An empty store that does not answer before the gate opens."""

    def __init__(self, gate: threading.Event) -> None:
        super().__init__()
        self._gate = gate
        self.asked = False

    def get_due_jobs(self, now: datetime) -> list[Any]:
        """Hang."""
        self.asked = True
        self._gate.wait()
        return []

    def get_next_run_time(self) -> None:
        """Return nothing."""

    lookup_job = get_all_jobs = add_job = update_job = remove_job = remove_all_jobs = get_next_run_time


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("error", [OSError("away"), SystemExit(3), KeyError("odd")])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_store_that_fails_is_visited_again_and_the_others_go_on(
    start: Make, shared: Make, error: BaseException
) -> None:
    faulty = Faulty()
    scheduler = start(jobstores={"default": shared(), "faulty": faulty}, jobstore_retry_interval=0.1)
    faulty.fault = lambda: _raise(error)
    scheduler.add_job(clustered.call, args=["faulty"], jobstore="faulty")
    scheduler.add_job(clustered.call, args=["good"])
    ran("good")
    assert clustered.calls == ["good"]
    faulty.fault = None
    ran("faulty")


def test_stores_that_hang_take_nobodys_place(start: Make, shared: Make) -> None:
    gate = clustered.gates["store"] = threading.Event()
    hanging = {f"hanging{number}": Hanging(gate) for number in range(12)}
    scheduler = start(jobstores={"default": shared(), **hanging})
    scheduler.add_job(clustered.call, args=["good"], **NOW)
    ran("good")
    eventually(lambda: all(store.asked for store in hanging.values()), that="each has been visited")
    scheduler.add_job(clustered.call, args=["again"], **NOW)
    ran("again")


def test_many_tenants_share_one_client_and_one_sign_of_life(start: Make, shared: Make, database: Any) -> None:
    names = [f"tenant{number}" for number in range(30)]
    scheduler = start(jobstores={name: shared(name) for name in names})
    for name in names:
        scheduler.add_job(clustered.call, args=[name], id="same", jobstore=name, **NOW)
    for name in names:
        ran(name)
    assert sorted(clustered.calls) == sorted(names)
    assert database["horarium.schedulers"].count_documents({}) == 1
    scheduler.shutdown()
    assert database["horarium.schedulers"].count_documents({}) == 0


def test_the_names_mongodb_and_horarium_mean_the_shared_store_here_and_stocks_stays_stocks(
    mongo_url: str, database_name: str
) -> None:
    options = {"database": database_name, "host": mongo_url}
    ours = ClusterScheduler({"apscheduler.jobstores.default": {"type": "mongodb", **options}})
    ours.add_jobstore("horarium", "second", **options)
    stores = list(ours._jobstores.values())
    stock = BackgroundScheduler(jobstores={"default": {"type": "mongodb", **options}})
    stores += stock._jobstores.values()
    assert [type(store) for store in stores[:2]] == [SharedMongoDBJobStore] * 2
    assert not isinstance(stores[2], MongoDBJobStore)
    for store in stores:
        store.client.close()


# -- executors


class Moody(ThreadPoolExecutor):  # type: ignore[misc]
    """An executor that takes nothing until it is told to."""

    taking = False

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        if not self.taking:
            raise RuntimeError("cannot start new thread")
        super()._do_submit_job(job, run_times)


@pytest.mark.parametrize("jobstore", ["default", "memory"])
def test_a_failed_submit_keeps_the_run(
    start: Make, shared: Make, monkeypatch: pytest.MonkeyPatch, jobstore: str
) -> None:
    monkeypatch.setattr("cluster.scheduler.plain.RETRY_AFTER_S", 0.2)
    moody = Moody()
    scheduler = start(jobstores={"default": shared(), "memory": MemoryJobStore()}, executors={"moody": moody})
    added = scheduler.add_job(clustered.call, args=["a"], id="a", executor="moody", jobstore=jobstore, **NOW)
    never(lambda: EVENT_JOB_REMOVED in codes(scheduler, "a"), during=0.5)
    assert scheduler.get_job("a").next_run_time == added.next_run_time
    moody.taking = True
    ran("a")
    eventually(lambda: EVENT_JOB_EXECUTED in codes(scheduler, "a"))
    assert clustered.calls == ["a"]


def test_a_job_of_an_unknown_executor_is_set_aside_and_comes_back(start: Make, shared: Make) -> None:
    store = shared(retry_quarantined_every=timedelta(seconds=0.2))
    scheduler = start(jobstores={"default": store, "memory": MemoryJobStore()})
    scheduler.add_job(clustered.call, args=["shared"], executor="gpu", **NOW)
    scheduler.add_job(clustered.call, args=["memory"], id="m", executor="gpu", jobstore="memory", **NOW)
    (aside,) = eventually(store.get_quarantined_jobs)
    assert "gpu" in aside.reason
    assert scheduler.get_job("m") is not None
    scheduler.add_executor(ThreadPoolExecutor(), "gpu")
    ran("shared")
    ran("memory")


# -- events


def test_events_come_as_from_stock_and_in_its_order(start: Make, shared: Make) -> None:
    def play(scheduler: Any) -> list[tuple[int, str]]:
        scheduler.pause()
        for name in ("a", "b"):
            scheduler.add_job(clustered.call, args=[name], id=name, **NOW)
        scheduler.add_job(clustered.fail, args=["c"], id="c", **NOW)
        scheduler.add_job(
            clustered.call, id="d", run_date=datetime.now(UTC) - timedelta(hours=1), args=["d"], misfire_grace_time=20
        )
        scheduler.told.clear()
        scheduler.resume()
        eventually(lambda: {EVENT_JOB_MISSED, EVENT_JOB_ERROR} <= {event.code for event in scheduler.told})
        eventually(lambda: [event.code for event in scheduler.told].count(EVENT_JOB_EXECUTED) == 2)
        eventually(lambda: [event.code for event in scheduler.told].count(EVENT_JOB_SUBMITTED) == 4)
        return [(event.code, event.job_id) for event in scheduler.told if hasattr(event, "job_id")]

    loop = EVENT_JOB_REMOVED | EVENT_JOB_SUBMITTED
    ours, stocks = (play(start(kind, jobstores={"default": store})) for kind, store in _both(shared))
    assert [one for one in ours if one[0] & loop] == [one for one in stocks if one[0] & loop]
    assert sorted(ours) == sorted(stocks)


def _both(shared: Make) -> list[tuple[Any, Any]]:
    return [(ClusterScheduler, shared()), (BackgroundScheduler, MemoryJobStore())]


def test_the_details_of_events_are_stocks(start: Make) -> None:
    scheduler = start()
    job = scheduler.add_job(clustered.call, args=["a"], id="a", **NOW)
    scheduler.add_job(clustered.fail, args=["b"], id="b", **NOW)
    eventually(lambda: EVENT_JOB_EXECUTED in codes(scheduler, "a") and EVENT_JOB_ERROR in codes(scheduler, "b"))
    eventually(lambda: EVENT_JOB_SUBMITTED in codes(scheduler, "a"))
    (submitted,) = [event for event in scheduler.told if event.code == EVENT_JOB_SUBMITTED and event.job_id == "a"]
    (executed,) = [event for event in scheduler.told if event.code == EVENT_JOB_EXECUTED]
    (failed,) = [event for event in scheduler.told if event.code == EVENT_JOB_ERROR]
    assert (submitted.jobstore, submitted.scheduled_run_times) == ("default", [job.next_run_time])
    assert (executed.jobstore, executed.scheduled_run_time, executed.retval) == ("default", job.next_run_time, "a")
    assert isinstance(failed.exception, ZeroDivisionError)


def test_listeners_may_raise_and_change_stores_in_the_midst_of_it(start: Make) -> None:
    scheduler = start()

    def meddle(event: Any) -> None:
        name = f"added by {event.job_id}"
        scheduler.add_jobstore(MemoryJobStore(), name)
        scheduler.add_job(clustered.call, args=[name], jobstore=name, **NOW)
        if event.job_id == "job1":
            scheduler.remove_jobstore("added by job0")
        raise KeyError("a fault in a listener")

    def leave(_: Any) -> None:
        raise SystemExit

    scheduler.add_listener(meddle, EVENT_JOB_REMOVED)
    scheduler.add_listener(leave, EVENT_JOB_SUBMITTED)
    for name in ("job0", "job1"):
        scheduler.add_job(clustered.call, args=[name], id=name, **NOW)
        ran(name)
        ran(f"added by {name}")
    scheduler.remove_listener(meddle)
    scheduler.add_job(clustered.call, args=["job2"], id="job2", **NOW)
    ran("job2")
    assert scheduler._thread.is_alive()


def test_a_listener_that_hangs_holds_up_its_own_store_only(start: Make, shared: Make) -> None:
    scheduler = start(jobstores={"default": shared("good"), "slow": shared("slow")})
    gate = clustered.gates["listener"] = threading.Event()
    scheduler.add_listener(lambda event: event.jobstore == "slow" and gate.wait(20), EVENT_JOB_SUBMITTED)
    scheduler.add_job(clustered.call, args=["slow"], jobstore="slow", **NOW)
    ran("slow")
    for number in range(2):
        scheduler.add_job(clustered.call, args=[f"job{number}"], **NOW)
        ran(f"job{number}")


# -- instances


@pytest.mark.parametrize("kind", ["shared", "memory"])
def test_two_tenants_jobs_of_one_name_are_two_jobs(start: Make, shared: Make, kind: str) -> None:
    stores = {name: shared(name) if kind == "shared" else MemoryJobStore() for name in ("acme", "globex")}
    scheduler = start(jobstores=stores)
    clustered.gates["acme"] = threading.Event()
    for name in stores:
        scheduler.add_job(clustered.call, args=[name], id="daily", max_instances=1, jobstore=name, **NOW)
    ran("acme")
    ran("globex")
    assert EVENT_JOB_MAX_INSTANCES not in codes(scheduler, "daily")


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("jobstore", ["default", "memory"])
def test_a_full_job_is_skipped_and_runs_again_when_an_instance_has_ended(
    start: Make, shared: Make, tmp_path: Any, executor: str, jobstore: str
) -> None:
    pools = {"threads": ThreadPoolExecutor(4), "processes": ProcessPoolExecutor(2)}
    scheduler = start(jobstores={"default": shared(), "memory": MemoryJobStore()}, executors=pools)
    scheduler.add_job(
        clustered.hold,
        "interval",
        seconds=0.25,
        args=[str(tmp_path), "a"],
        id="a",
        executor=executor,
        jobstore=jobstore,
        max_instances=1,
        **NOW,
    )
    eventually(lambda: codes(scheduler, "a").count(EVENT_JOB_MAX_INSTANCES) >= 2)
    eventually(lambda: clustered.said(tmp_path))
    assert len(clustered.said(tmp_path)) == 1
    (tmp_path / "go").touch()
    eventually(lambda: len(clustered.said(tmp_path)) >= 6)
    scheduler.remove_job("a")
    assert clustered.most_at_once(clustered.said(tmp_path)) == 1


# -- the end


def test_whatever_moment_it_is_stopped_at_each_run_is_made_once(start: Make) -> None:
    api = start(BackgroundScheduler, paused=True)
    names = [f"job{number}" for number in range(60)]
    for name in names:
        api.add_job(clustered.call, args=[name], id=name, **NOW)
    while api.get_jobs():
        scheduler = start()
        before = len(clustered.calls)
        eventually(lambda: len(clustered.calls) > before or not api.get_jobs())  # noqa: B023
        scheduler.shutdown()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("APScheduler default")]
    assert sorted(clustered.calls) == sorted(names)


def test_a_stopped_scheduler_claims_nothing_and_can_be_started_again(start: Make) -> None:
    api = start(BackgroundScheduler, paused=True)
    scheduler = start()
    scheduler.shutdown()
    api.add_job(clustered.call, args=["a"], **NOW)
    assert scheduler._process_jobs() is None
    never(lambda: clustered.calls, during=0.3)
    scheduler.remove_executor("default")  # a pool that was shut down stays so, in stock as well
    scheduler.start()
    ran("a")


def test_a_paused_scheduler_is_an_api_and_runs_what_is_due_when_resumed(start: Make) -> None:
    scheduler = start(paused=True)
    scheduler.add_job(clustered.call, args=["a"], id="a", **NOW)
    never(lambda: clustered.calls, during=0.3)
    paused = scheduler.add_job(clustered.call, "interval", hours=1, args=["b"], id="b", next_run_time=None)
    assert paused.next_run_time is None
    scheduler.resume_job("b")
    assert scheduler.get_job("b").next_run_time > datetime.now(UTC)
    scheduler.resume()
    ran("a")


def test_a_job_added_elsewhere_runs_within_a_second(start: Make) -> None:
    scheduler = start()
    api = start(BackgroundScheduler, paused=True)
    eventually(scheduler._thread.is_alive)
    begun = datetime.now(UTC)
    api.add_job(clustered.call, args=["a"], **NOW)
    ran("a")
    assert datetime.now(UTC) - begun < timedelta(seconds=1)
