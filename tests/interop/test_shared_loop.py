"""A stock scheduler's loop on the shared store: what it cannot run, what fails, how long it sleeps."""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_REMOVED
from apscheduler.executors.debug import DebugExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger
from bson.binary import Binary

from jobstore import SharedMongoDBJobStore
from tests.interop import functions
from tests.interop.by_hand import (
    EPOCH,
    EVERY_SECOND,
    FOUR,
    SHORT,
    HandExecutor,
    HandTurned,
    document_of,
    runs_of,
    second,
)
from tests.support.waiting import eventually

Make = Callable[..., HandTurned]


def test_a_full_job_is_skipped_with_stocks_event(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.add("a", "interval", **EVERY_SECOND)
    scheduler.executor._instances["a"] = 1
    scheduler.turn()
    assert scheduler.codes("a").count(EVENT_JOB_MAX_INSTANCES) == 1
    assert scheduler.get_jobs() == []
    assert runs_of() == []


def test_a_failed_submit_keeps_the_run_for_another_process(hand_turned: Make) -> None:
    class Broken(HandExecutor):
        def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
            raise RuntimeError("cannot start new thread")

    broken, other = hand_turned(), hand_turned()
    broken.remove_executor("default")
    broken.add_executor(Broken())
    broken.add("a")
    broken.turn()
    broken.turn()
    other.work()
    assert runs_of() == [EPOCH]


def test_a_job_whose_executor_is_missing_here_is_left_to_a_process_that_has_it(hand_turned: Make) -> None:
    without, having = hand_turned(), hand_turned()
    gpu = HandExecutor()
    having.add_executor(gpu, "gpu")
    without.add("a", executor="gpu")
    without.turn()
    assert without.store.get_quarantined_jobs() == []
    having.turn()
    gpu.run()
    assert runs_of() == [EPOCH]


def test_what_no_process_can_run_is_set_aside_after_a_lease_and_comes_back(hand_turned: Make) -> None:
    scheduler = hand_turned(lease_for=SHORT)
    scheduler.add("a", executor="gpu")

    def set_aside() -> Any:
        scheduler.turn()
        return scheduler.store.get_quarantined_jobs()

    (quarantined,) = eventually(set_aside)
    assert "gpu" in quarantined.reason
    gpu = HandExecutor()
    scheduler.add_executor(gpu, "gpu")
    scheduler.store.retry_quarantined_every = timedelta(0)
    scheduler.turn()
    gpu.run()
    assert runs_of() == [EPOCH]


def test_an_executor_removed_after_the_claim_does_not_delete_its_jobs(hand_turned: Make, database: Any) -> None:
    scheduler = hand_turned()
    scheduler.add("a")
    claim = scheduler.store._claims.take

    def and_remove(*arguments: Any) -> Any:
        document = claim(*arguments)
        if document is None:
            scheduler._executors.pop("default", None)
        return document

    scheduler.store._claims.take = and_remove
    scheduler.turn()
    assert document_of(database) is not None
    assert "claim_nonce" not in document_of(database)


def test_an_unreadable_job_is_left_and_then_set_aside(hand_turned: Make, database: Any) -> None:
    scheduler = hand_turned(lease_for=SHORT)
    scheduler.add("a")
    broken = document_of(database)["job_state"].replace(b"functions:note", b"functionz:note")
    database.jobs.update_one({"_id": "a"}, {"$set": {"job_state": Binary(broken)}})
    assert scheduler.get_jobs() == []
    assert scheduler.store.get_quarantined_jobs() == [], "a look sets nothing aside"

    def set_aside() -> Any:
        scheduler.turn()
        return scheduler.store.get_quarantined_jobs()

    (quarantined,) = eventually(set_aside)
    assert "functionz" in quarantined.reason


class Raising(BaseTrigger):  # type: ignore[misc]
    """A trigger with a fault."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        if previous_fire_time is not None:
            raise ZeroDivisionError("in a trigger of the application")
        return EPOCH


@pytest.mark.parametrize("trigger", [Raising(), IntervalTrigger(seconds=-5, start_date=EPOCH)])
def test_a_trigger_that_raises_or_stands_still_is_set_aside_and_the_others_run(
    hand_turned: Make, trigger: BaseTrigger
) -> None:
    scheduler = hand_turned()
    scheduler.add_job(functions.note, trigger, args=["bad"], id="bad", next_run_time=EPOCH)
    scheduler.add("a", run_date=second(1))
    scheduler.work()
    assert runs_of() == [second(1)]
    assert [job.id for job in scheduler.store.get_quarantined_jobs()] == ["bad"]


def test_the_loop_outlives_any_error_and_looks_again_soon(
    hand_turned: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = hand_turned()
    scheduler.add("a")

    def broken(*_: Any) -> Any:
        raise KeyError("whatever")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(scheduler.store._claims, "next_free", broken)
        assert scheduler.turn() == 0.5
    assert "A pass of the scheduler failed" in caplog.text
    scheduler.work()
    assert runs_of() == [EPOCH]


def test_claims_of_a_pass_that_broke_off_are_free_at_once(hand_turned: Make) -> None:
    breaking, other = hand_turned(), hand_turned()
    for job_id in ("a", "b", "c"):
        breaking.add(job_id)

    def break_off(_: str) -> None:
        raise SystemError("after the first submit")

    breaking.store.remove_job = break_off
    breaking.turn()
    assert len(breaking.executor.queue) == 1
    other.work()
    breaking.executor.run()
    assert Counter(job_id for job_id, _ in functions.noted) == {"a": 1, "b": 1, "c": 1}


class _Broken(MemoryJobStore):  # type: ignore[misc]
    """A store beside ours that fails in every pass."""

    def get_next_run_time(self) -> datetime | None:
        raise OSError("unreachable")


def test_another_store_that_fails_does_not_stop_ours(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.add_jobstore(_Broken(), "another")
    scheduler.add("a")
    scheduler.work()
    scheduler.add("b")
    scheduler.work()
    assert (runs_of("a"), runs_of("b")) == ([EPOCH], [EPOCH])


def test_jobs_of_another_store_run_as_ever(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.add_jobstore(MemoryJobStore(), "memory")
    scheduler.add("a", jobstore="memory")
    scheduler.work()
    assert runs_of() == [EPOCH]
    assert scheduler.codes("a").count(EVENT_JOB_REMOVED) == 1
    assert scheduler.get_jobs() == []


def test_no_pass_is_made_after_shutdown_and_nothing_queued_begins(hand_turned: Make) -> None:
    stopped, other = hand_turned(), hand_turned()
    stopped.add("a")
    stopped.turn()
    stopped.shutdown()
    stopped.add("later", replace_existing=True)
    assert stopped.turn() is None
    stopped.executor.run()
    assert runs_of() == []
    other.work()
    assert runs_of() == [EPOCH], "given back at shutdown, not only after the lease"


def test_a_scheduler_can_be_started_again(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.shutdown()
    scheduler.start()
    scheduler.add("a")
    scheduler.work()
    assert runs_of() == [EPOCH]


def test_a_removed_store_leaves_a_stock_scheduler(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.remove_jobstore("default")
    scheduler.add_jobstore(MemoryJobStore())
    scheduler.add("a")
    assert scheduler.turn() is None, "stock sleeps until it is woken"
    scheduler.executor.run()
    assert runs_of() == [EPOCH]


def test_runs_that_the_executor_drops_are_free_again(hand_turned: Make) -> None:
    dropping, other = hand_turned(), hand_turned()
    dropping.add("a")
    dropping.turn()
    dropping.executor.queue.clear()
    dropping.executor._run_job_error("a", RuntimeError("the pool broke"))
    dropping.store.get_due_jobs = lambda _: dropping.store._holdings.tidy() or []
    dropping.turn()
    other.work()
    assert runs_of() == [EPOCH]


def test_a_process_with_many_queued_jobs_leaves_the_rest_to_others(hand_turned: Make) -> None:
    full, other = hand_turned(), hand_turned()
    for number in range(60):
        full.add(f"job{number}")
    for _ in range(8):
        wait = full.turn()
    assert len(full.executor.queue) == 50
    assert wait == 0.5
    other.turn()
    assert len(other.executor.queue) == 10


def test_the_wait_ends_with_the_next_job_and_lasts_half_a_second_at_most(hand_turned: Make) -> None:
    scheduler, holder = hand_turned(), hand_turned()
    assert scheduler.turn() == 0.5
    scheduler.add("far", run_date=datetime.now(UTC) + timedelta(hours=1))
    assert scheduler.turn() == 0.5
    scheduler.add("near", run_date=datetime.now(UTC) + timedelta(seconds=0.3))
    assert 0 < (scheduler.turn() or 0) <= 0.3
    scheduler.remove_all_jobs()
    scheduler.add("held")
    holder.turn()
    assert scheduler.turn() == 0.5, "a job that another holds is no reason to look again at once"


def test_a_clock_ahead_of_the_servers_does_not_spin(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.add("a", run_date=datetime.now(UTC) + timedelta(hours=1))
    ahead = scheduler.store.get_due_jobs

    def looking_ahead(now: datetime) -> Any:
        return ahead(now + timedelta(hours=2))

    scheduler.store.get_due_jobs = looking_ahead
    scheduler.store.get_next_run_time = lambda: EPOCH
    waits = [scheduler.turn() for _ in range(7)]
    assert not scheduler.executor.queue, "the server's clock has not said due"
    assert waits == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5]


def test_a_job_run_inside_the_pass_may_remove_itself(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.add_executor(DebugExecutor(), "debug")
    functions.actions["a"] = lambda: scheduler.remove_job("a")
    scheduler.add_job(
        functions.act, "interval", args=["a"], id="a", executor="debug", misfire_grace_time=None, **EVERY_SECOND
    )
    scheduler.add("b", run_date=second(9))
    scheduler.work()
    assert runs_of("a") == FOUR[:1]
    assert runs_of("b") == [second(9)]
    assert scheduler.get_jobs() == []


def test_a_store_that_was_never_started_shuts_down(mongo_url: str, database_name: str) -> None:
    store = SharedMongoDBJobStore(database=database_name, host=mongo_url)
    store.shutdown()
