"""An existing APScheduler collection as a tenant's job collection: nodes run it, stock stays its API."""

import os
import pickle
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from apscheduler.jobstores.mongodb import MongoDBJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from bson.binary import Binary

from cluster.claiming import Take
from jobstore.clock import to_posix
from jobstore.errors import Unreadable
from jobstore.events import JobQuarantined, Repaired
from jobstore.tenant import Place, Tenant
from jobstore.unpickling import load
from tests.support.manual import START, ManualCluster

pytestmark = pytest.mark.servers


def report(kind: str) -> None:
    """A job's function; only its reference is stored."""


@pytest.fixture
def acme(cluster: ManualCluster) -> Tenant:
    place = Place(uid="acme-x", database=cluster.database, jobs="apjobs", firings="firings", codec="pickled")
    tenant = Tenant(id="acme", place=place, created_at=cluster.clock.now())
    cluster.store.tenants.add(tenant)
    cluster.store.jobs(place).ensure()
    cluster.store.ledger(place).ensure()
    return tenant


@pytest.fixture
def stock(cluster: ManualCluster, mongo_client: Any) -> Iterator[BackgroundScheduler]:
    """A stock scheduler, started paused: an API and nothing else."""
    scheduler = BackgroundScheduler(timezone="Europe/Berlin")
    store = MongoDBJobStore(database=cluster.database, collection="apjobs", client=mongo_client)
    store.shutdown = lambda: None  # stock closes a client that it was given
    scheduler.add_jobstore(store)
    scheduler.start(paused=True)
    yield scheduler
    scheduler.shutdown(wait=False)


def add(stock: BackgroundScheduler, name: str, **more: Any) -> None:
    every = {"seconds": 10, "start_date": START}
    stock.add_job(report, "interval", id=name, args=["daily"], next_run_time=START, **every, **more)


def test_a_job_that_stock_added_is_found_and_dispatched(cluster: ManualCluster, acme: Tenant, stock):
    add(stock, "tick")
    assert cluster.claim() == 0  # stock bumps no agenda
    cluster.node().tending.run_once(("node-a",))
    assert cluster.claim() == 1
    (firing,) = cluster.firings(acme)
    assert (firing.job, firing.nominal, firing.state) == ("tick", to_posix(START), "dispatched")
    assert firing.snapshot.target == {"kind": "reference", "name": f"{__name__}:report"}
    assert firing.snapshot.args == ("daily",)
    assert Repaired("agenda", "acme-x") in cluster.events


def test_stock_reads_what_a_node_moved_on(cluster: ManualCluster, acme: Tenant, stock):
    add(stock, "tick")
    cluster.node().tending.run_once(("node-a",))
    for step in range(3):
        assert cluster.claim() == 1
        cluster.deliver()
        job = stock.get_job("tick")
        assert job.next_run_time == START + timedelta(seconds=10 * (step + 1))
        assert (job.args, job.trigger.interval) == (("daily",), timedelta(seconds=10))
        cluster.advance(10)
    assert len(cluster.firings(acme)) == 3


@pytest.mark.parametrize("protocol", range(6))
def test_the_pickle_keeps_its_protocol(cluster: ManualCluster, acme: Tenant, stock, protocol: int):
    add(stock, "tick")
    jobs = cluster.store.collections.jobs(acme.place)
    state = pickle.loads(jobs.find_one({"_id": "tick"})["job_state"])
    jobs.update_one({"_id": "tick"}, {"$set": {"job_state": Binary(pickle.dumps(state, protocol))}})
    cluster.node().tending.run_once(("node-a",))
    assert cluster.claim() == 1
    written = jobs.find_one({"_id": "tick"})["job_state"]
    assert (written[1] if written[0] == 0x80 else 1) == max(protocol, 1)
    assert pickle.loads(written)["next_run_time"] == START + timedelta(seconds=10)


def test_an_edit_by_stock_in_the_middle_of_a_claim_is_not_overwritten(cluster: ManualCluster, acme: Tenant, stock):
    add(stock, "tick")
    cluster.node().tending.run_once(("node-a",))
    node = cluster.node().claiming
    (turn,) = node._turns(("node-a",))
    take = Take(turn, node.claims.look(acme.place, budget=10))
    node._claim(take)
    later = START + timedelta(hours=1)
    stock.modify_job("tick", next_run_time=later, args=["edited"])
    node.recorder.run(take.works, trusted_until=float("inf"))
    node.advancer.run(take.works, trusted_until=float("inf"))
    job = stock.get_job("tick")
    assert (job.next_run_time, list(job.args)) == (later, ["edited"])
    assert cluster.broker.messages == []


def test_a_paused_or_removed_job_of_stock_does_not_fire(cluster: ManualCluster, acme: Tenant, stock):
    add(stock, "paused")
    add(stock, "removed")
    stock.pause_job("paused")
    stock.remove_job("removed")
    cluster.node().tending.run_once(("node-a",))
    assert cluster.claim() == 0


def test_stock_triggers_and_policies_keep_their_meaning(cluster: ManualCluster, acme: Tenant, stock):
    add(stock, "each", coalesce=False, misfire_grace_time=None, max_instances=2)
    add(stock, "latest", coalesce=True, misfire_grace_time=None)
    add(stock, "strict", misfire_grace_time=1)
    cluster.node().tending.run_once(("node-a",))
    cluster.advance(25)
    cluster.claim()
    counts = {name: [f.covers.count for f in cluster.firings(acme, name)] for name in ("each", "latest", "strict")}
    assert counts == {"each": [1, 1, 1], "latest": [3], "strict": [3]}
    # Stock's grace of a second would miss everything that another node takes over.
    assert cluster.firings(acme, "strict")[0].decision == "run"


class Hostile:
    """A pickle that runs a command when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.path}",))


def test_a_hostile_pickle_is_set_aside_and_runs_nothing(cluster: ManualCluster, acme: Tenant, stock, tmp_path):
    add(stock, "good")
    mark = tmp_path / "hacked"
    hostile = {"_id": "bad", "next_run_time": to_posix(START), "job_state": Binary(pickle.dumps(Hostile(str(mark))))}
    jobs = cluster.store.collections.jobs(acme.place)
    jobs.insert_one(hostile)
    cluster.node().tending.run_once(("node-a",))
    cluster.claim()
    assert not mark.exists()
    assert [firing.job for firing in cluster.firings(acme)] == ["good"]
    document = jobs.find_one({"_id": "bad"})
    assert "not admitted" in document["quarantine"]["reason"]
    assert bytes(document["job_state"]) == bytes(hostile["job_state"])
    assert [event.job for event in cluster.seen(JobQuarantined)] == ["bad"]


@pytest.mark.parametrize("value", [os.system, eval, Hostile, ManualCluster])
def test_no_other_class_or_function_is_loaded(value: Any):
    with pytest.raises(Unreadable, match="not admitted"):
        load(pickle.dumps(value))


def test_a_pickle_in_a_structured_tenant_is_set_aside(cluster: ManualCluster):
    other = cluster.tenant("other")
    state = Binary(pickle.dumps({"version": 1}))
    jobs = cluster.store.collections.jobs(other.place)
    jobs.insert_one({"_id": "stray", "next_run_time": to_posix(START), "job_state": state})
    cluster.store.agenda.bump(other.uid, to_posix(START))
    cluster.claim()
    assert jobs.find_one({"_id": "stray"})["state"] == "quarantined"
