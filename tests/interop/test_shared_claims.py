"""The shared store's claims and begins, step by step: two schedulers on one collection, interleaved by hand."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MISSED
from apscheduler.jobstores.mongodb import MongoDBJobStore as StockStore
from pymongo.errors import AutoReconnect

from tests.interop import functions
from tests.interop.by_hand import EPOCH, EVERY_SECOND, FOUR, SHORT, HandTurned, document_of, runs_of, second, take_over
from tests.support.waiting import eventually

Make = Callable[..., HandTurned]


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
    assert runs_of() == [EPOCH, EPOCH], "if stock has changed, the shared store may not be needed"
    for scheduler in schedulers:
        scheduler.shutdown()


def test_a_look_outside_the_loop_claims_nothing(hand_turned: Make, database: Any) -> None:
    scheduler = hand_turned()
    scheduler.add("a")
    before = document_of(database)
    for _ in range(2):
        assert [job.id for job in scheduler.store.get_due_jobs(second(1))] == ["a"]
    assert scheduler.store.get_next_run_time() == EPOCH
    assert document_of(database) == before


def test_what_a_dead_process_had_claimed_is_run_by_another_after_the_lease(hand_turned: Make) -> None:
    dead, other = hand_turned(lease_for=SHORT), hand_turned(lease_for=SHORT)
    dead.add("a", "interval", **EVERY_SECOND)
    dead.turn()
    other.turn()
    assert not other.executor.queue, "the lease still holds"
    take_over(other)
    other.executor.run()
    assert runs_of() == FOUR


def test_a_late_process_neither_runs_nor_writes_what_another_took_over(hand_turned: Make, database: Any) -> None:
    late, other = hand_turned(lease_for=SHORT), hand_turned(lease_for=SHORT)
    late.add("a", "interval", seconds=3600, start_date=EPOCH, next_run_time=EPOCH)
    late.turn()
    take_over(other)
    other.executor.run()
    after, ran = document_of(database), runs_of()
    late.executor.run()
    late.work()
    assert runs_of() == ran
    assert len(ran) == 1
    assert document_of(database) == after
    assert late.codes("a").count(EVENT_JOB_EXECUTED) == 0, "what was not run is not reported as run"


def test_a_late_process_is_refused_while_the_other_has_not_begun(hand_turned: Make) -> None:
    late, other = hand_turned(lease_for=SHORT), hand_turned(lease_for=SHORT)
    late.add("a")
    late.turn()
    take_over(other)
    late.executor.run()
    assert runs_of() == []
    other.executor.run()
    assert runs_of() == [EPOCH]


def test_a_lapsed_lease_that_nobody_took_does_not_hinder(hand_turned: Make, database: Any) -> None:
    scheduler = hand_turned(lease_for=SHORT)
    scheduler.add("a")
    scheduler.turn()
    until = document_of(database)["lease_until"]
    eventually(lambda: database.command("hello")["localTime"].replace(tzinfo=UTC) > until)
    scheduler.turn()
    assert len(scheduler.executor.queue) == 1, "it does not claim again what it has queued"
    scheduler.executor.run()
    assert runs_of() == [EPOCH]


def test_a_series_frozen_in_the_middle_is_finished_by_another(hand_turned: Make) -> None:
    late, other = hand_turned(lease_for=SHORT), hand_turned(lease_for=SHORT)
    late.add("a", "interval", **EVERY_SECOND)
    late.turn()
    _, run_times = late.executor.queue.popleft()
    taking = iter(run_times)
    assert [next(taking), next(taking)] == FOUR[:2]
    take_over(other)
    other.executor.run()
    assert list(taking) == []
    assert runs_of() == FOUR[2:]
    assert other.get_jobs() == []


def test_a_series_that_is_being_run_keeps_its_lease(hand_turned: Make, database: Any) -> None:
    busy = hand_turned(lease_for=timedelta(seconds=1))
    busy.add("a", "interval", **EVERY_SECOND)
    busy.turn()
    _, run_times = busy.executor.queue.popleft()
    taking = iter(run_times)
    next(taking)
    until = document_of(database)["lease_until"]

    def renewed() -> bool:
        busy.turn()
        return bool(document_of(database)["lease_until"] > until)

    eventually(renewed)
    assert list(taking) == FOUR[1:]


def test_late_runs_are_computed_and_run_as_in_stock(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.add("all", "interval", **EVERY_SECOND)
    scheduler.add("last", "interval", **(EVERY_SECOND | {"coalesce": True}))
    scheduler.work()
    assert runs_of("all") == FOUR
    assert runs_of("last") == FOUR[-1:]
    assert scheduler.get_jobs() == []


def test_a_miss_is_reported_and_passed_over(hand_turned: Make) -> None:
    scheduler = hand_turned()
    scheduler.add("a", "interval", **(EVERY_SECOND | {"misfire_grace_time": 60}))
    scheduler.work()
    assert runs_of() == []
    assert scheduler.codes("a").count(EVENT_JOB_MISSED) == 4
    assert scheduler.get_jobs() == []


def test_a_second_of_grace_outlasts_a_take_over_and_is_stored_as_it_was(hand_turned: Make) -> None:
    scheduler = hand_turned()
    due = datetime.now(UTC) - timedelta(seconds=11)
    scheduler.add("a", "interval", hours=1, start_date=due, next_run_time=due, misfire_grace_time=1)
    scheduler.work()
    assert runs_of() == [due]
    assert scheduler.get_job("a").misfire_grace_time == 1


def test_an_ended_job_left_behind_by_a_crash_is_deleted_by_the_next_claimer(
    hand_turned: Make, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying, other = hand_turned(lease_for=SHORT), hand_turned(lease_for=SHORT)
    dying.add("a")
    monkeypatch.setattr(dying.store._claims, "end", lambda _: True)
    dying.work()
    assert runs_of() == [EPOCH]
    assert document_of(database)["decided_through"] == EPOCH.timestamp()

    def gone() -> bool:
        other.work()
        return document_of(database) is None

    eventually(gone)
    assert runs_of() == [EPOCH]


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
    assert len(runs_of("a")) == len(runs_of("b")) == 1
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
    assert runs_of() == []
    take_over(other)
    other.executor.run()
    assert runs_of() == [EPOCH]


def test_a_begin_that_got_no_answer_and_was_overtaken_is_refused(
    hand_turned: Make, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off = hand_turned()
    cut_off.add("a")
    cut_off.turn()
    documents = cut_off.store._claims._documents
    real = type(documents).update_one
    asked: list[Any] = []

    def first_lost(self: Any, *arguments: Any) -> Any:
        asked.append(arguments)
        if len(asked) == 1:
            real(database.jobs, {"_id": "a"}, {"$set": {"claim_nonce": "somebody else's"}})
            raise AutoReconnect("the request got lost")
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(type(documents), "update_one", first_lost)
        cut_off.executor.run()
    assert len(asked) >= 2
    assert runs_of() == []
    assert document_of(database)["claim_nonce"] == "somebody else's"


def test_nothing_begins_after_shutdown_though_the_claims_could_not_be_given_back(
    hand_turned: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = hand_turned()
    stopped.add("a")
    stopped.turn()

    def silent(*_: Any) -> None:
        raise AutoReconnect("no route")

    monkeypatch.setattr(stopped.store._claims, "let_go", silent)
    stopped.shutdown()
    stopped.executor.run()
    assert runs_of() == []


def test_who_began_is_kept_for_the_last_five_runs(hand_turned: Make, database: Any) -> None:
    scheduler = hand_turned()
    seven = {"seconds": 1, "start_date": EPOCH, "next_run_time": EPOCH, "coalesce": False}
    scheduler.add("a", "interval", **seven, end_date=second(6))
    scheduler.turn()
    _, run_times = scheduler.executor.queue.popleft()
    taking = iter(run_times)
    for _ in range(6):
        next(taking)
    begun = document_of(database)["begun"]
    assert [entry["through"] for entry in begun] == [second(number).timestamp() for number in (5, 4, 3, 2, 1)]
    assert {entry["owner"] for entry in begun} == {document_of(database)["owner"]}
