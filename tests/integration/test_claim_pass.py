"""From due to dispatched, step by step on a real MongoDB: what each pass writes, and what a crash leaves."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cluster.claiming import Take
from cluster.turns import preferred
from jobstore.advance import admit
from jobstore.clock import to_posix
from jobstore.events import FiringClosed, JobQuarantined, WriteRefused
from jobstore.runs import Outcome
from tests.support.manual import START, ManualCluster


class Crash(BaseException):
    """The process dies here."""


class CrashAt:
    """Crash points that raise past every handler at the named one."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def reach(self, name: str) -> None:
        if name == self.name:
            self.name = None
            raise Crash(name)


def test_a_due_job_is_dispatched_once_and_its_next_instant_stands(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "10s", "start": START.isoformat()})
    assert cluster.claim() == 1
    (firing,) = cluster.firings(acme)
    assert (firing.state, firing.nominal, firing.attempt) == ("dispatched", to_posix(START), 1)
    assert [message.firing for message in cluster.broker.messages] == [firing.id]
    document = cluster.store.jobs(acme.place).fetch("tick")
    assert document["next_run_time"] == document["nominal"] == to_posix(START) + 10
    assert document["slots"] == [firing.id]
    assert "lease_until" not in document
    assert cluster.claim() == 0


def test_nothing_is_claimed_before_it_is_due(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "later", {"every": "10s", "start": (START + timedelta(seconds=3)).isoformat()})
    cluster.advance(2.999)
    assert cluster.claim() == 0
    cluster.advance(0.001)
    assert cluster.claim() == 1


def test_a_begun_firing_finishes_and_frees_the_slot_for_the_next(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "10s", "start": START.isoformat()})
    for _ in range(5):
        cluster.claim()
        assert len(cluster.deliver()) == 1
        cluster.advance(10)
    assert cluster.covered(acme, "tick") == [(n * 10.0, n * 10.0) for n in range(5)]
    assert {firing.state for firing in cluster.firings(acme)} == {"succeeded"}
    fences = [firing.fence for firing in cluster.firings(acme)]
    assert fences == sorted(set(fences))


def test_a_second_delivery_does_not_begin(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "10s", "start": START.isoformat()})
    cluster.claim()
    (message,) = cluster.broker.messages
    assert cluster.begin(message) is not None
    assert cluster.begin(message) is None


def test_an_overlap_is_skipped_with_the_reason(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "slow", {"every": "10s", "start": START.isoformat()})
    cluster.claim()
    running = cluster.begin(cluster.broker.messages[0])
    cluster.advance(10)
    cluster.claim()
    assert [(f.state, f.reason) for f in cluster.firings(acme)] == [("running", ""), ("skipped", "overlap")]
    cluster.finish(running)
    cluster.advance(10)
    cluster.claim()
    assert cluster.firings(acme)[2].state == "dispatched"
    assert len(cluster.seen(FiringClosed)) == 1


def test_an_outage_is_caught_up_by_one_firing_that_says_what_it_covers(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "1s", "start": START.isoformat()})
    cluster.advance(7 * 86_400)
    assert cluster.claim() == 1
    (firing,) = cluster.firings(acme)
    assert (firing.covers.count, firing.covers.exact) == (7 * 86_400 + 1, True)
    assert cluster.covered(acme, "tick") == [(0.0, 7 * 86_400.0)]
    assert cluster.store.jobs(acme.place).get("tick").nominal == to_posix(START) + 7 * 86_400 + 1


def test_what_is_later_than_its_grace_is_recorded_as_missed(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "strict", {"every": "1h", "start": START.isoformat()}, misfire_grace_s=60.0)
    cluster.advance(61)
    cluster.claim()
    (firing,) = cluster.firings(acme)
    assert (firing.state, firing.reason) == ("missed", "misfire_grace")
    assert cluster.broker.messages == []


def test_catch_up_all_runs_each_instant_oldest_first_as_slots_become_free(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "each", {"every": "10s", "start": START.isoformat()}, catch_up="all")
    cluster.advance(45)
    cluster.claim()
    begun = cluster.deliver()
    for _ in range(10):
        cluster.advance(1)
        cluster.release()
        begun += cluster.deliver()
    assert [firing.nominal - to_posix(START) for firing in begun] == [0, 10, 20, 30, 40, 50][: len(begun)]
    assert len(begun) >= 5
    assert cluster.covered(acme, "each")[:5] == [(n * 10.0, n * 10.0) for n in range(5)]


def test_a_long_chain_is_recorded_in_several_passes(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "each", {"every": "1s", "start": START.isoformat()}, catch_up="all", catch_up_limit=50)
    cluster.advance(1000)
    while cluster.claim():
        pass
    firings = cluster.firings(acme)
    assert [firing.state for firing in firings] == ["missed", "dispatched", *["pending"] * 49]
    assert sum(firing.covers.count for firing in firings) == 1001


def test_buffer_one_keeps_one_firing_waiting_for_the_slot(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "slow", {"every": "10s", "start": START.isoformat()}, overlap="buffer_one")
    cluster.claim()
    running = cluster.begin(cluster.broker.messages.pop())
    for _ in range(2):
        cluster.advance(10)
        cluster.claim()
        cluster.release()
    states = [(firing.state, firing.reason) for firing in cluster.firings(acme)]
    assert states == [("running", ""), ("pending", ""), ("skipped", "buffer_full")]
    cluster.finish(running)
    cluster.advance(1)
    assert cluster.release() == 1
    assert [firing.nominal for firing in cluster.deliver()] == [to_posix(START) + 10]


def test_a_date_job_completes_and_its_document_goes_when_nothing_is_open(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "once", {"at": (START + timedelta(seconds=1)).isoformat()})
    cluster.advance(1)
    cluster.claim()
    assert cluster.store.jobs(acme.place).fetch("once")["state"] == "completed"
    cluster.node().tending.run_once(("node-a",))
    assert cluster.store.jobs(acme.place).fetch("once") is not None
    cluster.deliver()
    cluster.advance(60)
    cluster.node().tending.run_once(("node-a",))
    assert cluster.store.jobs(acme.place).fetch("once") is None
    assert [firing.state for firing in cluster.firings(acme)] == ["succeeded"]


@pytest.mark.parametrize(
    "point", ["claim.after", "record.after", "advance.after", "mark.after", "publish.after", "raise.after"]
)
def test_a_node_that_dies_after_any_step_loses_nothing_and_doubles_nothing(mongo_url, database_name, point):
    points = CrashAt(point)
    cluster = ManualCluster(mongo_url, database_name, points=points)
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "100s", "start": START.isoformat()})
    with pytest.raises(Crash):
        cluster.claim("node-a")
    begun = cluster.deliver()
    for _ in range(16):
        cluster.advance(5)
        cluster.claim("node-b", nodes=("node-b",))
        cluster.release("node-b")
        cluster.sweep("node-b")
        begun += cluster.deliver()
    assert [firing.nominal for firing in begun] == [to_posix(START)]
    assert [firing.state for firing in cluster.firings(acme)] == ["succeeded"]
    cluster.close()


def test_a_node_that_wakes_after_its_lease_changes_nothing(cluster: ManualCluster):
    """A claims, is frozen past its lease, B takes over and finishes, A goes on: its writes match nothing."""
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "100s", "start": START.isoformat()})
    late = cluster.node("node-a").claiming
    (turn,) = late._turns(("node-a",))
    take = Take(turn, late.claims.look(acme.place, budget=10))
    late._claim(take)
    (work,) = works = take.works
    assert work.job.id == "tick"
    cluster.advance(11)
    assert cluster.claim("node-b", nodes=("node-b",)) == 1
    assert len(cluster.deliver()) == 1
    before = cluster.store.jobs(acme.place).fetch("tick")
    late.recorder.run(works, trusted_until=float("inf"))
    late.advancer.run(works, trusted_until=float("inf"))
    assert cluster.store.jobs(acme.place).fetch("tick") == before
    assert len(cluster.firings(acme)) == 1
    assert cluster.broker.messages == []
    assert WriteRefused("advance", f"{acme.uid}/tick") in cluster.events


def test_a_failed_attempt_waits_and_is_tried_again_with_a_higher_fence(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "flaky", {"every": "1h", "start": START.isoformat()}, retry={"max_attempts": 2, "delay_s": 30.0})
    cluster.claim()
    later = cluster.clock.now() + timedelta(seconds=30)
    (first,) = cluster.deliver(lambda _: Outcome(state="failed", error="boom", retry_at=later))
    cluster.advance(29)
    assert cluster.release() == 0
    cluster.advance(1)
    assert cluster.release() == 1
    (second,) = cluster.deliver()
    assert (second.id, second.attempt) == (first.id, 2)
    assert second.fence > first.fence
    assert cluster.firings(acme)[0].state == "succeeded"


def test_a_lost_message_is_published_again_until_it_begins(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "1h", "start": START.isoformat()})
    cluster.broker.swallow = True
    cluster.claim()
    cluster.advance(59)
    cluster.sweep()
    cluster.broker.swallow = False
    assert cluster.broker.messages == []
    cluster.advance(2)
    cluster.sweep()
    assert len(cluster.deliver()) == 1


def test_a_broker_that_lost_its_data_is_refilled_at_once(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "1h", "start": START.isoformat()})
    cluster.claim()
    cluster.broker.messages.clear()
    cluster.broker.lost_data = True
    cluster.advance(1)
    cluster.sweep()
    cluster.sweep()
    assert len(cluster.deliver()) == 1


def test_a_broker_that_is_down_holds_nothing_up_and_gets_everything_later(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "1h", "start": START.isoformat()})
    cluster.broker.down = True
    cluster.claim()
    assert cluster.firings(acme)[0].state == "dispatched"
    cluster.broker.down = False
    for _ in range(3):
        cluster.advance(6)
        cluster.release()
        cluster.sweep()
    assert len(cluster.deliver()) == 1


def test_a_damaged_job_is_set_aside_and_the_others_go_on(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    for name in ("bad", "good"):
        cluster.job(acme, name, {"every": "10s", "start": START.isoformat()})
    jobs = cluster.store.collections.jobs(acme.place)
    whole = jobs.find_one({"_id": "bad"})["spec"]
    jobs.update_one({"_id": "bad"}, {"$set": {"spec": {"trigger": 7}}})
    cluster.claim()
    assert [firing.job for firing in cluster.firings(acme)] == ["good"]
    document = jobs.find_one({"_id": "bad"})
    assert (document["state"], document["next_run_time"]) == ("quarantined", None)
    assert "unreadable" in document["quarantine"]["reason"]
    assert len(cluster.seen(JobQuarantined)) == 1
    jobs.update_one({"_id": "bad"}, {"$set": {"spec": whole}})
    cluster.advance(30)
    cluster.node().tending.run_once(("node-a",))
    cluster.claim()
    assert {firing.job for firing in cluster.firings(acme)} == {"good", "bad"}


def test_a_job_that_stock_wrote_late_into_the_agenda_is_found_by_the_full_look(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "1h", "start": (START + timedelta(hours=1)).isoformat()})
    cluster.store.collections.jobs(acme.place).update_one(
        {"_id": "tick"}, {"$set": {"next_run_time": to_posix(START), "nominal": to_posix(START)}}
    )
    assert cluster.claim() == 0
    cluster.node().tending.run_once(("node-a",))
    assert cluster.claim() == 1


def test_many_jobs_are_claimed_with_a_handful_of_commands(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    for number in range(100):
        cluster.job(acme, f"job-{number}", {"every": "1h", "start": START.isoformat()})
    assert cluster.claim() == 100
    assert len(cluster.deliver()) == 100


def test_a_suspended_tenant_keeps_no_node_busy(cluster: ManualCluster):
    acme = cluster.tenant("acme", state="suspended")
    cluster.job(acme, "tick", {"every": "10s", "start": START.isoformat()})
    assert cluster.claim() == 0
    waits = cluster.node().claiming.next_due(("node-a",)) - to_posix(cluster.clock.now())
    assert waits == cluster.policy.poll.total_seconds()


def test_another_nodes_tenant_is_left_to_it_until_it_is_late(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "1h", "start": START.isoformat()})
    both = ("node-a", "node-b")
    mine = preferred(acme.uid, both)
    other = next(name for name in both if name != mine)
    assert cluster.claim(other, both) == 0
    assert cluster.node(other).claiming.next_due(both) > to_posix(cluster.clock.now()) + 0.5
    cluster.advance(2.1)
    assert cluster.claim(other, both) == 1


def test_two_nodes_at_one_late_tenant_take_different_jobs(cluster: ManualCluster):
    """Neither waits at the other's head: what one node looks at, the other does not."""
    cluster.policy = replace(cluster.policy, budget=40)
    acme = cluster.tenant("acme")
    for number in range(200):
        cluster.job(acme, f"job-{number}", {"every": "1h", "start": START.isoformat()})
    cluster.advance(5)
    both = ("node-a", "node-b")
    looks = []
    for name in both:
        claiming = cluster.node(name).claiming
        (take,) = claiming._look(claiming._turns(both))
        looks.append(set(take.outlook.due))
    assert [len(look) for look in looks] == [40, 40]
    assert looks[0].isdisjoint(looks[1])
    while sum(cluster.claim(name, both) for name in both):
        pass
    assert len(cluster.firings(acme)) == 200
    assert not cluster.seen(WriteRefused)


def test_a_release_that_read_the_job_before_an_edit_admits_nothing(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "10s", "start": START.isoformat()})
    jobs = cluster.store.jobs(acme.place)
    before = jobs.get("tick")
    assert jobs.change(before, None, {}) is not None
    collection = cluster.store.collections.jobs(acme.place)
    assert admit(collection, acme.place, before, ("a-firing",)) is None
    assert admit(collection, acme.place, jobs.get("tick"), ("a-firing",)) == before.fence + 1
