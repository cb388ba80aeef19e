"""Plans, choices and limits on a real MongoDB: three tiers, whole or not at all, and exact under several nodes."""

import threading
from typing import Any

import pytest

from cluster.cli.main import run
from cluster.operations import jobs, plans, tenants
from cluster.operations.common import NotAllowed
from cluster.operations.limits import LimitReached, usage
from jobstore.choices import Choices
from jobstore.errors import InvalidInput, NotFound, Unreadable
from jobstore.events import FiringHeld
from jobstore.gates import Entry
from jobstore.tenants import TRUST
from tests.support.manual import START, ManualCluster

BY = {"who": "ann"}
AT_ONCE = {"at": "2026-11-25T12:00:10Z", "task": "demo.task"}


@pytest.fixture
def acme(cluster: ManualCluster) -> ManualCluster:
    tenants.create(cluster.store, "acme")
    return cluster


def put(cluster: ManualCluster, name: str = "tick", tenant: str = "acme", **more: Any) -> Any:
    definition = {"every": "10s", "start": START.isoformat(), "task": "demo.task", **more}
    return jobs.put(cluster.store, tenant, name, definition)


def choose(cluster: ManualCluster, **fields: Any) -> Any:
    found = plans.update(cluster.store, "acme", fields, **BY)
    cluster.store.cache.refresh()
    return found


def counts(cluster: ManualCluster) -> Choices:
    return cluster.store.tenants.get("acme").choices


# -- three tiers


def test_the_nearest_tier_that_says_something_counts(acme: ManualCluster):
    plans.put(acme.store, None, {"max_jobs": 10, "weight": 2, "pool": "slow"}, **BY)
    plans.put(acme.store, "pro", {"max_jobs": 100, "weight": 3}, **BY)
    assert (counts(acme).max_jobs, counts(acme).weight, counts(acme).pool) == (10, 2, "slow")
    choose(acme)
    plans.update(acme.store, "acme", {}, plan="pro", **BY)
    assert (counts(acme).max_jobs, counts(acme).weight) == (100, 3)
    choose(acme, weight=7)
    tenant = acme.store.tenants.get("acme")
    assert (tenant.choices.max_jobs, tenant.weight, tenant.defaults.pool) == (100, 7, "slow")
    plans.update(acme.store, "acme", {}, unset=["weight"], **BY)
    assert counts(acme).weight == 3


def test_a_change_reaches_every_process_with_its_next_confirmation(acme: ManualCluster):
    """That is within the trust of two seconds; none acts on what it confirmed longer ago."""
    other = acme.open()
    other.cache.refresh()
    uid = acme.store.tenants.get("acme").uid
    plans.put(acme.store, None, {"max_live": 3}, **BY)
    assert other.cache.get(uid).choices.max_live is None
    acme.clock.advance(TRUST + 0.1)
    assert not other.cache.trusted()
    other.cache.refresh()
    assert other.cache.get(uid).choices.max_live == 3
    other.close()


def test_a_bad_change_is_refused_whole_with_every_fault(acme: ManualCluster):
    before = plans.list_plans(acme.store)
    bad = {"max_jobs": -1, "weight": "heavy", "time_zone": "Mars/Olympus", "max_jbos": 3, "pool": {"$ne": 1}}
    with pytest.raises(InvalidInput) as caught:
        plans.put(acme.store, "pro", {**bad, "max_live": 5}, unset=["colour"], **BY)
    assert len(caught.value.faults) == 6
    with pytest.raises(InvalidInput):
        plans.update(acme.store, "acme", bad, **BY)
    assert plans.list_plans(acme.store) == before
    assert acme.store.tenants.get("acme").revision == 1


def test_a_change_has_a_revision_an_author_and_a_record(acme: ManualCluster):
    assert plans.put(acme.store, "pro", {"max_jobs": 5}, **BY).verdict == "created"
    acme.advance(1)
    changed = plans.put(acme.store, "pro", {"max_jobs": 6}, who="bob")
    assert (changed.verdict, changed.revision, changed.author) == ("changed", 2, "bob")
    assert changed.changes == {"max_jobs": [5, 6]}
    assert plans.put(acme.store, "pro", {"max_jobs": 6}, who="eve").verdict == "unchanged"
    assert [note.who for note in acme.store.audit.of("")] == ["bob", "ann"]
    plans.update(acme.store, "acme", {"max_live": 2}, plan="pro", **BY)
    (note,) = acme.store.audit.of("acme")
    assert note.details == {"changes": {"max_live": [None, 2], "plan": [None, "pro"]}, "revision": 2}


def test_two_who_make_the_same_plan_at_once_both_have_their_say(acme: ManualCluster):
    at = acme.clock.now()
    assert acme.store.tenants.plans.put("pro", Choices(max_jobs=1), revision=0, author="ann", at=at)
    assert not acme.store.tenants.plans.put("pro", Choices(max_jobs=2), revision=0, author="bob", at=at)
    assert acme.store.tenants.plans.put("free", Choices(max_jobs=3), revision=0, author="bob", at=at)
    assert [view.name for view in plans.list_plans(acme.store)] == ["cluster", "free", "pro"]


def test_a_dry_run_says_what_would_change(acme: ManualCluster):
    found = plans.update(acme.store, "acme", {"max_jobs": 3}, dry_run=True, **BY)
    assert (found.verdict, found.changes) == ("changed", {"max_jobs": [None, 3]})
    assert counts(acme).max_jobs is None


def test_a_plan_that_somebody_has_stays_and_one_that_is_gone_stops_the_tenant(acme: ManualCluster):
    with pytest.raises(NotFound):
        plans.update(acme.store, "acme", {}, plan="pro", **BY)
    plans.put(acme.store, "pro", {"max_jobs": 3}, **BY)
    plans.update(acme.store, "acme", {}, plan="pro", **BY)
    with pytest.raises(NotAllowed, match="is that of acme"):
        plans.delete(acme.store, "pro", **BY)
    put(acme)
    acme.store.tenants.plans.remove("pro", revision=1)
    acme.store.tenants.changed()
    with pytest.raises(Unreadable, match="which does not exist"):
        acme.store.tenants.get("acme")
    acme.advance(10)
    assert acme.claim() == 0  # going on would lift its limits


@pytest.mark.parametrize("name", ["", "$set", "a.b", "Pro", "a" * 40, "plans.x", "pro\0", "pr\u043e"])
def test_a_hostile_plan_name_is_refused(acme: ManualCluster, name: str):
    for act in (
        lambda: plans.put(acme.store, name, {"max_jobs": 1}, **BY),
        lambda: plans.get(acme.store, name),
        lambda: plans.delete(acme.store, name, **BY),
    ):
        with pytest.raises(InvalidInput):
            act()


def test_jobs_that_say_nothing_get_what_was_chosen(acme: ManualCluster):
    choose(acme, catch_up="all", overlap="buffer_one", misfire_grace_s=90.0, max_attempts=4)
    job = put(acme).job
    assert (job.catch_up, job.overlap, job.misfire_grace_s, job.retry["max_attempts"]) == ("all", "buffer_one", 90.0, 4)
    job = put(acme, catch_up="none", retry={"max_attempts": 1, "delay_s": 5}).job
    assert (job.catch_up, job.retry["max_attempts"], job.retry["delay_s"]) == ("none", 1, 5)
    assert put(acme, "other", retry={"delay_s": 5}).job.retry["max_attempts"] == 4


# -- limits at put


def test_a_tenant_has_no_more_jobs_than_it_may(acme: ManualCluster):
    choose(acme, max_jobs=2)
    put(acme, "one")
    put(acme, "two")
    with pytest.raises(LimitReached, match="2 of 2 jobs"):
        put(acme, "three")
    put(acme, "two", args=[1])  # an edit is no further job
    assert usage(acme.store, "acme").jobs == 2


def test_many_who_put_at_once_do_not_exceed_the_limit(acme: ManualCluster):
    choose(acme, max_jobs=5)
    refused: list[Exception] = []
    start = threading.Barrier(12)

    def one(number: int) -> None:
        start.wait()
        try:
            put(acme, f"job-{number}")
        except LimitReached as error:
            refused.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = usage(acme.store, "acme").jobs
    assert left <= 5
    assert left + len(refused) == 12


def test_what_fires_too_often_or_carries_too_much_is_refused_with_both_faults(acme: ManualCluster):
    choose(acme, min_interval_s=60.0, max_payload_bytes=100)
    with pytest.raises(InvalidInput) as caught:
        put(acme, args=["x" * 200])
    assert len(caught.value.faults) == 2
    with pytest.raises(InvalidInput, match="leave at least 60 s"):
        jobs.put(acme.store, "acme", "quick", {"every": "59s", "task": "t"})
    jobs.put(acme.store, "acme", "slow", {"every": "60s", "task": "t"})


# -- limits at release


def many(cluster: ManualCluster, count: int, **more: Any) -> None:
    for number in range(count):
        jobs.put(cluster.store, "acme", f"job-{number:02d}", {**AT_ONCE, **more})
    cluster.advance(10)


def test_no_more_firings_are_under_way_than_may_be_and_each_runs_in_the_end(acme: ManualCluster):
    choose(acme, max_live=3)
    many(acme, 10)
    assert acme.claim() == 10  # a full limit never stops claiming
    assert len(acme.broker.messages) == 3
    waiting = [f for f in acme.firings(acme.store.tenants.get("acme")) if f.state == "pending"]
    assert {firing.wait for firing in waiting} == {"live"}
    assert acme.seen(FiringHeld) == [FiringHeld(waiting[0].uid, "live", 7)]
    done = len(acme.deliver())
    for _ in range(20):
        acme.advance(1)
        acme.release()
        assert len(acme.broker.messages) <= 3
        done += len(acme.deliver())
    assert done == 10


def test_the_limit_is_exact_under_many_nodes_at_once(acme: ManualCluster):
    """Eight gatekeepers let attempts of one tenant pass at the same moment."""
    tenant = acme.store.tenants.get("acme")
    many(acme, 24)
    firings = acme.store.collections.firings(tenant.place)
    acme.broker.swallow = True
    acme.claim()
    ids = [firing.id for firing in acme.firings(tenant)]
    granted: list[Entry] = []
    start = threading.Barrier(8)

    def node(number: int) -> None:
        start.wait()
        wanted = [Entry(firing, 1) for firing in ids[number * 3 : number * 3 + 3]]
        passage = acme.store.gates.enter(tenant.uid, wanted, Choices(max_live=10), firings=firings, now=1000.0)
        granted.extend(passage.granted)

    threads = [threading.Thread(target=node, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 10


def test_nothing_leaks_when_a_node_dies_with_a_place_in_its_hands(acme: ManualCluster):
    choose(acme, max_live=2)
    many(acme, 4)
    tenant = acme.store.tenants.get("acme")
    acme.broker.swallow = True
    acme.claim()
    acme.broker.swallow = False
    firings = acme.store.collections.firings(tenant.place)
    pending = [f for f in acme.firings(tenant) if f.state == "pending"]
    # Places are free again, a node takes one of them and dies before the mark.
    firings.update_many({"state": "dispatched"}, {"$set": {"state": "succeeded"}, "$unset": {"attend_at": ""}})
    died = acme.store.gates.enter(
        tenant.uid, [Entry(pending[0].id, 1)], tenant.choices, firings=firings, now=acme.clock.now().timestamp()
    )
    assert len(died.granted) == 1
    for _ in range(5):
        acme.advance(1)
        acme.release()
    assert len(acme.deliver()) == 2


def test_the_rate_holds_with_its_burst(acme: ManualCluster):
    choose(acme, max_per_s=2.0, burst=5)
    many(acme, 20)
    acme.claim()
    handed = [len(acme.broker.messages)]
    assert usage(acme.store, "acme").per_s == 0.5
    for _ in range(10):
        acme.advance(1)
        acme.release()
        handed.append(len(acme.broker.messages))
    assert handed[0] == 5
    for second, count in enumerate(handed):
        assert count <= 5 + 2 * second
    assert handed[-1] == 20
    waits = {f.wait for f in acme.firings(acme.store.tenants.get("acme")) if f.state == "pending"}
    assert waits <= {"rate"}


def test_a_retry_needs_a_place_of_its_own(acme: ManualCluster):
    from jobstore.runs import Outcome

    choose(acme, max_live=1)
    many(acme, 2, retry={"max_attempts": 2})
    acme.claim()
    (first,) = acme.deliver(lambda _: Outcome(state="failed", reason="raised", retry_at=acme.clock.now()))
    acme.advance(1)
    acme.release()
    assert len(acme.broker.messages) == 1
    for _ in range(4):
        acme.deliver()
        acme.advance(1)
        acme.release()
    assert {f.state for f in acme.firings(acme.store.tenants.get("acme"))} == {"succeeded"}
    assert first.attempt == 1


def test_a_tenant_without_limits_costs_no_command_more(acme: ManualCluster):
    many(acme, 3)
    acme.claim()
    assert acme.store.client[acme.database]["gates"].count_documents({}) == 0


def test_one_tenants_limit_does_not_hold_up_another(acme: ManualCluster):
    tenants.create(acme.store, "globex")
    choose(acme, max_live=1)
    jobs.put(acme.store, "globex", "tick", AT_ONCE)
    many(acme, 30)
    acme.claim()
    uids = [message.uid for message in acme.broker.messages]
    assert sorted(uid.partition("-")[0] for uid in uids) == ["acme", "globex"]


# -- fair claiming


def test_with_twenty_thousand_due_of_one_tenant_anothers_firing_goes_out_in_the_next_pass(cluster: ManualCluster):
    from tests.integration.test_query_plans import many_jobs

    big = cluster.tenant("big")
    many_jobs(cluster, big, due=20_000, idle=0)
    cluster.claim()
    assert {message.uid for message in cluster.broker.messages} == {big.uid}
    small = cluster.tenant("small")
    many_jobs(cluster, small, due=1, idle=0)
    sent = len(cluster.broker.messages)
    cluster.claim()
    fresh = [message.uid for message in cluster.broker.messages[sent:]]
    assert fresh.count(small.uid) == 1
    assert fresh.count(big.uid) <= cluster.policy.budget


# -- the command line


def test_plans_updates_and_usage_by_command(
    acme: ManualCluster, mongo_url: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    monkeypatch.setenv("HORARIUM_MONGODB_URL", mongo_url)
    monkeypatch.setenv("HORARIUM_DATABASE", acme.database)

    def cli(*words: str) -> tuple[int, str, str]:
        code = run(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    assert cli("plan", "put", "pro", "--set", "max_jobs=100", "--set", "weight=3")[1].startswith("created: plan pro")
    assert "max_jobs: 100 -> 5" in cli("plan", "put", "pro", "--set", "max_jobs=5", "--by", "bob")[1]
    assert cli("plan", "put", "cluster", "--set", "max_live=2")[0] == 0
    code, out, _ = cli("tenant", "update", "acme", "--plan", "pro", "--set", "min_interval_s=5.0")
    assert (code, out.splitlines()[0]) == (0, "changed: tenant acme, revision 2")
    out = cli("tenant", "usage", "acme")[1]
    assert "0 of 5" in out
    assert "0 of 2" in out
    assert "pro" in cli("plan", "list")[1]
    code, _, err = cli("plan", "put", "pro", "--set", "max_jobs=many", "--set", "colour=red")
    assert code == 2
    assert err.count("\n") == 3
    assert cli("plan", "put", "pro", "--set", 'max_jobs={"$gt": 0}')[0] == 2
    assert cli("plan", "delete", "pro")[0] == 4
    assert cli("tenant", "update", "acme", "--plan", "")[0] == 0
    assert cli("plan", "delete", "pro")[0] == 0
    assert cli("plan", "get", "pro")[0] == 3
