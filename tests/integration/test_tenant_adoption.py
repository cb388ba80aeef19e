"""Adopting an APScheduler collection by operation and command line: counted, run, and edited by stock only."""

import os
import pickle
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from apscheduler.jobstores.mongodb import MongoDBJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from bson.binary import Binary

from cluster.cli.main import run
from cluster.operations import jobs, stopping, tenants
from cluster.operations.adopting import adopt
from cluster.operations.common import NotAllowed
from cluster.operations.triggering import trigger
from jobstore.clock import to_posix
from jobstore.errors import AlreadyExists, InvalidInput, NotFound
from jobstore.runs import Outcome
from tests.support.manual import START, ManualCluster


def report(kind: str) -> None:
    """A job's function; only its reference is stored."""


@pytest.fixture
def stock(cluster: ManualCluster, mongo_client: Any) -> Iterator[BackgroundScheduler]:
    """A stock scheduler, started paused: an API and nothing else."""
    scheduler = BackgroundScheduler(timezone="Europe/Berlin")
    store = MongoDBJobStore(database=cluster.database, collection="apjobs", client=mongo_client)
    store.shutdown = lambda: None
    scheduler.add_jobstore(store)
    scheduler.start(paused=True)
    scheduler.add_job(
        report, "interval", id="tick", args=["daily"], seconds=10, start_date=START, next_run_time=START,
        misfire_grace_time=None,
    )  # fmt: skip
    yield scheduler
    scheduler.shutdown(wait=False)


def where(cluster: ManualCluster) -> str:
    return f"{cluster.database}.apjobs"


def test_an_adopted_collection_is_counted_and_run(cluster: ManualCluster, stock: BackgroundScheduler):
    found = cluster.store.client[cluster.database]["apjobs"]
    found.insert_one({"_id": "hostile", "next_run_time": 1.0, "job_state": Binary(pickle.dumps(os.system))})
    result = adopt(cluster.store, "acme", where(cluster))
    assert (result.verdict, result.readable, result.unreadable) == ("created", 1, 1)
    assert "not admitted" in result.reasons[0]
    cluster.store.cache.refresh()
    assert cluster.claim() >= 1
    (firing,) = cluster.deliver()
    assert (firing.job, firing.snapshot.args) == ("tick", ("daily",))
    assert stock.get_job("tick").next_run_time == START + timedelta(seconds=10)
    assert adopt(cluster.store, "acme", where(cluster)).verdict == "unchanged"


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("nowhere.jobs", NotFound),
        ("{db}.nothing", NotFound),
        ("apjobs", InvalidInput),
        (".apjobs", InvalidInput),
        ("{db}.", InvalidInput),
        ("{db}.system.users", InvalidInput),
        ("admin.jobs", InvalidInput),
        ("{db}.a$b", InvalidInput),
        ("{db}.tenants", InvalidInput),
        ("{db}.firings", InvalidInput),
    ],
)
def test_what_cannot_be_adopted_is_refused(
    cluster: ManualCluster, stock: BackgroundScheduler, place: str, error: type[Exception]
):
    tenants.create(cluster.store, "globex")
    with pytest.raises(error):
        adopt(cluster.store, "acme", place.format(db=cluster.database))
    assert [tenant.tenant for tenant in tenants.list_tenants(cluster.store)[0]] == ["globex"]
    assert "nowhere" not in cluster.store.client.list_database_names()


def test_a_collection_has_one_owner(cluster: ManualCluster, stock: BackgroundScheduler):
    adopt(cluster.store, "acme", where(cluster))
    with pytest.raises((AlreadyExists, InvalidInput), match="belongs to tenant 'acme'"):
        adopt(cluster.store, "globex", where(cluster))
    with pytest.raises(AlreadyExists, match="codec"):
        tenants.create(cluster.store, "acme")


EDITS: list[Callable[[Any], Any]] = [
    lambda store: jobs.put(store, "acme", "tick", {"every": "5s", "task": "demo.task"}),
    lambda store: stopping.pause(store, "acme", "tick"),
    lambda store: stopping.resume(store, "acme", "tick"),
    lambda store: stopping.delete(store, "acme", "tick"),
]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_left_to_apscheduler(cluster: ManualCluster, stock: BackgroundScheduler, edit: Callable[[Any], Any]):
    adopt(cluster.store, "acme", where(cluster))
    documents = list(cluster.store.client[cluster.database]["apjobs"].find())
    with pytest.raises(NotAllowed, match="edit it with APScheduler's own API"):
        edit(cluster.store)
    assert list(cluster.store.client[cluster.database]["apjobs"].find()) == documents


def test_its_jobs_are_listed_and_shown(cluster: ManualCluster, stock: BackgroundScheduler):
    adopt(cluster.store, "acme", where(cluster))
    (row,) = jobs.list_jobs(cluster.store, "acme")
    assert (row.job, row.state, row.next_at) == ("tick", "active", START)
    assert row.target.endswith(":report")
    stock.pause_job("tick")
    assert jobs.get(cluster.store, "acme", "tick").state == "paused"


@pytest.mark.parametrize("paused", [False, True])
def test_a_job_that_nobody_claimed_yet_is_fired_by_hand(
    cluster: ManualCluster, stock: BackgroundScheduler, paused: bool
):
    stock.modify_job("tick", next_run_time=START + timedelta(hours=1))
    if paused:
        stock.pause_job("tick")
    adopt(cluster.store, "acme", where(cluster))
    assert trigger(cluster.store, "acme", "tick", key="k").created
    cluster.store.cache.refresh()
    cluster.node()
    assert cluster.release() == 1
    (firing,) = cluster.deliver()
    assert (firing.kind, firing.snapshot.args) == ("manual", ("daily",))
    assert not trigger(cluster.store, "acme", "tick", key="k").created
    job = stock.get_job("tick")
    assert job.next_run_time == (None if paused else START + timedelta(hours=1))


def test_what_a_crash_left_waiting_of_a_stock_job_is_released(cluster: ManualCluster, stock: BackgroundScheduler):
    adopt(cluster.store, "acme", where(cluster))
    cluster.store.cache.refresh()
    cluster.claim()
    later = START + timedelta(seconds=1)
    cluster.deliver(lambda _: Outcome(state="failed", reason="raised", retry_at=later))
    cluster.advance(2)
    assert cluster.release() == 1
    (again,) = cluster.deliver()
    assert again.attempt == 2


def test_the_command_line_adopts(
    cluster: ManualCluster, stock: BackgroundScheduler, mongo_url: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    monkeypatch.setenv("HORARIUM_MONGODB_URL", mongo_url)
    monkeypatch.setenv("HORARIUM_DATABASE", cluster.database)
    assert run(("tenant", "create", "acme", "--adopt", where(cluster))) == 0
    said = capsys.readouterr()
    assert "1 jobs can be read, 0 cannot" in said.out
    assert "let it start paused" in said.err
    assert run(("job", "pause", "acme", "tick")) == 4
    assert "edit it with APScheduler's own API" in capsys.readouterr().err
    assert run(("tenant", "create", "globex", "--adopt", "x.y", "--prefix", "p")) == 2


def test_deleting_the_tenant_gives_the_collection_back(cluster: ManualCluster, stock: BackgroundScheduler):
    from tests.integration.test_tenant_life import care, delete

    adopt(cluster.store, "acme", where(cluster))
    cluster.store.cache.refresh()
    cluster.claim()
    delete(cluster)
    cluster.advance(1)
    assert care(cluster) == 1
    (document,) = cluster.store.client[cluster.database]["apjobs"].find()
    assert set(document) == {"_id", "next_run_time", "job_state"}
    assert stock.get_job("tick").next_run_time == START + timedelta(seconds=10)
    assert document["next_run_time"] == to_posix(START) + 10
