"""Deleting, pausing and firing by hand on a real MongoDB, with the nodes' real passes in between; reading the ledger."""

from datetime import timedelta
from typing import Any

import pytest

from cluster.operations import firings, jobs, stopping, tenants
from cluster.operations.common import NotAllowed
from cluster.operations.triggering import trigger
from jobstore.errors import InvalidInput, NotFound, StoreUnavailable
from jobstore.runs import Outcome
from jobstore.runtime import Runtime
from jobstore.store import open_store
from tests.support.manual import START, ManualCluster
from tests.support.operating import HOSTILE, acme_of, every, put, records


@pytest.fixture
def acme(cluster: ManualCluster) -> str:
    tenants.create(cluster.store, "acme")
    return "acme"


def test_nothing_begins_after_a_delete_was_answered(cluster: ManualCluster, acme: str):
    put(cluster, every(5))
    cluster.advance(5)
    cluster.claim()
    result = stopping.delete(cluster.store, acme, "tick")
    assert (result.verdict, result.cancelled, result.running) == ("deleted", 1, 0)
    assert cluster.deliver() == []
    assert records(cluster) == [(5, 5, "cancelled", "job_deleted")]
    with pytest.raises(NotFound):
        jobs.get(cluster.store, acme, "tick")


def test_a_running_firing_of_a_deleted_job_ends_by_itself(cluster: ManualCluster, acme: str):
    put(cluster, every(5))
    cluster.advance(5)
    cluster.claim()
    running = cluster.begin(cluster.broker.messages[0])
    result = stopping.delete(cluster.store, acme, "tick")
    assert (result.cancelled, result.running) == (0, 1)
    assert jobs.get(cluster.store, acme, "tick").state == "deleting"
    assert stopping.delete(cluster.store, acme, "tick").running == 1
    for act in (stopping.pause, trigger):
        with pytest.raises(NotFound, match="is being deleted"):
            act(cluster.store, acme, "tick")
    cluster.finish(running)
    cluster.advance(60)
    cluster.node().tending.run_once(("node-a",))
    assert jobs.list_jobs(cluster.store, acme) == []


def test_a_retry_of_a_deleted_job_does_not_begin(cluster: ManualCluster, acme: str):
    put(cluster, every(5, retry={"max_attempts": 3, "delay_s": 1}))
    cluster.advance(5)
    cluster.claim()
    running = cluster.begin(cluster.broker.messages.pop())
    stopping.delete(cluster.store, acme, "tick")
    cluster.finish(running, Outcome(state="failed", retry_at=cluster.clock.now() + timedelta(seconds=1)))
    cluster.advance(2)
    cluster.release()
    assert cluster.deliver() == []
    assert records(cluster) == [(5, 5, "cancelled", "job_deleted")]


def test_a_job_put_again_while_the_old_one_is_deleted_is_another_job(cluster: ManualCluster, acme: str):
    put(cluster, every(5, kwargs={"who": "old"}))
    cluster.advance(5)
    cluster.claim()
    running = cluster.begin(cluster.broker.messages.pop())
    stopping.delete(cluster.store, acme, "tick")
    assert put(cluster, every(5, kwargs={"who": "new"})).verdict == "created"
    cluster.finish(running)
    cluster.advance(5)
    cluster.claim()
    (begun,) = cluster.deliver()
    assert begun.snapshot.kwargs == {"who": "new"}
    assert begun.fence > running.fence
    assert begun.incarnation != running.incarnation


def test_nothing_begins_while_a_job_is_paused_and_the_ledger_says_what_passed(cluster: ManualCluster, acme: str):
    put(cluster, every(5))
    cluster.advance(5)
    cluster.claim()
    result = stopping.pause(cluster.store, acme, "tick")
    assert (result.verdict, result.cancelled, result.state) == ("changed", 1, "paused")
    assert stopping.pause(cluster.store, acme, "tick").verdict == "unchanged"
    cluster.advance(20)
    cluster.claim()
    cluster.release()
    assert cluster.deliver() == []
    assert stopping.resume(cluster.store, acme, "tick").verdict == "changed"
    assert stopping.resume(cluster.store, acme, "tick").verdict == "unchanged"
    assert cluster.claim() == 0
    cluster.advance(5)
    cluster.claim()
    assert len(cluster.deliver()) == 1
    assert records(cluster) == [
        (5, 5, "cancelled", "job_stopped"),
        (10, 25, "skipped", "paused"),
        (30, 30, "succeeded", ""),
    ]
    assert cluster.firings(acme_of(cluster))[1].covers.count == 4


def test_a_job_whose_last_instant_passed_during_its_pause_completes_when_it_is_resumed(
    cluster: ManualCluster, acme: str
):
    put(cluster, {"at": (START + timedelta(seconds=5)).isoformat(), "task": "demo.task"})
    stopping.pause(cluster.store, acme, "tick")
    cluster.advance(10)
    stopping.resume(cluster.store, acme, "tick")
    cluster.claim()
    assert records(cluster) == [(5, 5, "skipped", "paused")]
    assert cluster.store.jobs(acme_of(cluster).place).fetch("tick")["state"] == "completed"
    assert cluster.deliver() == []


def test_a_completed_job_can_neither_be_paused_nor_resumed_and_an_edit_reopens_it(cluster: ManualCluster, acme: str):
    put(cluster, {"at": (START + timedelta(seconds=5)).isoformat(), "task": "demo.task"})
    cluster.advance(5)
    cluster.claim()
    for act in (stopping.pause, stopping.resume):
        with pytest.raises(NotAllowed, match="is completed"):
            act(cluster.store, acme, "tick")
    assert put(cluster, every(5)).job.state == "active"
    cluster.deliver()
    cluster.advance(5)
    cluster.claim()
    assert len(cluster.deliver()) == 1


# -- firing by hand


def test_a_manual_firing_runs_at_once_and_leaves_the_timetable_alone(cluster: ManualCluster, acme: str):
    put(cluster, every(100, kwargs={"a": 1}))
    cluster.advance(3)
    result = trigger(cluster.store, acme, "tick")
    assert (result.created, result.firing.kind, result.firing.nominal) == (True, "manual", START + timedelta(seconds=3))
    before = cluster.store.jobs(acme_of(cluster).place).get("tick").nominal
    cluster.release()
    (begun,) = cluster.deliver()
    assert (begun.id, begun.snapshot.kwargs) == (result.firing.firing, {"a": 1})
    assert cluster.store.jobs(acme_of(cluster).place).get("tick").nominal == before


def test_the_same_key_fires_once_and_another_one_again(cluster: ManualCluster, acme: str):
    put(cluster, every(100, max_instances=5))
    first = trigger(cluster.store, acme, "tick", key="order-7")
    cluster.advance(1)
    again = trigger(cluster.store, acme, "tick", key="order-7")
    assert (again.created, again.firing.firing) == (False, first.firing.firing)
    assert trigger(cluster.store, acme, "tick", key="order-8").created
    assert trigger(cluster.store, acme, "tick").created
    assert trigger(cluster.store, acme, "tick").created
    cluster.release()
    assert len(cluster.deliver()) == 4


def test_a_manual_firing_waits_for_a_place_rather_than_being_skipped(cluster: ManualCluster, acme: str):
    put(cluster, every(100))
    for _ in range(2):
        trigger(cluster.store, acme, "tick")
    cluster.release()
    (first,) = cluster.broker.messages
    running = cluster.begin(first)
    cluster.advance(1)
    cluster.release()
    assert len(cluster.broker.messages) == 1
    cluster.finish(running)
    cluster.advance(1)
    cluster.release()
    assert len(cluster.deliver()) == 1


def test_a_paused_job_can_be_fired_by_hand(cluster: ManualCluster, acme: str):
    put(cluster, every(100))
    stopping.pause(cluster.store, acme, "tick")
    trigger(cluster.store, acme, "tick")
    cluster.release()
    assert len(cluster.deliver()) == 1


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb"])
def test_a_malformed_key_is_refused(cluster: ManualCluster, acme: str, key: str):
    put(cluster, every(100))
    with pytest.raises(InvalidInput, match="idempotency key"):
        trigger(cluster.store, acme, "tick", key=key)


# -- reading the ledger


def test_a_firing_says_in_a_sentence_what_became_of_it(cluster: ManualCluster, acme: str):
    put(cluster, every(5))
    cluster.advance(16)
    cluster.claim()
    (firing,) = firings.list_firings(cluster.store, acme, job_id="tick")
    assert (firing.covers.count, firing.covers.exact) == (3, True)
    assert "handed to pool default by node-a" in firing.why
    assert "stands for 3 instants from 2026-11-25T12:00:05Z through 2026-11-25T12:00:15Z" in firing.why
    cluster.deliver()
    assert firings.get(cluster.store, acme, firing.firing).why.startswith("succeeded on worker-1")
    assert firings.list_firings(cluster.store, acme, state="failed") == []
    assert jobs.get(cluster.store, acme, "tick").last.state == "succeeded"


def test_a_tenant_cannot_see_the_firings_of_another_in_the_same_ledger(cluster: ManualCluster, acme: str):
    put(cluster, every(5))
    cluster.advance(5)
    cluster.claim()
    (firing,) = firings.list_firings(cluster.store, acme)
    tenants.create(cluster.store, "globex")
    assert firings.list_firings(cluster.store, "globex") == []
    with pytest.raises(NotFound):
        firings.get(cluster.store, "globex", firing.firing)


@pytest.mark.parametrize("name", [*HOSTILE, "acme-x:short", "acme"])
def test_a_malformed_firing_id_is_refused(cluster: ManualCluster, acme: str, name: str):
    with pytest.raises(InvalidInput, match="is not the id of a firing"):
        firings.get(cluster.store, acme, name)


@pytest.mark.parametrize("more", [{"state": "done"}, {"limit": 0}, {"limit": 10_001}])
def test_a_list_of_firings_is_bounded_and_knows_its_states(cluster: ManualCluster, acme: str, more: dict[str, Any]):
    with pytest.raises(InvalidInput):
        firings.list_firings(cluster.store, acme, **more)


def test_an_unreachable_store_is_said_to_be_unreachable(cluster: ManualCluster):
    store = open_store(
        "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200&timeoutMS=200",
        control="horarium",
        runtime=Runtime(clock=cluster.clock),
        name="test",
    )
    with pytest.raises(StoreUnavailable, match="MongoDB did not answer"):
        tenants.list_tenants(store)
    store.close()
