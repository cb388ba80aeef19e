"""Every query of a round, explained by the server: an index serves it, and it reads no more than it needs.

And how many commands a round sends: that is what its speed comes from.
"""

from datetime import timedelta

import pytest

from jobstore.clock import to_posix
from jobstore.documents import spec_document
from jobstore.tenant import Tenant
from tests.support.manual import START, ManualCluster
from tests.support.plans import Plan, Recorder, plans

# Small by nature, read whole: one document a tenant or a process.
SMALL = {"tenants", "nodes", "workers", "config"}


@pytest.fixture
def recorded(mongo_url: str, database_name: str):
    """A stepped cluster whose commands are recorded."""
    recorder = Recorder()
    made = ManualCluster(mongo_url, database_name, listeners=(recorder,))
    yield made, recorder
    made.close()


def many_jobs(cluster: ManualCluster, tenant: Tenant, *, due: int, idle: int) -> None:
    spec = cluster.spec({"every": "1h", "start": START.isoformat()})
    first = to_posix(START)

    def document(name: str, instant: float) -> dict[str, object]:
        return {
            "_id": name, "v": 1, "tenant": tenant.uid, "next_run_time": instant, "state": "active",
            "spec": spec_document(spec), "nominal": instant, "decided_through": None, "incarnation": name,
            "revision": 1, "timetable_rev": 1, "stop_rev": 0, "claim_token": 0, "fence": 0, "slots": [],
        }  # fmt: skip

    documents = [document(f"due-{n}", first) for n in range(due)]
    documents += [document(f"idle-{n}", first + 7200 + n) for n in range(idle)]
    cluster.store.collections.jobs(tenant.place).insert_many(documents)
    cluster.store.agenda.bump(tenant.uid, first)


def explained(cluster: ManualCluster, recorder: Recorder) -> list[Plan]:
    recorder.on = False
    found = list(plans(cluster.store.client, recorder.commands))
    recorder.commands.clear()
    return found


def check(found: list[Plan]) -> None:
    assert found, "nothing was explained"
    for plan in found:
        if plan.collection in SMALL:
            continue
        assert "COLLSCAN" not in plan.stages, str(plan)
        assert plan.examined <= 2 * max(plan.returned, plan.asked) + 20, str(plan)


def test_each_query_of_a_node_uses_an_index_and_reads_what_it_needs(recorded):
    cluster, recorder = recorded
    acme = cluster.tenant("acme")
    many_jobs(cluster, acme, due=200, idle=3000)
    cluster.node()
    recorder.on = True
    assert cluster.claim() == 200
    check(explained(cluster, recorder))
    cluster.deliver()
    cluster.advance(3600)
    recorder.on = True
    assert cluster.claim() == 200
    cluster.release()
    cluster.sweep()
    cluster.node().tending.run_once(("node-a",))
    check(explained(cluster, recorder))


def test_each_query_of_a_worker_and_of_a_listing_uses_an_index(recorded):
    cluster, recorder = recorded
    acme = cluster.tenant("acme")
    many_jobs(cluster, acme, due=200, idle=0)
    cluster.claim()
    recorder.on = True
    cluster.deliver()
    ledger = cluster.store.ledger(acme.place)
    assert len(ledger.history(acme.uid, job="due-7")) == 1
    assert ledger.open_of(acme.uid, "due-7", states=["pending"]) == []
    assert cluster.store.runs(acme.place).previous_success(acme.uid, "due-7", to_posix(START) + 1) == START
    check(explained(cluster, recorder))


def test_ten_thousand_claimed_jobs_do_not_stand_in_the_way(recorded):
    cluster, recorder = recorded
    acme = cluster.tenant("acme")
    many_jobs(cluster, acme, due=10_000, idle=50)
    claims = cluster.store.claims(cluster.policy.lease)
    keys = [f"due-{n}" for n in range(9_990)]
    assert len(claims.claim(acme.place, keys, owner="node-b")) == 9_990
    cluster.node()
    recorder.on = True
    assert cluster.claim() == 10
    check([plan for plan in explained(cluster, recorder) if plan.command != "aggregate"])


def names_of(recorder: Recorder) -> list[str]:
    """Return the names of the commands sent, but for the one that confirms the tenants."""
    return [next(iter(command)) for _, command in recorder.commands if command.get("find") != "config"]


def test_commands_per_firing_in_a_batch(recorded):
    """200 due jobs of one tenant: agenda, look twice, claim and read back, record, advance, mark, raise."""
    cluster, recorder = recorded
    acme = cluster.tenant("acme")
    many_jobs(cluster, acme, due=200, idle=0)
    cluster.node()
    recorder.on = True
    assert cluster.claim() == 200
    names = names_of(recorder)
    assert len(names) == 9, names


def test_the_lone_due_job_takes_seven_commands(recorded):
    cluster, recorder = recorded
    acme = cluster.tenant("acme")
    cluster.job(acme, "lone", {"every": "1h", "start": START.isoformat()})
    cluster.node()
    recorder.on = True
    assert cluster.claim() == 1
    assert names_of(recorder) == ["find", "aggregate", "findAndModify", "insert", "update", "update", "update"]


def test_the_herd_takes_two_commands_a_tenant_and_a_constant(recorded):
    cluster, recorder = recorded
    tenants = [cluster.tenant(f"tenant-{n}") for n in range(40)]
    for tenant in tenants:
        cluster.job(tenant, "daily", {"every": "24h", "start": START.isoformat()})
    cluster.node()
    recorder.on = True
    assert cluster.claim() == 40
    assert len(recorder.commands) <= 2 * 40 + 6


def test_an_idle_node_asks_little(recorded):
    """A second of an idle node's rounds, counted: below five operations on MongoDB beside its two heartbeats."""
    cluster, recorder = recorded
    for n in range(5):
        tenant = cluster.tenant(f"tenant-{n}")
        cluster.job(tenant, "daily", {"every": "24h", "start": (START + timedelta(hours=5)).isoformat()})
    node = cluster.node()
    node.heartbeat()
    cluster.sweep()
    recorder.on = True
    for _ in range(10):
        node.claim()
        node.release()
        cluster.advance(1)
    for _ in range(2):
        node.sweep_once()
    assert len(recorder.commands) / 10 <= 5, [next(iter(command)) for _, command in recorder.commands]
