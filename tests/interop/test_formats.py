"""Collections are the same for stock APScheduler 3.10, 3.11 and our stores, whoever wrote them."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pymongo
import pytest
from apscheduler.jobstores.mongodb import MongoDBJobStore as StockStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger

from jobstore import MongoDBJobStore, SharedMongoDBJobStore
from tests.interop import other_release

BERLIN = other_release.BERLIN
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
Start = Callable[..., Any]


@pytest.fixture
def start(mongo_url: str, database_name: str) -> Any:
    """Starts a paused scheduler on a store of the given class; an API process, as it were."""
    started: list[Any] = []

    def make(store_class: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> Any:
        store = store_class(database=database_name, pickle_protocol=protocol, host=mongo_url)
        scheduler = BackgroundScheduler(jobstores={"default": store}, timezone=BERLIN)
        scheduler.start(paused=True)
        started.append(scheduler)
        return scheduler

    yield make
    for scheduler in started:
        scheduler.shutdown()


def _add(scheduler: Any) -> None:
    calendar = CalendarIntervalTrigger(months=1, hour=23, minute=30, start_date="2030-01-31", timezone=BERLIN)
    other_release.add_jobs(scheduler, {"calendarinterval": calendar})


def _seen(scheduler: Any) -> list[dict[str, Any]]:
    return [other_release.describe(job) for job in scheduler.get_jobs()]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("ours", [MongoDBJobStore, SharedMongoDBJobStore])
def test_we_read_what_stock_wrote(start: Start, ours: Any, protocol: int) -> None:
    stock = start(StockStore, protocol)
    _add(stock)
    written = _seen(stock)
    assert len(written) == 8
    assert _seen(start(ours)) == written


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("ours", [MongoDBJobStore, SharedMongoDBJobStore])
def test_stock_reads_what_we_wrote(start: Start, ours: Any, protocol: int) -> None:
    scheduler = start(ours, protocol)
    _add(scheduler)
    written = _seen(scheduler)
    assert len(written) == 8
    assert _seen(start(StockStore)) == written


@pytest.mark.parametrize("ours", [MongoDBJobStore, SharedMongoDBJobStore])
def test_documents_are_stocks_to_the_letter(start: Start, ours: Any, database: Any) -> None:
    _add(start(StockStore))
    by_stock = {document["_id"]: document for document in database.jobs.find()}
    database.jobs.delete_many({})
    _add(start(ours))
    by_ours = {document["_id"]: document for document in database.jobs.find()}
    assert by_ours.keys() == by_stock.keys()
    for job_id, document in by_ours.items():
        assert list(document) == list(by_stock[job_id])
        assert type(document["next_run_time"]) is type(by_stock[job_id]["next_run_time"])
    assert by_ours["cron"] == by_stock["cron"]


@pytest.mark.parametrize("order", [(StockStore, SharedMongoDBJobStore), (SharedMongoDBJobStore, StockStore)])
def test_the_indexes_get_along(start: Start, database: Any, order: tuple[Any, ...]) -> None:
    for store_class in order:
        start(store_class)
    index = database.jobs.index_information()["next_run_time_1"]
    assert (index["key"], index["sparse"]) == ([("next_run_time", 1)], True)


@pytest.mark.parametrize("ours", [MongoDBJobStore, SharedMongoDBJobStore])
def test_an_edit_by_either_side_leaves_the_others_fields_alone(start: Start, database: Any, ours: Any) -> None:
    stock, our = start(StockStore), start(ours)
    _add(stock)
    foreign = {"spec_of_somebody": {"a": 1}, "revision": 5}
    database.jobs.update_one({"_id": "cron"}, {"$set": foreign})
    our.modify_job("cron", name="by us")
    stock.modify_job("cron", args=(3, 4))
    document = database.jobs.find_one({"_id": "cron"})
    assert {key: document[key] for key in foreign} == foreign
    job = our.get_job("cron")
    assert (job.name, job.args) == ("by us", (3, 4))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_the_second_half_past_two_of_an_autumn_night_keeps_its_hour(start: Start, protocol: int) -> None:
    late = datetime(2030, 10, 27, 2, 30, tzinfo=ZoneInfo(BERLIN), fold=1)
    stock = start(StockStore, protocol)
    stock.add_job("operator:add", "date", args=(1, 2), id="late", next_run_time=late, run_date=late)
    job = start(MongoDBJobStore).get_job("late")
    assert job.next_run_time.astimezone(UTC) == datetime(2030, 10, 27, 1, 30, tzinfo=UTC)


def _other(folder: Path, *arguments: str) -> dict[str, Any]:
    program = Path(other_release.__file__)
    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(program), *arguments],
        env=os.environ | {"PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    assert answer["release"].startswith("3.10."), answer["release"]
    return answer


@pytest.mark.parametrize("protocol", [2, 5])
def test_we_read_and_keep_what_3_10_wrote(
    start: Start, older_apscheduler: Path, mongo_url: str, database_name: str, protocol: int
) -> None:
    written = _other(older_apscheduler, "write", mongo_url, database_name, str(protocol))["jobs"]
    assert len(written) == 7
    scheduler = start(MongoDBJobStore)
    assert _comparable(_seen(scheduler)) == _comparable(written)
    assert scheduler._jobstores["default"].get_quarantined_jobs() == []


@pytest.mark.parametrize("protocol", [2, 5])
def test_3_10_reads_and_edits_what_we_wrote(
    start: Start, older_apscheduler: Path, mongo_url: str, database_name: str, protocol: int
) -> None:
    scheduler = start(MongoDBJobStore, protocol)
    other_release.add_jobs(scheduler)
    written = _seen(scheduler)
    read = _other(older_apscheduler, "read", mongo_url, database_name, str(protocol))["jobs"]
    assert _comparable(read) == _comparable(written)
    assert scheduler.get_job("cron").name == "edited by the other release"
    assert len(scheduler.get_jobs()) == len(written)


def _comparable(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # The releases print time zones differently; what the triggers mean is in their fire times.
    return [{key: value for key, value in job.items() if key != "trigger"} for job in jobs]


def test_a_client_given_by_reference_is_used_and_stays_open(
    mongo_client: Any, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "shared_client", mongo_client, raising=False)
    store = MongoDBJobStore(database_name, "jobs", f"{__name__}:shared_client")
    store.start(None, "default")
    store.shutdown()
    assert store.client is mongo_client
    assert mongo_client.admin.command("ping")["ok"] == 1


def test_a_client_of_our_own_is_closed(mongo_url: str, database_name: str) -> None:
    store = MongoDBJobStore(database_name, host=mongo_url)
    store.start(None, "default")
    store.shutdown()
    with pytest.raises(pymongo.errors.InvalidOperation):
        store.get_all_jobs()
