"""The shared store, step by step: two schedulers on one collection, every interleaving made by hand."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, EVENT_JOB_REMOVED
from apscheduler.executors.debug import DebugExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.mongodb import MongoDBJobStore as StockStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger
from bson.binary import Binary
from pymongo.errors import AutoReconnect

from jobstore import SharedMongoDBJobStore
from jobstore.errors import RevisionConflict
from tests.interop import functions
from tests.interop.by_hand import EPOCH, HandExecutor, HandTurned, second
from tests.support.waiting import eventually

Make = Callable[..., HandTurned]

SHORT = timedelta(seconds=0.2)
EVERY_SECOND = {"seconds": 1, "start_date": EPOCH, "end_date": second(3), "next_run_time": EPOCH, "coalesce": False}
FOUR = [second(number) for number in range(4)]


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    functions.noted.clear()
    functions.actions.clear()
    yield
    functions.noted.clear()
    functions.actions.clear()


def _runs(job_id: str = "a") -> list[datetime]:
    return [run_time for noted, run_time in functions.noted if noted == job_id]


def _document(database: Any, job_id: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = database.jobs.find_one({"_id": job_id})
    return found


def _take_over(scheduler: HandTurned, executor: HandExecutor | None = None) -> None:
    """Turn until the scheduler has got a job whose lease has lapsed."""
    queue = (executor or scheduler.executor).queue

    def submitted() -> bool:
        scheduler.turn()
        return bool(queue)

    eventually(submitted, that="a take-over after the lease")


def test_each_due_job_is_handed_to_one_of_two(hand_turned: Make) -> None:
    one, other = hand_turned(), hand_turned()
    for number in range(25):
        one.add(f"job{number}")
    for scheduler in (one, other, one, other, one):
        scheduler.turn()
    assert (len(one.executor.queue), len(other.executor.queue)) == (15, 10)
    one.executor.run()
    other.executor.run()
    assert Counter(job_id for job_id, _ in functions.noted) == {f"job{number}": 1 for number in range(25)}
    assert one.get_jobs() == []


def test_two_stock_stores_would_run_it_twice(mongo_url: str, database_name: str) -> None:
    schedulers = [HandTurned(StockStore(database=database_name, host=mongo_url)) for _ in range(2)]
    for scheduler in schedulers:
        scheduler.start()
    schedulers[0].add("a")
    due = schedulers[1].store.get_due_jobs(second(0))
    schedulers[0].work()
    schedulers[1].executor.submit_job(due[0], [EPOCH])
    schedulers[1].executor.run()
    assert _runs() == [EPOCH, EPOCH], "if stock has changed, the shared store may not be needed"
    for scheduler in schedulers:
        scheduler.shutdown()


def test_a_look_outside_the_loop_claims_nothing(hand_turned: Make, database: Any) -> None:
    scheduler = hand_turned()
    scheduler.add("a")
    before = _document(database)
    for _ in range(2):
        assert [job.id for job in scheduler.store.get_due_jobs(second(1))] == ["a"]
    assert scheduler.store.get_next_run_time() == EPOCH
    assert _document(database) == before


def test_what_a_dead_process_had_claimed_is_run_by_another_after_the_lease(hand_turned: Make) -> None:
    dead, other = hand_turned(lease_for=SHORT), hand_turned(lease_for=SHORT)
    dead.add("a", "interval", **EVERY_SECOND)
    dead.turn()
    other.turn()
    assert not other.executor.queue, "the lease still holds"
    _take_over(other)
    other.executor.run()
    assert _runs() == FOUR


def test_a_late_process_neither_runs_nor_writes_what_another_took_over(hand_turned: Make, database: Any) -> None:
    late, other = hand_turned(lease_for=SHORT), hand_turned(lease_for=SHORT)
    late.add("a", "interval", seconds=3600, start_date=EPOCH, next_run_time=EPOCH)
    late.turn()
    _take_over(other)
    other.executor.run()
    after, ran = _document(database), _runs()
    late.executor.run()
    late.work()
    assert _runs() == ran
    assert len(ran) == 1
    assert _document(database) == after
    assert late.codes("a").count(EVENT_JOB_EXECUTED) == 0, "what was not run is not reported as run"


def test_a_late_process_is_refused_while_the_other_has_not_begun(hand_turned: Make) -> None:
    late, other = hand_turned(lease_for=SHORT), hand_turned(lease_for=SHORT)
    late.add("a")
    late.turn()
    _take_over(other)
    late.executor.run()
    assert _runs() == []
    other.executor.run()
    assert _runs() == [EPOCH]


def test_a_lapsed_lease_that_nobody_took_does_not_hinder(hand_turned: Make, database: Any) -> None:
    scheduler = hand_turned(lease_for=SHORT)
    scheduler.add("a")
    scheduler.turn()
    until = _document(database)["lease_until"]
    eventually(lambda: database.command("hello")["localTime"].replace(tzinfo=UTC) > until)
    scheduler.turn()
    assert len(scheduler.executor.queue) == 1, "it does not claim again what it has queued"
    scheduler.executor.run()
    assert _runs() == [EPOCH]


def test_a_series_frozen_in_the_middle_is_finished_by_another(hand_turned: Make) -> None:
    late, other = hand_turned(lease_for=SHORT), hand_turned(lease_for=SHORT)
    late.add("a", "interval", **EVERY_SECOND)
    late.turn()
    _, run_times = late.executor.queue.popleft()
    taking = iter(run_times)
    assert [next(taking), next(taking)] == FOUR[:2]
    _take_over(other)
    other.executor.run()
    assert list(taking) == []
    assert _runs() == FOUR[2:]
    assert other.get_jobs() == []


def test_a_series_that_is_being_run_keeps_its_lease(hand_turned: Make, database: Any) -> None:
    busy = hand_turned(lease_for=timedelta(seconds=1))
    busy.add("a", "interval", **EVERY_SECOND)
    busy.turn()
    _, run_times = busy.executor.queue.popleft()
    taking = iter(run_times)
    next(taking)
    until = _document(database)["lease_until"]

    def renewed() -> bool:
        busy.turn()
        return bool(_document(database)["lease_until"] > until)

    eventually(renewed)
    assert list(taking) == FOUR[1:]


def test_late_runs_are_computed_and_run_as_in_stock(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.add("all", "interval", **EVERY_SECOND)
    scheduler.add("last", "interval", **(EVERY_SECOND | {"coalesce": True}))
    scheduler.work()
    assert _runs("all") == FOUR
    assert _runs("last") == FOUR[-1:]
    assert scheduler.get_jobs() == []


def test_a_miss_is_reported_and_passed_over(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.add("a", "interval", **(EVERY_SECOND | {"misfire_grace_time": 60}))
    scheduler.work()
    assert _runs() == []
    assert scheduler.codes("a").count(EVENT_JOB_MISSED) == 4
    assert scheduler.get_jobs() == []


def test_a_second_of_grace_outlasts_a_take_over_and_is_stored_as_it_was(hand_turned: Make) -> None:
    scheduler = hand_turned()
    due = datetime.now(UTC) - timedelta(seconds=11)
    scheduler.add("a", "interval", hours=1, start_date=due, next_run_time=due, misfire_grace_time=1)
    scheduler.work()
    assert _runs() == [due]
    assert scheduler.get_job("a").misfire_grace_time == 1


def test_a_stock_clients_edit_between_claim_and_run_wins(hand_turned: Make, mongo_url: str, database_name: str) -> None:
    scheduler = hand_turned()
    scheduler.add("a", "interval", **EVERY_SECOND)
    scheduler.turn()
    stock = BackgroundScheduler(jobstores={"default": StockStore(database=database_name, host=mongo_url)})
    stock.start(paused=True)
    stock.modify_job("a", args=["edited"])
    stock.shutdown()
    scheduler.executor.run()
    assert functions.noted == []
    scheduler.work()
    assert _runs("edited") == FOUR
    assert _runs("a") == []


@pytest.mark.parametrize("edit", ["pause", "remove"])
def test_a_job_paused_or_removed_between_claim_and_run_does_not_run(hand_turned: Make, edit: str) -> None:
    scheduler, api = hand_turned(), hand_turned()
    scheduler.add("a", "interval", **EVERY_SECOND)
    scheduler.turn()
    api.pause_job("a") if edit == "pause" else api.remove_job("a")
    scheduler.executor.run()
    scheduler.work()
    assert functions.noted == []
    assert [job.next_run_time for job in api.get_jobs()] == ([None] if edit == "pause" else [])


def test_an_edit_keeps_the_advance_that_came_in_between(hand_turned: Make) -> None:
    scheduler, api = hand_turned(), hand_turned()
    scheduler.add("a", "interval", seconds=3600, start_date=EPOCH, next_run_time=EPOCH)
    read = api.get_job("a")
    scheduler.work()
    following = scheduler.get_job("a").next_run_time
    read._modify(name="edited")
    api.store.update_job(read)
    job = scheduler.get_job("a")
    assert (job.name, job.next_run_time) == ("edited", following)
    assert following > EPOCH


def test_two_edits_of_different_things_both_stay(hand_turned: Make) -> None:
    one, other = hand_turned(), hand_turned()
    one.add("a", next_run_time=None, kwargs={})
    mine, theirs = one.get_job("a"), other.get_job("a")
    theirs._modify(args=["edited"], trigger=IntervalTrigger(days=1))
    other.store.update_job(theirs)
    mine._modify(name="renamed", max_instances=7)
    one.store.update_job(mine)
    job = one.get_job("a")
    assert (job.name, job.max_instances, list(job.args)) == ("renamed", 7, ["edited"])
    assert job.trigger.interval == timedelta(days=1)


def test_arguments_changed_in_place_are_an_edit(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.add_job(functions.note, args=[["x"]], id="a", next_run_time=None)
    job = scheduler.get_job("a")
    job.args[0].append("y")
    job.modify(args=job.args)
    assert list(scheduler.get_job("a").args) == [["x", "y"]]


def test_an_edit_that_never_gets_through_says_so(hand_turned: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = hand_turned()
    scheduler.add("a", next_run_time=None)
    monkeypatch.setattr(scheduler.store, "_write", lambda *_: False)
    with pytest.raises(RevisionConflict, match='"a"'):
        scheduler.modify_job("a", name="edited")


def test_a_run_time_written_back_by_a_stock_client_is_not_run_again(
    hand_turned: Make, mongo_url: str, database_name: str
) -> None:
    scheduler = hand_turned()
    scheduler.add("a", "interval", seconds=3600, start_date=EPOCH, next_run_time=EPOCH)
    stock = StockStore(database=database_name, host=mongo_url)
    stock.start(scheduler, "default")
    stale = stock.lookup_job("a")
    scheduler.work()
    following = scheduler.get_job("a").next_run_time
    stale._modify(name="edited")
    stock.update_job(stale)
    assert scheduler.get_job("a").next_run_time == EPOCH, "stock has set it back"
    scheduler.work()
    # What was owed then is decided; what stock's trigger names after it comes next.
    job = scheduler.get_job("a")
    assert (job.name, job.next_run_time) == ("edited", following)
    assert len(_runs()) == 1
    stock.shutdown()


def test_an_ended_job_left_behind_by_a_crash_is_deleted_by_the_next_claimer(
    hand_turned: Make, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying, other = hand_turned(lease_for=SHORT), hand_turned(lease_for=SHORT)
    dying.add("a")
    monkeypatch.setattr(dying.store._claims, "end", lambda _: True)
    dying.work()
    assert _runs() == [EPOCH]
    assert _document(database)["decided_through"] == EPOCH.timestamp()

    def gone() -> bool:
        other.work()
        return _document(database) is None

    eventually(gone)
    assert _runs() == [EPOCH]


def test_a_lost_answer_to_a_begin_is_asked_for_again(hand_turned: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = hand_turned()
    scheduler.add("a")
    scheduler.add("b", "interval", seconds=3600, start_date=EPOCH, next_run_time=EPOCH)
    documents = scheduler.store._claims._documents
    real, lost = type(documents).update_one, Counter[str]()

    def losing(self: Any, selector: Any, change: Any) -> Any:
        result = real(self, selector, change)
        if "decided_through" in str(change) and not lost[selector["_id"]]:
            lost[selector["_id"]] += 1
            raise AutoReconnect("the answer got lost")
        return result

    monkeypatch.setattr(type(documents), "update_one", losing)
    scheduler.work()
    assert lost == {"a": 1, "b": 1}
    assert len(_runs("a")) == len(_runs("b")) == 1
    assert [job.id for job in scheduler.get_jobs()] == ["b"]


def test_without_an_answer_nothing_runs_and_another_process_does_it(
    hand_turned: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off, other = hand_turned(lease_for=SHORT), hand_turned(lease_for=SHORT)
    cut_off.add("a")
    cut_off.turn()

    def silent(*_: Any) -> Any:
        raise AutoReconnect("no route")

    with monkeypatch.context() as patch:
        patch.setattr(type(cut_off.store._claims._documents), "update_one", silent)
        cut_off.executor.run()
    assert _runs() == []
    _take_over(other)
    other.executor.run()
    assert _runs() == [EPOCH]


def test_who_began_is_kept_for_the_last_five_runs(hand_turned: Make, database: Any) -> None:
    scheduler = hand_turned()
    seven = {"seconds": 1, "start_date": EPOCH, "next_run_time": EPOCH, "coalesce": False}
    scheduler.add("a", "interval", **seven, end_date=second(6))
    scheduler.turn()
    _, run_times = scheduler.executor.queue.popleft()
    taking = iter(run_times)
    for _ in range(6):
        next(taking)
    begun = _document(database)["begun"]
    assert [entry["through"] for entry in begun] == [second(number).timestamp() for number in (5, 4, 3, 2, 1)]
    assert {entry["owner"] for entry in begun} == {_document(database)["owner"]}


def test_a_full_job_is_skipped_with_stocks_event(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.add("a", "interval", **EVERY_SECOND)
    scheduler.executor._instances["a"] = 1
    scheduler.turn()
    assert scheduler.codes("a").count(EVENT_JOB_MAX_INSTANCES) == 1
    assert scheduler.get_jobs() == []
    assert _runs() == []


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
    assert _runs() == [EPOCH]


def test_a_job_whose_executor_is_missing_here_is_left_to_a_process_that_has_it(hand_turned: Make) -> None:
    without, having = hand_turned(), hand_turned()
    gpu = HandExecutor()
    having.add_executor(gpu, "gpu")
    without.add("a", executor="gpu")
    without.turn()
    assert without.store.get_quarantined_jobs() == []
    having.turn()
    gpu.run()
    assert _runs() == [EPOCH]


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
    assert _runs() == [EPOCH]


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
    assert _document(database) is not None
    assert "claim_nonce" not in _document(database)


def test_an_unreadable_job_is_left_and_then_set_aside(hand_turned: Make, database: Any) -> None:
    scheduler = hand_turned(lease_for=SHORT)
    scheduler.add("a")
    broken = _document(database)["job_state"].replace(b"functions:note", b"functionz:note")
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
    assert _runs() == [second(1)]
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
    assert _runs() == [EPOCH]


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
    assert (_runs("a"), _runs("b")) == ([EPOCH], [EPOCH])


def test_jobs_of_another_store_run_as_ever(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.add_jobstore(MemoryJobStore(), "memory")
    scheduler.add("a", jobstore="memory")
    scheduler.work()
    assert _runs() == [EPOCH]
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
    assert _runs() == []
    other.work()
    assert _runs() == [EPOCH], "given back at shutdown, not only after the lease"


def test_a_scheduler_can_be_started_again(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.shutdown()
    scheduler.start()
    scheduler.add("a")
    scheduler.work()
    assert _runs() == [EPOCH]


def test_a_removed_store_leaves_a_stock_scheduler(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.remove_jobstore("default")
    scheduler.add_jobstore(MemoryJobStore())
    scheduler.add("a")
    assert scheduler.turn() is None, "stock sleeps until it is woken"
    scheduler.executor.run()
    assert _runs() == [EPOCH]


def test_runs_that_the_executor_drops_are_free_again(hand_turned: Make) -> None:
    dropping, other = hand_turned(), hand_turned()
    dropping.add("a")
    dropping.turn()
    dropping.executor.queue.clear()
    dropping.executor._run_job_error("a", RuntimeError("the pool broke"))
    dropping.store.get_due_jobs = lambda _: dropping.store._holdings.tidy() or []
    dropping.turn()
    other.work()
    assert _runs() == [EPOCH]


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
    assert _runs("a") == FOUR[:1]
    assert _runs("b") == [second(9)]
    assert scheduler.get_jobs() == []


def test_replacing_a_claimed_job_takes_it_away_from_its_claimer(hand_turned: Make) -> None:
    scheduler, starting = hand_turned(), hand_turned()
    scheduler.add("a")
    scheduler.turn()
    starting.add("a", run_date=second(9), replace_existing=True)
    scheduler.executor.run()
    assert _runs() == []
    starting.work()
    assert _runs() == [second(9)]


def test_a_store_that_was_never_started_shuts_down(mongo_url: str, database_name: str) -> None:
    store = SharedMongoDBJobStore(database=database_name, host=mongo_url)
    store.shutdown()
