"""What the screen reads from a real store, stepped by hand."""

from dataclasses import replace
from datetime import timedelta

from cluster.dev import feed as feed_module
from cluster.dev.ending import drain, material
from cluster.dev.feed import Feed, read_all
from cluster.dev.memory import Memory
from cluster.dev.summary import Summary, summarise
from jobstore.runtime import Runtime
from tests.support.manual import START, ManualCluster

FIRST = (START + timedelta(seconds=1)).isoformat()
EVERY_SECOND = {"every": 1, "start": FIRST}


def step(cluster: ManualCluster, seconds: int) -> None:
    """Let every second pass, with a node and a worker that are quick."""
    for _ in range(seconds):
        cluster.advance(1)
        cluster.claim()
        cluster.release()
        cluster.deliver()


def followed(cluster: ManualCluster) -> tuple[Feed, Memory]:
    memory = Memory(START)
    return Feed(cluster.store, memory), memory


def summed(cluster: ManualCluster, memory: Memory, tmp_path) -> Summary:
    found = material(cluster.store, memory, START, tmp_path / "none")
    return summarise(found, seconds=1.0, takeovers=[], steps=[])


def test_a_firing_is_followed_to_its_end(cluster: ManualCluster):
    tenant = cluster.tenant("acme")
    cluster.job(tenant, "job", EVERY_SECOND)
    feed, memory = followed(cluster)
    cluster.advance(1)
    cluster.claim()
    feed.poll()
    assert (memory.totals().fired, memory.totals().queued) == (1, 1)
    cluster.deliver()
    feed.poll()
    assert (memory.totals().fired, memory.totals().outcomes) == (1, {"succeeded": 1})
    assert [cell.node for cell in memory.strip(tenant.uid)] == ["node-a"]
    assert memory.findings() == []


def test_more_firings_than_a_page_holds_are_all_seen(cluster: ManualCluster, monkeypatch, tmp_path):
    monkeypatch.setattr(feed_module, "_PAGE", 4)
    tenant = cluster.tenant("acme")
    cluster.job(tenant, "job", EVERY_SECOND)
    feed, memory = followed(cluster)
    step(cluster, 3)
    feed.poll()
    step(cluster, 40)
    feed.poll()
    assert memory.totals().fired == 43
    assert memory.findings() == []
    assert summed(cluster, memory, tmp_path).exit_code == 0


def test_one_that_runs_for_long_is_seen_to_end_although_it_left_the_page(cluster: ManualCluster, monkeypatch):
    monkeypatch.setattr(feed_module, "_PAGE", 4)
    tenant = cluster.tenant("acme")
    cluster.job(tenant, "long", {"every": 1000, "start": FIRST})
    cluster.job(tenant, "job", EVERY_SECOND)
    feed, memory = followed(cluster)
    cluster.advance(1)
    cluster.claim()
    (long,) = cluster.firings(tenant, "long")
    (message,) = [one for one in cluster.broker.messages if one.firing == long.id]
    cluster.broker.messages.remove(message)
    cluster.deliver()
    begun = cluster.begin(message)
    assert begun is not None
    feed.poll()
    step(cluster, 20)
    feed.poll()
    assert memory.totals().running == 1
    cluster.finish(begun)
    feed.poll()
    assert memory.totals().running == 0


def test_many_tenants_are_read_in_turn(cluster: ManualCluster):
    names = [f"tenant-{number:02}" for number in range(20)]
    for name in names:
        cluster.job(cluster.tenant(name), "job", EVERY_SECOND)
    feed, memory = followed(cluster)
    step(cluster, 2)
    for _ in range(3):
        feed.poll()
    assert {tenant.id: memory.totals(tenant.uid).fired for tenant in memory.tenants} == dict.fromkeys(names, 2)
    assert memory.findings() == []


def test_what_a_dead_node_still_holds_is_seen(cluster: ManualCluster):
    tenant = cluster.tenant("acme")
    cluster.job(tenant, "job", EVERY_SECOND)
    feed, memory = followed(cluster)
    cluster.advance(1)
    claims = cluster.store.claims(cluster.policy.lease)
    assert claims.claim(tenant.place, ["job"], owner="node-a")
    feed.poll()
    assert memory.holds == {"node-a": 1}


def test_a_job_that_cannot_be_read_does_not_stop_the_screen(cluster: ManualCluster, database):
    tenant = cluster.tenant("acme")
    cluster.job(tenant, "job", EVERY_SECOND)
    cluster.job(tenant, "bad", EVERY_SECOND)
    database[tenant.place.jobs].update_one({"_id": "bad"}, {"$set": {"spec": "damaged"}})
    feed, memory = followed(cluster)
    step(cluster, 2)
    feed.poll()
    assert [job.id for _, job in memory.all_jobs()] == ["job"]


def test_a_record_that_somebody_removed_is_told_as_lost(cluster: ManualCluster, database, tmp_path):
    tenant = cluster.tenant("acme")
    cluster.job(tenant, "job", EVERY_SECOND)
    feed, memory = followed(cluster)
    step(cluster, 6)
    database.firings.delete_one({"nominal": cluster.firings(tenant)[2].nominal})
    feed.poll()
    assert [cell.kind for cell in memory.strip(tenant.uid)].count("hole") == 1
    found = summed(cluster, memory, tmp_path)
    assert (found.lost, found.exit_code) == (1, 1)


def test_the_whole_run_is_read_however_long_it_was(cluster: ManualCluster, monkeypatch):
    tenant = cluster.tenant("acme")
    cluster.job(tenant, "job", EVERY_SECOND)
    step(cluster, 12)
    assert len(read_all(cluster.store, tenant, START)) == 12
    assert len(read_all(cluster.store, tenant, START, most=5)) == 5


def test_the_drain_waits_for_what_is_with_a_worker_and_not_for_ever(cluster: ManualCluster):
    tenant = cluster.tenant("acme")
    cluster.job(tenant, "job", EVERY_SECOND)
    cluster.advance(1)
    cluster.claim()
    asked = []

    def wanted() -> bool:
        asked.append(cluster.deliver())
        return True

    store = replace(cluster.store, runtime=Runtime())
    assert drain(store, wanted)
    assert len(asked) == 1
    cluster.advance(1)
    cluster.claim()
    assert not drain(store, lambda: False)
