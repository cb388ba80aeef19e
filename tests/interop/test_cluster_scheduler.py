"""``ClusterScheduler`` in one process: executors, events, instances, and its end."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    EVENT_JOB_REMOVED,
    EVENT_JOB_SUBMITTED,
)
from apscheduler.executors.pool import ProcessPoolExecutor, ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from cluster import ClusterScheduler
from tests.interop import clustered
from tests.support.waiting import eventually, never

Make = Callable[..., Any]
NOW = {"misfire_grace_time": None}


def codes(scheduler: Any, job_id: str) -> list[int]:
    return [event.code for event in list(scheduler.told) if getattr(event, "job_id", None) == job_id]


def ran(name: str, times: int = 1) -> None:
    eventually(lambda: clustered.calls.count(name) >= times, that=f"{name} runs")


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
    start_cluster: Make, shared: Make, monkeypatch: pytest.MonkeyPatch, jobstore: str
) -> None:
    monkeypatch.setattr("cluster.scheduler.plain.RETRY_AFTER_S", 0.2)
    moody = Moody()
    scheduler = start_cluster(jobstores={"default": shared(), "memory": MemoryJobStore()}, executors={"moody": moody})
    added = scheduler.add_job(clustered.call, args=["a"], id="a", executor="moody", jobstore=jobstore, **NOW)
    never(lambda: EVENT_JOB_REMOVED in codes(scheduler, "a"), during=0.5)
    assert scheduler.get_job("a").next_run_time == added.next_run_time
    moody.taking = True
    ran("a")
    eventually(lambda: EVENT_JOB_EXECUTED in codes(scheduler, "a"))
    assert clustered.calls == ["a"]


def test_a_job_of_an_unknown_executor_is_set_aside_and_comes_back(start_cluster: Make, shared: Make) -> None:
    store = shared(retry_quarantined_every=timedelta(seconds=0.2))
    scheduler = start_cluster(jobstores={"default": store, "memory": MemoryJobStore()})
    scheduler.add_job(clustered.call, args=["shared"], executor="gpu", **NOW)
    scheduler.add_job(clustered.call, args=["memory"], id="m", executor="gpu", jobstore="memory", **NOW)
    (aside,) = eventually(store.get_quarantined_jobs)
    assert "gpu" in aside.reason
    assert scheduler.get_job("m") is not None
    scheduler.add_executor(ThreadPoolExecutor(), "gpu")
    ran("shared")
    ran("memory")


# -- events


def test_events_come_as_from_stock_and_in_its_order(start_cluster: Make, shared: Make) -> None:
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
    ours, stocks = (play(start_cluster(kind, jobstores={"default": store})) for kind, store in _both(shared))
    assert [one for one in ours if one[0] & loop] == [one for one in stocks if one[0] & loop]
    assert sorted(ours) == sorted(stocks)


def _both(shared: Make) -> list[tuple[Any, Any]]:
    return [(ClusterScheduler, shared()), (BackgroundScheduler, MemoryJobStore())]


def test_the_details_of_events_are_stocks(start_cluster: Make) -> None:
    scheduler = start_cluster()
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


def test_listeners_may_raise_and_change_stores_in_the_midst_of_it(start_cluster: Make) -> None:
    scheduler = start_cluster()

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


def test_a_listener_that_hangs_holds_up_its_own_store_only(start_cluster: Make, shared: Make) -> None:
    scheduler = start_cluster(jobstores={"default": shared("good"), "slow": shared("slow")})
    gate = clustered.gates["listener"] = threading.Event()
    scheduler.add_listener(lambda event: event.jobstore == "slow" and gate.wait(20), EVENT_JOB_SUBMITTED)
    scheduler.add_job(clustered.call, args=["slow"], jobstore="slow", **NOW)
    ran("slow")
    for number in range(2):
        scheduler.add_job(clustered.call, args=[f"job{number}"], **NOW)
        ran(f"job{number}")


# -- instances


@pytest.mark.parametrize("kind", ["shared", "memory"])
def test_two_tenants_jobs_of_one_name_are_two_jobs(start_cluster: Make, shared: Make, kind: str) -> None:
    stores = {name: shared(name) if kind == "shared" else MemoryJobStore() for name in ("acme", "globex")}
    scheduler = start_cluster(jobstores=stores)
    clustered.gates["acme"] = threading.Event()
    for name in stores:
        scheduler.add_job(clustered.call, args=[name], id="daily", max_instances=1, jobstore=name, **NOW)
    ran("acme")
    ran("globex")
    assert EVENT_JOB_MAX_INSTANCES not in codes(scheduler, "daily")


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("jobstore", ["default", "memory"])
def test_a_full_job_is_skipped_and_runs_again_when_an_instance_has_ended(
    start_cluster: Make, shared: Make, tmp_path: Any, executor: str, jobstore: str
) -> None:
    pools = {"threads": ThreadPoolExecutor(4), "processes": ProcessPoolExecutor(2)}
    scheduler = start_cluster(jobstores={"default": shared(), "memory": MemoryJobStore()}, executors=pools)
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


def test_whatever_moment_it_is_stopped_at_each_run_is_made_once(start_cluster: Make) -> None:
    api = start_cluster(BackgroundScheduler, paused=True)
    names = [f"job{number}" for number in range(60)]
    for name in names:
        api.add_job(clustered.call, args=[name], id=name, **NOW)
    while api.get_jobs():
        scheduler = start_cluster()
        before = len(clustered.calls)
        eventually(lambda: len(clustered.calls) > before or not api.get_jobs())  # noqa: B023
        scheduler.shutdown()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("APScheduler default")]
    assert sorted(clustered.calls) == sorted(names)


def test_a_stopped_scheduler_claims_nothing_and_can_be_started_again(start_cluster: Make) -> None:
    api = start_cluster(BackgroundScheduler, paused=True)
    scheduler = start_cluster()
    scheduler.shutdown()
    api.add_job(clustered.call, args=["a"], **NOW)
    assert scheduler._process_jobs() is None
    never(lambda: clustered.calls, during=0.3)
    scheduler.remove_executor("default")  # a pool that was shut down stays so, in stock as well
    scheduler.start()
    ran("a")


def test_a_paused_scheduler_is_an_api_and_runs_what_is_due_when_resumed(start_cluster: Make) -> None:
    scheduler = start_cluster(paused=True)
    scheduler.add_job(clustered.call, args=["a"], id="a", **NOW)
    never(lambda: clustered.calls, during=0.3)
    paused = scheduler.add_job(clustered.call, "interval", hours=1, args=["b"], id="b", next_run_time=None)
    assert paused.next_run_time is None
    scheduler.resume_job("b")
    assert scheduler.get_job("b").next_run_time > datetime.now(UTC)
    scheduler.resume()
    ran("a")


def test_a_job_added_elsewhere_runs_within_a_second(start_cluster: Make) -> None:
    scheduler = start_cluster()
    api = start_cluster(BackgroundScheduler, paused=True)
    eventually(scheduler._thread.is_alive)
    begun = datetime.now(UTC)
    api.add_job(clustered.call, args=["a"], **NOW)
    ran("a")
    assert datetime.now(UTC) - begun < timedelta(seconds=1)
