"""What waits in quarantine, by command: listed, shown, tried again, discarded."""

from typing import Any

import pytest

from cluster.cli.main import run
from cluster.operations import jobs, quarantine, tenants
from cluster.operations.triggering import trigger
from jobstore.clock import to_posix
from jobstore.errors import NotFound
from tests.support.manual import START, ManualCluster

BY = {"who": "ann"}


@pytest.fixture
def acme(cluster: ManualCluster) -> ManualCluster:
    tenants.create(cluster.store, "acme")
    jobs.put(cluster.store, "acme", "tick", {"every": "10s", "start": START.isoformat(), "task": "demo.task"})
    cluster.store.cache.refresh()
    return cluster


def break_job(cluster: ManualCluster) -> Any:
    place = cluster.store.tenants.get("acme").place
    collection = cluster.store.collections.jobs(place)
    collection.update_one({"_id": "tick"}, {"$set": {"spec.max_instances": -1}})
    cluster.advance(10)
    cluster.claim()
    return collection


def test_a_mended_job_is_brought_back_to_where_it_stood(acme: ManualCluster):
    collection = break_job(acme)
    (one,) = quarantine.list_all(acme.store, "acme")
    assert "max_instances" in one.reason
    collection.update_one({"_id": "tick"}, {"$set": {"spec.max_instances": 1}})
    quarantine.retry(acme.store, "acme", "tick", **BY)
    assert acme.claim() == 1
    (firing,) = acme.deliver()
    assert firing.nominal == to_posix(START) + 10
    assert quarantine.list_all(acme.store, "acme") == []
    assert acme.store.audit.of("acme", limit=1)[0].what == "quarantine.retry"


def test_a_job_that_is_tried_again_too_early_comes_back(acme: ManualCluster):
    break_job(acme)
    quarantine.retry(acme.store, "acme", "tick", **BY)
    acme.claim()
    assert [one.id for one in quarantine.list_all(acme.store, "acme")] == ["tick"]


def never_begun(cluster: ManualCluster) -> str:
    trigger(cluster.store, "acme", "tick")
    cluster.broker.swallow = True
    cluster.release()
    for _ in range(8):
        cluster.advance(700)
        cluster.sweep()
    cluster.broker.swallow = False
    (one,) = quarantine.list_all(cluster.store, "acme")
    assert (one.kind, one.reason) == ("firing", "never_begun")
    return one.id


def test_a_firing_that_nobody_began_is_tried_again_at_once(acme: ManualCluster):
    name = never_begun(acme)
    quarantine.retry(acme.store, "acme", name, **BY)
    acme.sweep()
    assert [firing.id for firing in acme.deliver()] == [name]
    assert quarantine.list_all(acme.store, "acme") == []


def test_a_discarded_firing_never_begins(acme: ManualCluster):
    name = never_begun(acme)
    quarantine.discard(acme.store, "acme", name, **BY)
    acme.advance(7200)
    acme.sweep()
    assert acme.deliver() == []
    with pytest.raises(NotFound):
        quarantine.show(acme.store, "acme", name)


def test_by_command(acme: ManualCluster, mongo_url: str, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.setenv("HORARIUM_MONGODB_URL", mongo_url)
    monkeypatch.setenv("HORARIUM_DATABASE", acme.database)
    assert run(("quarantine", "list", "acme")) == 0
    assert "nothing is in quarantine" in capsys.readouterr().out
    break_job(acme)
    assert run(("quarantine", "list", "acme")) == 0
    assert run(("quarantine", "show", "acme", "tick")) == 0
    assert run(("quarantine", "retry", "acme", "tick")) == 0
    assert run(("quarantine", "show", "acme", "tick")) == 3
    acme.claim()
    assert run(("quarantine", "discard", "acme", "tick", "--by", "bob")) == 0
    assert "discarded: job tick" in capsys.readouterr().out
    assert jobs.list_jobs(acme.store, "acme") == []
