"""Edits of a shared collection, by our store and by stock's, undo nothing and are undone by nothing."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from apscheduler.jobstores.mongodb import MongoDBJobStore as StockStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from jobstore.errors import RevisionConflict
from tests.interop import functions
from tests.interop.by_hand import EPOCH, EVERY_SECOND, FOUR, HandTurned, runs_of, second

Make = Callable[..., HandTurned]


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
    assert runs_of("edited") == FOUR
    assert runs_of("a") == []


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
    assert len(runs_of()) == 1
    stock.shutdown()


def test_replacing_a_claimed_job_takes_it_away_from_its_claimer(hand_turned: Make) -> None:
    scheduler, starting = hand_turned(), hand_turned()
    scheduler.add("a")
    scheduler.turn()
    starting.add("a", run_date=second(9), replace_existing=True)
    scheduler.executor.run()
    assert runs_of() == []
    starting.work()
    assert runs_of() == [second(9)]
