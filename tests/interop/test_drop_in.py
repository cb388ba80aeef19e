"""The drop-in differs from stock where stock loses data, and nowhere else."""

import logging
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from apscheduler.jobstores.base import ConflictingIdError, JobLookupError
from apscheduler.jobstores.mongodb import MongoDBJobStore as StockStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from bson.binary import Binary
from pymongo import ReadPreference
from pymongo.monitoring import CommandListener

from jobstore import MongoDBJobStore, SharedMongoDBJobStore
from jobstore.apscheduler import install
from jobstore.apscheduler import stored as stored_documents
from jobstore.documents import LEASE
from jobstore.errors import Unreadable
from tests.interop.by_hand import EPOCH, HandTurned, second

DUE = datetime(2026, 6, 1, tzinfo=UTC)


class Waiting(HandTurned):
    """A scheduler on the drop-in."""


@pytest.fixture
def scheduler(mongo_client: Any, database_name: str) -> Any:
    scheduler = Waiting(MongoDBJobStore(database=database_name, client=mongo_client))
    scheduler.start(paused=True)
    yield scheduler
    scheduler.shutdown()


def _break(database: Any, job_id: str) -> bytes:
    """Make a job unreadable, as a deploy without its module does; return what was there."""
    was: bytes = database.jobs.find_one({"_id": job_id})["job_state"]
    broken = was.replace(b"tests.interop.functions:note", b"tests.interop.functionz:note")
    assert broken != was
    database.jobs.update_one({"_id": job_id}, {"$set": {"job_state": Binary(broken)}})
    return was


def _mend(database: Any, job_id: str, was: bytes) -> None:
    database.jobs.update_one({"_id": job_id}, {"$set": {"job_state": Binary(was)}})


def test_stock_deletes_what_it_cannot_read(mongo_url: str, database: Any, scheduler: Waiting) -> None:
    scheduler.add("a")
    _break(database, "a")
    stock = StockStore(database=database.name, host=mongo_url)
    assert stock.get_all_jobs() == []
    assert database.jobs.count_documents({}) == 0, "if stock has changed, the drop-in may not be needed"
    stock.shutdown()


@pytest.mark.parametrize("look", ["get_all_jobs", "get_due_jobs"])
def test_an_unreadable_job_is_set_aside_with_the_reason(database: Any, scheduler: Waiting, look: str) -> None:
    scheduler.add("a")
    scheduler.add("b", run_date=second(1))
    _break(database, "a")
    store = scheduler.store
    found = store.get_all_jobs() if look == "get_all_jobs" else store.get_due_jobs(DUE)
    assert [job.id for job in found] == ["b"]
    (quarantined,) = store.get_quarantined_jobs()
    assert (quarantined.id, quarantined.next_run_time) == ("a", EPOCH)
    assert "functionz" in quarantined.reason
    document = database.jobs.find_one({"_id": "a"})
    assert document["next_run_time"] is None
    assert document["quarantine"]["next_run_time"] == EPOCH.timestamp()
    assert quarantined.at == document["quarantine"]["at"].replace(tzinfo=UTC)
    assert store.get_next_run_time() == second(1)


def test_it_comes_back_with_its_run_time_when_it_can_be_read(database: Any, scheduler: Waiting) -> None:
    scheduler.add("a")
    was = _break(database, "a")
    store = scheduler.store
    assert store.get_due_jobs(DUE) == []
    _mend(database, "a", was)
    assert [job.id for job in store.get_all_jobs()] == ["a"]
    assert store.get_quarantined_jobs() == []
    assert store.get_next_run_time() == EPOCH
    assert database.jobs.find_one({"_id": "a"}).keys() == {"_id", "next_run_time", "job_state"}


def test_it_comes_back_when_the_scheduler_starts(mongo_client: Any, database: Any, scheduler: Waiting) -> None:
    scheduler.add("a")
    was = _break(database, "a")
    scheduler.store.get_all_jobs()
    _mend(database, "a", was)
    later = MongoDBJobStore(database=database.name, client=mongo_client)
    later.start(None, "default")
    assert later.get_next_run_time() == EPOCH


def test_a_due_look_retries_once_a_minute(database: Any, scheduler: Waiting) -> None:
    class Minutes:
        passed = 0.0

        def monotonic(self) -> float:
            return self.passed

    store = scheduler.store
    store.clock = Minutes()
    scheduler.add("a")
    was = _break(database, "a")
    store.get_all_jobs()
    _mend(database, "a", was)
    assert store.get_due_jobs(DUE) == []
    store.clock.passed = 61.0
    assert [job.id for job in store.get_due_jobs(DUE)] == ["a"]


def test_a_job_that_stock_paused_in_quarantine_comes_back_paused(
    mongo_url: str, database: Any, scheduler: Waiting
) -> None:
    scheduler.add("a")
    was = _break(database, "a")
    scheduler.store.get_all_jobs()
    _mend(database, "a", was)
    stock = BackgroundScheduler(jobstores={"default": StockStore(database=database.name, host=mongo_url)})
    stock.start(paused=True)
    stock.pause_job("a")
    stock.shutdown()
    (job,) = scheduler.store.get_all_jobs()
    assert job.next_run_time is None
    assert scheduler.store.get_next_run_time() is None


def test_a_job_edited_after_it_was_read_is_not_set_aside(database: Any, scheduler: Waiting) -> None:
    scheduler.add("a")
    was = _break(database, "a")
    stale = database.jobs.find_one({"_id": "a"})
    _mend(database, "a", was)
    scheduler.store._set_aside(stale, "too late")
    assert scheduler.store.get_quarantined_jobs() == []
    assert scheduler.store.get_next_run_time() == EPOCH


def test_looking_up_an_unreadable_job_says_why(database: Any, scheduler: Waiting) -> None:
    scheduler.add("a")
    _break(database, "a")
    with pytest.raises(Unreadable, match="functionz"):
        scheduler.store.lookup_job("a")


def test_a_quarantined_job_can_be_replaced_and_removed_but_its_id_is_taken(database: Any, scheduler: Waiting) -> None:
    for job_id in ("a", "b"):
        scheduler.add(job_id)
        _break(database, job_id)
    scheduler.store.get_all_jobs()
    with pytest.raises(ConflictingIdError):
        scheduler.add("a")
    scheduler.add("a", replace_existing=True)
    assert [job.id for job in scheduler.store.get_quarantined_jobs()] == ["b"]
    scheduler.remove_job("b")
    assert scheduler.store.get_quarantined_jobs() == []
    assert [job.id for job in scheduler.get_jobs()] == ["a"]


def test_a_due_job_without_its_executor_is_set_aside_and_comes_back(scheduler: Waiting) -> None:
    scheduler.add("a", executor="gpu")
    scheduler.resume()
    scheduler.turn()
    (quarantined,) = scheduler.store.get_quarantined_jobs()
    assert "gpu" in quarantined.reason
    scheduler.add_executor(type(scheduler.executor)(), "gpu")
    assert scheduler.store.retry_quarantined_jobs() == ["a"]


def test_a_module_that_exits_on_import_does_not_end_the_process(
    database: Any, scheduler: Waiting, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaves_at_once.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(str(tmp_path))
    scheduler.add("a")
    was = database.jobs.find_one({"_id": "a"})["job_state"]
    broken = was.replace(b"tests.interop.functions:note", b"leaves_at_once:interop.123ab")
    database.jobs.update_one({"_id": "a"}, {"$set": {"job_state": Binary(broken)}})
    assert scheduler.store.get_all_jobs() == []
    assert scheduler.store.get_quarantined_jobs()[0].reason == "SystemExit: 3"


def test_ids_that_are_not_text_are_refused(database: Any, scheduler: Waiting) -> None:
    scheduler.add("a")
    for call in (scheduler.store.lookup_job, scheduler.store.remove_job):
        with pytest.raises(TypeError, match="text"):
            call({"$ne": None})
    assert database.jobs.count_documents({}) == 1


def test_jobs_of_a_cluster_in_the_same_collection_are_left_alone(database: Any, scheduler: Waiting) -> None:
    scheduler.add("a", run_date=second(1))
    database.jobs.insert_one({"_id": "theirs", "next_run_time": EPOCH.timestamp(), "spec": {}, "state": "active"})
    assert [job.id for job in scheduler.get_jobs()] == ["a"]
    assert [job.id for job in scheduler.store.get_due_jobs(DUE)] == ["a"]
    assert scheduler.store.get_next_run_time() == second(1)
    scheduler.remove_all_jobs()
    assert [document["_id"] for document in database.jobs.find()] == ["theirs"]


def test_missing_jobs_are_missed_as_in_stock(scheduler: Waiting) -> None:
    job = scheduler.add("a")
    scheduler.remove_job("a")
    with pytest.raises(JobLookupError):
        scheduler.store.update_job(job)
    with pytest.raises(JobLookupError):
        scheduler.store.remove_job("a")
    assert scheduler.store.lookup_job("a") is None


def test_jobs_know_their_scheduler_and_store(scheduler: Waiting) -> None:
    scheduler.add("a")
    for job in (*scheduler.store.get_all_jobs(), *scheduler.store.get_due_jobs(DUE), scheduler.store.lookup_job("a")):
        assert (job._scheduler, job._jobstore_alias) == (scheduler, "default")


@pytest.mark.parametrize("ours", [MongoDBJobStore, SharedMongoDBJobStore])
def test_writes_are_majority_and_reads_go_to_the_primary_whatever_the_client_says(
    mongo_url: str, database_name: str, ours: Any
) -> None:
    class Heard(CommandListener):
        writes: list[Any] = []  # noqa: RUF012

        def started(self, event: Any) -> None:
            if event.command_name in {"insert", "update", "delete", "findAndModify"}:
                self.writes.append(event.command.get("writeConcern"))

        def succeeded(self, event: Any) -> None: ...

        def failed(self, event: Any) -> None: ...

    heard = Heard()
    store = ours(database_name, host=mongo_url, w=1, readPreference="secondaryPreferred", event_listeners=[heard])
    scheduler = Waiting(store)
    scheduler.start()
    scheduler.add("a")
    scheduler.modify_job("a", name="other")
    scheduler.work()
    scheduler.add("b")
    scheduler.remove_job("b")
    scheduler.remove_all_jobs()
    scheduler.shutdown()
    assert len(heard.writes) >= 5
    assert all(concern["w"] == "majority" for concern in heard.writes), heard.writes
    assert store.collection.read_preference == ReadPreference.PRIMARY


def test_the_old_name_of_the_client_warns(scheduler: Waiting) -> None:
    with pytest.warns(DeprecationWarning, match="client"):
        assert scheduler.store.connection is scheduler.store.client


def test_importing_jobstore_loads_no_driver() -> None:
    program = "import sys, jobstore; assert not {'pymongo', 'bson', 'apscheduler'} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import jobstore

    with pytest.raises(AttributeError, match="NoSuchStore"):
        _ = jobstore.NoSuchStore


def test_the_aliases_by_entry_point_are_ours_and_mongodb_is_stocks(mongo_url: str, database_name: str) -> None:
    schedulers = {}
    for alias, expected in (
        ("horarium", MongoDBJobStore),
        ("horarium-shared", SharedMongoDBJobStore),
        ("mongodb", StockStore),
    ):
        scheduler = schedulers[alias] = BackgroundScheduler()
        scheduler.add_jobstore(alias, database=database_name, host=mongo_url)
        store = scheduler._jobstores["default"]
        assert type(store) is expected
        store.client.close()


def test_install_gives_us_the_alias_mongodb(
    mongo_url: str, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BaseScheduler, "_jobstore_classes", {})
    for asked, expected in ((None, MongoDBJobStore), (SharedMongoDBJobStore, SharedMongoDBJobStore)):
        install(asked)
        scheduler = BackgroundScheduler(
            {"apscheduler.jobstores.default": {"type": "mongodb", "database": database_name, "host": mongo_url}}
        )
        assert type(scheduler._jobstores["default"]) is expected
        scheduler._jobstores["default"].client.close()


def test_the_lease_fields_are_the_clusters() -> None:
    assert stored_documents.LEASE == LEASE


def test_quarantine_is_said_in_the_log_once(
    database: Any, scheduler: Waiting, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler.add("a")
    _break(database, "a")
    with caplog.at_level(logging.ERROR):
        scheduler.store.get_all_jobs()
        scheduler.store.get_all_jobs()
    assert len([record for record in caplog.records if "quarantine" in record.message]) == 1
