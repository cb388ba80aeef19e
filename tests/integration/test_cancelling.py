"""Cancelling a firing in every state that it may be in, on a real ledger."""

from datetime import timedelta

import pytest

from cluster.operations import cancelling
from cluster.operations.common import NotAllowed
from jobstore.events import FiringFinished
from jobstore.firing import Firing
from jobstore.runs import Outcome
from jobstore.tenant import Tenant
from tests.support.manual import START, ManualCluster

TICK = {"every": "60s", "start": START.isoformat()}
AGAIN = {"max_attempts": 3, "delay_s": 3600.0}


def one(cluster: ManualCluster, tenant: Tenant) -> Firing:
    (firing,) = cluster.firings(tenant)
    return firing


def cancel(cluster: ManualCluster, firing: str) -> cancelling.CancelResult:
    return cancelling.cancel(cluster.store, "acme", firing, who="ann", why="wrong data")


def running(cluster: ManualCluster, **fields: object) -> tuple[Tenant, Firing]:
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", TICK, **fields)
    cluster.claim()
    firing = cluster.begin(cluster.broker.messages[0])
    assert firing is not None
    return acme, firing


def test_a_queued_firing_is_over_at_once_and_its_message_begins_nothing(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", TICK)
    cluster.claim()
    queued = one(cluster, acme)
    result = cancel(cluster, queued.id)
    assert (result.verdict, result.firing.state, result.firing.reason) == ("cancelled", "cancelled", "cancel_asked")
    assert cluster.deliver() == []
    (note,) = cluster.store.audit.of("acme")
    assert (note.who, note.what, note.why) == ("ann", "firing.cancel", "wrong data")
    assert note.details == {"firing": queued.id, "verdict": "cancelled"}
    assert cancel(cluster, queued.id).verdict == "unchanged"
    assert len(cluster.store.audit.of("acme")) == 1
    cluster.advance(60)
    assert cluster.claim() == 1
    assert len(cluster.deliver()) == 1, "its place is free for the next"


def test_a_running_firing_is_asked_and_its_worker_sees_why(cluster: ManualCluster):
    acme, firing = running(cluster)
    runs = cluster.store.runs(acme.place)
    mine = {firing.id: firing.run_token}
    assert runs.still_mine(mine) == {firing.id: None}
    result = cancel(cluster, firing.id)
    assert (result.verdict, result.firing.state) == ("asked", "running")
    assert "asked to end at 2026-11-25T12:00:00Z" in result.firing.why
    assert runs.still_mine(mine) == {firing.id: "cancel_asked"}
    asked = one(cluster, acme).cancel
    assert asked is not None
    assert (asked.by, asked.note, asked.at) == ("ann", "wrong data", START)
    cluster.advance(5)
    assert cancel(cluster, firing.id).verdict == "unchanged"
    assert one(cluster, acme).cancel == asked
    assert cluster.finish(firing, Outcome(state="cancelled", reason="cancel_asked"))
    after = one(cluster, acme)
    assert (after.state, after.reason, [a["state"] for a in after.attempts]) == (
        "cancelled",
        "cancel_asked",
        ["cancelled"],
    )


def test_a_firing_that_was_asked_to_end_is_not_tried_again(cluster: ManualCluster):
    acme, firing = running(cluster, retry=AGAIN)
    cancel(cluster, firing.id)
    failed = Outcome(state="failed", reason="raised", error="boom", retry_at=START + timedelta(hours=1))
    assert cluster.finish(firing, failed)
    after = one(cluster, acme)
    assert (after.state, after.attempt, after.reason, after.error) == ("cancelled", 1, "cancel_asked", "boom")
    assert cluster.finish(firing, failed), "a repetition after a lost reply finds it done"


def test_one_that_ends_by_itself_first_keeps_its_outcome(cluster: ManualCluster):
    acme, firing = running(cluster)
    cancel(cluster, firing.id)
    assert cluster.finish(firing, Outcome(state="succeeded"))
    assert one(cluster, acme).state == "succeeded"
    with pytest.raises(NotAllowed, match="it is succeeded"):
        cancel(cluster, firing.id)


def test_a_firing_whose_worker_dies_before_it_heeds_is_cancelled_not_run_again(cluster: ManualCluster):
    acme, firing = running(cluster, retry=AGAIN)
    cluster.store.workers.beat("worker-1", boot="b", counter=1, at=START, details={"runs": [firing.run_token]})
    cluster.sweep()
    cancel(cluster, firing.id)
    cluster.advance(31)
    cluster.sweep()
    after = one(cluster, acme)
    assert (after.state, after.reason) == ("cancelled", "cancel_asked")
    (told,) = [event for event in cluster.seen(FiringFinished) if event.firing == firing.id]
    assert (told.state, told.reason) == ("cancelled", "cancel_asked")


def test_a_verdict_about_a_worker_loses_to_a_request_that_came_between(cluster: ManualCluster):
    acme, firing = running(cluster, retry=AGAIN)
    read_before = one(cluster, acme)
    cancel(cluster, firing.id)
    ledger = cluster.store.ledger(acme.place)
    assert not ledger.declare_dead(read_before, retry_at=START, reason="worker_gone", at=START)
    assert ledger.declare_dead(one(cluster, acme), retry_at=START, reason="worker_gone", at=START)
    assert one(cluster, acme).state == "cancelled"


def test_a_retry_that_waits_is_cancelled_in_the_ledger(cluster: ManualCluster):
    acme, firing = running(cluster, retry=AGAIN)
    assert cluster.finish(firing, Outcome(state="failed", reason="raised", retry_at=START + timedelta(hours=1)))
    assert cancel(cluster, firing.id).verdict == "cancelled"
    cluster.advance(3600)
    assert cluster.release() == 0
    assert one(cluster, acme).state == "cancelled"
