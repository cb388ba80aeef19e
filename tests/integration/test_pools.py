"""Pools as configuration, and tenants that move between them while firings are queued."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cluster.operations import pools
from cluster.operations.common import NotAllowed
from jobstore.errors import InvalidInput, NotFound
from jobstore.tenant import Tenant
from tests.support.manual import START, ManualCluster

TICK = {"every": "3600s", "start": START.isoformat()}


def assign(cluster: ManualCluster, pool: str, **more: Any) -> pools.AssignResult:
    """Assign, while time passes for the nodes to hear of it."""
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(pools.assign, cluster.store, pool, "acme", who="ann", **more)
        cluster.clock.await_waiters()
        cluster.advance(3)
        result = answer.result(20)
    cluster.release()  # the round in which a node hears of it
    return result


def lanes(cluster: ManualCluster) -> Counter[str]:
    return Counter(message.pool for message in cluster.broker.messages)


def tenant_with(cluster: ManualCluster, *jobs: str, **fields: Any) -> Tenant:
    acme = cluster.tenant("acme")
    for job in jobs:
        cluster.job(acme, job, TICK, **fields)
    return acme


def test_a_pool_is_put_changed_taken_back_and_deleted(cluster: ManualCluster):
    first = pools.put(cluster.store, "etl", {"concurrency": 8, "drain_s": 60.0}, who="ann")
    assert (first.verdict, first.pool.revision, first.pool.by) == ("created", 1, "ann")
    same = pools.put(cluster.store, "etl", {"concurrency": 8}, who="bob")
    assert (same.verdict, same.pool.revision) == ("unchanged", 1)
    changed = pools.put(cluster.store, "etl", {"concurrency": None, "celery_pool": "threads"}, who="bob")
    assert changed.verdict == "changed"
    said = {name: value for name, value in changed.pool.settings.items() if value is not None}
    assert said == {"celery_pool": "threads", "drain_s": 60.0}
    assert pools.delete(cluster.store, "etl", who="ann").verdict == "deleted"
    with pytest.raises(NotFound):
        pools.get(cluster.store, "etl")
    assert Counter(note.what for note in cluster.store.audit.of("")) == {"pool.put": 2, "pool.delete": 1}


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"concurrency": 0}, "concurrency: it must be greater than or equal to 1"),
        ({"concurency": 1}, "concurency is not a setting of a pool; known: celery_pool"),
        ({"celery_pool": "gevent"}, "celery_pool: it must be 'prefork', 'threads' or 'solo'"),
        ({"min_replicas": 3, "max_replicas": 2}, "min_replicas is more than max_replicas"),
        ({"time_limit_s": 3.0, "max_time_limit_s": 2.0}, "time_limit_s is more than max_time_limit_s"),
        ({"queues": ["Not A Pool"]}, "is not a valid pool"),
    ],
)
def test_settings_that_cannot_be_are_refused(cluster: ManualCluster, fields: dict[str, Any], fault: str):
    with pytest.raises(InvalidInput, match=fault):
        pools.put(cluster.store, "etl", fields, who="ann")
    with pytest.raises(NotFound):
        pools.get(cluster.store, "etl")


def test_a_pool_that_somebody_uses_is_not_deleted(cluster: ManualCluster):
    tenant_with(cluster)
    pools.put(cluster.store, "default", {"concurrency": 3}, who="ann")
    with pytest.raises(NotAllowed, match="used by acme"):
        pools.delete(cluster.store, "default", who="ann")
    pools.put(cluster.store, "etl", {}, who="ann")
    assign(cluster, "etl")
    with pytest.raises(NotAllowed, match="used by acme"):
        pools.delete(cluster.store, "etl", who="ann")
    assert [view.pool for view in pools.list_pools(cluster.store)] == ["default", "etl"]


def test_queued_firings_of_a_tenant_that_moves_run_once_each_in_whichever_pool_is_first(cluster: ManualCluster):
    acme = tenant_with(cluster, *(f"j{number}" for number in range(6)))
    cluster.claim()
    old = list(cluster.broker.messages)
    assert lanes(cluster) == {"default": 6}
    assert cluster.begin(old[0], worker="old-1") is not None
    result = assign(cluster, "etl")
    assert (result.verdict, result.away_from, result.to, result.queued) == ("changed", "default", "etl", 5)
    # One more begins in the old pool before the node gets to hand the rest over anew.
    assert cluster.begin(old[1], worker="old-1") is not None
    cluster.advance(0)
    cluster.broker.messages.clear()
    cluster.sweep()
    new = list(cluster.broker.messages)
    assert lanes(cluster) == {"etl": 4}
    assert {message.firing for message in new} == {message.firing for message in old[2:]}
    # Both pools race for what both have a message about.
    assert cluster.begin(new[0], worker="new-1") is not None
    assert [cluster.begin(message, worker="old-1") is None for message in old].count(False) == 3
    assert [cluster.begin(message, worker="new-1") is None for message in new].count(False) == 0
    assert Counter(firing.state for firing in cluster.firings(acme)) == {"running": 6}
    assert {firing.attempt for firing in cluster.firings(acme)} == {1}


def test_what_comes_due_later_and_what_is_tried_again_goes_into_the_new_pool_and_back(cluster: ManualCluster):
    acme = tenant_with(cluster, "tick")
    assign(cluster, "etl")
    cluster.claim()
    assert lanes(cluster) == {"etl": 1}
    assert cluster.firings(acme)[0].lane == "etl"
    cluster.deliver()
    cluster.advance(3600)
    cluster.claim()
    assert lanes(cluster) == {"etl": 1}
    result = assign(cluster, "default")
    assert (result.verdict, result.queued) == ("changed", 1)
    cluster.broker.messages.clear()
    cluster.sweep()
    assert lanes(cluster) == {"default": 1}
    assert cluster.firings(acme)[-1].lane == "default"
    assert assign(cluster, "default").verdict == "unchanged"


def test_jobs_that_name_another_pool_and_other_tenants_stay_where_they_are(cluster: ManualCluster):
    tenant_with(cluster, "here")
    acme = cluster.store.tenants.get("acme")
    cluster.job(acme, "gpu", TICK, pool="gpu")
    other = cluster.tenant("globex")
    cluster.job(other, "here", TICK)
    assign(cluster, "etl")
    cluster.claim()
    assert lanes(cluster) == {"etl": 1, "gpu": 1, "default": 1}
    assign(cluster, "big", away_from="gpu")
    cluster.broker.messages.clear()
    cluster.sweep()
    assert lanes(cluster) == {"big": 1}


def test_a_node_that_cannot_read_the_pools_goes_on_with_what_it_knew(cluster: ManualCluster):
    tenant_with(cluster, "tick")
    assign(cluster, "etl")
    cluster.claim()
    cluster.store.control["pools"].update_one({"_id": "default"}, {"$set": {"v": 99}})
    cluster.advance(3600)
    cluster.deliver()
    cluster.claim()
    assert lanes(cluster) == {"etl": 1}
