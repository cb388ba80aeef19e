"""Operations on a real MongoDB, with the nodes' real passes in between: what is answered, and what then holds."""

from datetime import timedelta
from typing import Any

import pytest

from cluster.operations import firings, jobs, stopping, tenants
from cluster.operations.common import NotAllowed
from cluster.operations.jobs import TimetableEnded
from cluster.operations.triggering import trigger
from jobstore.clock import to_posix
from jobstore.errors import AlreadyExists, InvalidInput, NotFound, RevisionConflict, StoreUnavailable, Unreadable
from jobstore.runs import Outcome
from jobstore.runtime import Runtime
from jobstore.store import open_store
from tests.support.manual import START, ManualCluster

ZERO = to_posix(START)
HOSTILE = ["", "a" * 129, "../x", "a\0b", "$where", "a b", "naïve", ".hidden", "x\n", '{"$ne": null}']
HOSTILE_TENANTS = [*HOSTILE, "Acme", "ac", "acme-", "-acme", "a" * 41, "acme_1", "1acme"]


@pytest.fixture
def acme(cluster: ManualCluster) -> str:
    tenants.create(cluster.store, "acme")
    return "acme"


def every(seconds: float, **more: Any) -> dict[str, Any]:
    return {"every": f"{seconds:g}s", "start": START.isoformat(), "task": "demo.task", **more}


def put(cluster: ManualCluster, definition: dict[str, Any], **more: Any) -> Any:
    return jobs.put(cluster.store, "acme", "tick", definition, **more)


def tenant_of(cluster: ManualCluster) -> Any:
    return cluster.store.tenants.get("acme")


def records(cluster: ManualCluster) -> list[tuple[float, float, str, str]]:
    return [
        (f.covers.start - ZERO, f.covers.through - ZERO, f.state, f.reason)
        for f in cluster.firings(tenant_of(cluster), "tick")
    ]


# -- tenants


def test_a_new_tenant_has_its_collections_their_indexes_and_a_line_of_the_agenda(cluster: ManualCluster):
    result = tenants.create(cluster.store, "acme", zone="Europe/Berlin", pool="reports", weight=3)
    assert result.verdict == "created"
    tenant = cluster.store.tenants.get("acme")
    assert tenant.place.jobs == f"jobs.{tenant.uid}"
    assert tenant.uid.startswith("acme-")
    assert (tenant.place.database, tenant.place.firings) == (cluster.database, "firings")
    assert "next_run_time_1" in cluster.store.collections.jobs(tenant.place).index_information()
    assert {"open", "history", "expire"} <= set(cluster.store.collections.firings(tenant.place).index_information())
    assert cluster.store.agenda.get(tenant.uid) is not None
    assert (tenant.defaults.zone, tenant.defaults.pool, tenant.weight) == ("Europe/Berlin", "reports", 3)


def test_creating_a_tenant_again_with_the_same_settings_changes_nothing(cluster: ManualCluster):
    first = tenants.create(cluster.store, "acme", weight=2)
    again = tenants.create(cluster.store, "acme", weight=2)
    assert (again.verdict, again.tenant.uid) == ("unchanged", first.tenant.uid)


def test_creating_a_tenant_again_with_other_settings_says_which_differ(cluster: ManualCluster):
    tenants.create(cluster.store, "acme")
    with pytest.raises(AlreadyExists, match=r"time zone 'UTC' and not 'Europe/Paris', weight 1 and not 2"):
        tenants.create(cluster.store, "acme", zone="Europe/Paris", weight=2)


def test_what_a_crash_left_of_a_new_tenant_is_completed_by_creating_it_again(cluster: ManualCluster):
    uid = tenants.create(cluster.store, "acme").tenant.uid
    cluster.store.agenda.remove(uid)
    place = cluster.store.tenants.get("acme").place
    cluster.store.collections.jobs(place).drop()
    assert tenants.create(cluster.store, "acme").verdict == "unchanged"
    assert cluster.store.agenda.get(uid) is not None
    assert "next_run_time_1" in cluster.store.collections.jobs(place).index_information()


def test_an_unknown_time_zone_is_refused_with_the_nearest_one(cluster: ManualCluster):
    with pytest.raises(InvalidInput, match="did you mean Europe/Berlin"):
        tenants.create(cluster.store, "acme", zone="Europe/Berln")
    with pytest.raises(NotFound):
        tenants.get(cluster.store, "acme")


def test_every_fault_of_a_tenant_is_told_at_once(cluster: ManualCluster):
    with pytest.raises(InvalidInput) as caught:
        tenants.create(cluster.store, "acme", zone="Mars/Olympus", pool="No Pool", weight=0)
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize("name", HOSTILE_TENANTS)
def test_a_hostile_tenant_id_is_refused_by_every_operation(cluster: ManualCluster, name: str):
    store = cluster.store
    for act in (
        lambda: tenants.create(store, name),
        lambda: tenants.get(store, name),
        lambda: jobs.put(store, name, "tick", every(5)),
        lambda: jobs.list_jobs(store, name),
        lambda: firings.list_firings(store, name),
        lambda: stopping.delete(store, name, "tick"),
    ):
        with pytest.raises(InvalidInput, match="is not a valid tenant id: use"):
            act()


@pytest.mark.parametrize(
    "place",
    [
        {"jobs": "tenants"},
        {"jobs": "same", "firings": "same"},
        {"jobs": "system.users"},
        {"jobs": "a$b"},
        {"database": "admin"},
        {"jobs": "firings"},
        {"jobs": "shared", "prefix": "x/y"},
    ],
)
def test_a_place_that_would_reach_other_documents_is_refused(cluster: ManualCluster, place: dict[str, str]):
    with pytest.raises(InvalidInput):
        tenants.create(cluster.store, "acme", **place)


def test_two_tenants_share_a_collection_only_with_a_prefix_each(cluster: ManualCluster):
    tenants.create(cluster.store, "acme", jobs="jobs.pack-01", prefix="acme:")
    with pytest.raises(InvalidInput, match="belongs to tenant 'acme'"):
        tenants.create(cluster.store, "globex", jobs="jobs.pack-01")
    with pytest.raises(InvalidInput, match="belongs to tenant 'acme'"):
        tenants.create(cluster.store, "globex", jobs="jobs.pack-01", prefix="acme:2")
    tenants.create(cluster.store, "globex", jobs="jobs.pack-01", prefix="globex:")
    for name in ("acme", "globex"):
        jobs.put(cluster.store, name, "tick", every(5))
    assert [row.job for row in jobs.list_jobs(cluster.store, "acme")] == ["tick"]
    stopping.delete(cluster.store, "acme", "tick")
    assert jobs.list_jobs(cluster.store, "acme") == []
    assert [row.job for row in jobs.list_jobs(cluster.store, "globex")] == ["tick"]


def test_a_tenant_shows_its_jobs_and_when_something_is_due(cluster: ManualCluster, acme: str):
    put(cluster, every(5))
    cluster.advance(1)
    cluster.claim()
    view = tenants.get(cluster.store, acme)
    assert (view.jobs, view.next_due) == (1, START + timedelta(seconds=5))


def test_putting_a_tenant_changes_only_what_is_given(cluster: ManualCluster):
    assert tenants.put(cluster.store, "acme", zone="Europe/Berlin").verdict == "created"
    assert tenants.put(cluster.store, "acme", weight=5).verdict == "changed"
    assert tenants.put(cluster.store, "acme", weight=5, zone="Europe/Berlin").verdict == "unchanged"
    view = tenants.get(cluster.store, "acme")
    assert (view.time_zone, view.weight, view.revision) == ("Europe/Berlin", 5, 2)


# -- putting jobs


def test_a_new_job_is_answered_with_its_words_and_its_next_five_instants(cluster: ManualCluster, acme: str):
    result = put(cluster, {"cron": "0 2 * * mon-fri", "timezone": "Europe/Paris", "task": "demo.task"})
    assert result.verdict == "created"
    assert result.job.when == "at 02:00 on Monday to Friday, Europe/Paris"
    assert [f"{at:%m-%dT%H}" for at in result.job.next] == ["11-26T01", "11-27T01", "11-30T01", "12-01T01", "12-02T01"]
    assert cluster.store.agenda.get(tenant_of(cluster).uid).next <= to_posix(result.job.next[0])


def test_the_same_definition_again_changes_nothing_even_where_the_phase_is_left_open(cluster: ManualCluster, acme: str):
    definition = {"every": "7s", "task": "demo.task", "kwargs": {"b": 1, "a": [1, {"x": None}]}}
    assert put(cluster, definition).verdict == "created"
    before = cluster.store.jobs(tenant_of(cluster).place).fetch("tick")
    cluster.advance(3)
    assert put(cluster, definition | {"kwargs": {"a": [1, {"x": None}], "b": 1}}).verdict == "unchanged"
    assert cluster.store.jobs(tenant_of(cluster).place).fetch("tick") == before


def test_a_put_says_which_dates_a_change_of_the_clocks_moves(cluster: ManualCluster, acme: str):
    gap, overlap = put(cluster, {"cron": "30 2 * * *", "timezone": "Europe/Paris", "task": "demo.task"}).notes
    assert gap == "Sun 2027-03-28 03:00:00 +02:00: the clocks go forward over the time, so it fires just after"
    assert overlap.startswith("Sun 2027-10-31 02:30:00 +02:00: the clocks go back")
    assert put(cluster, every(5)).notes == ()


@pytest.mark.parametrize("value", [True, 1.0, "1", [1]])
def test_a_value_of_another_type_is_a_change(cluster: ManualCluster, acme: str, value: Any):
    put(cluster, every(5, kwargs={"a": 1}))
    assert put(cluster, every(5, kwargs={"a": value})).verdict == "changed"


def test_a_job_gets_the_tenants_zone_and_pool_where_it_names_none(cluster: ManualCluster):
    tenants.create(cluster.store, "acme", zone="Asia/Kathmandu", pool="reports")
    job = put(cluster, {"cron": "30 9 * * *", "task": "demo.task"}).job
    assert (job.pool, job.trigger["timezone"]) == ("reports", "Asia/Kathmandu")
    assert f"{job.next[0]:%H:%M}" == "03:45"


def test_an_expected_revision_guards_against_overwriting_somebody_elses_change(cluster: ManualCluster, acme: str):
    assert put(cluster, every(5), expected_revision=0).job.revision == 1
    with pytest.raises(RevisionConflict, match="exists already"):
        put(cluster, every(6), expected_revision=0)
    assert put(cluster, every(5, description="mine"), expected_revision=1).job.revision == 2
    with pytest.raises(RevisionConflict, match="has revision 2, not 1"):
        put(cluster, every(5, description="late"), expected_revision=1)
    with pytest.raises(RevisionConflict, match="does not exist"):
        jobs.put(cluster.store, acme, "other", every(5), expected_revision=1)


def test_an_unknown_tenant_is_said_to_be_unknown(cluster: ManualCluster):
    with pytest.raises(NotFound, match="there is no tenant 'nobody'"):
        jobs.put(cluster.store, "nobody", "tick", every(5))


def test_an_unknown_job_is_said_to_be_unknown_by_every_operation(cluster: ManualCluster, acme: str):
    store = cluster.store
    for act in (jobs.get, trigger, stopping.delete, stopping.pause, stopping.resume):
        with pytest.raises(NotFound, match="has no job 'nothing'"):
            act(store, acme, "nothing")
    with pytest.raises(NotFound, match="has no job 'nothing'"):
        firings.list_firings(store, acme, job_id="nothing")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_job_id_is_refused_by_every_operation(cluster: ManualCluster, acme: str, name: str):
    store = cluster.store
    for act in (
        lambda: jobs.put(store, acme, name, every(5)),
        lambda: jobs.get(store, acme, name),
        lambda: trigger(store, acme, name),
        lambda: stopping.delete(store, acme, name),
        lambda: stopping.pause(store, acme, name),
        lambda: firings.list_firings(store, acme, job_id=name),
    ):
        with pytest.raises(InvalidInput, match="is not a valid job id: use"):
            act()
    assert store.jobs(tenant_of(cluster).place).count() == 0


@pytest.mark.parametrize(
    ("definition", "fault"),
    [
        ({"every": "0s"}, "longer than nothing"),
        ({"every": -5}, "longer than nothing"),
        ({"cron": "0 0 30 2 *"}, "never fires"),
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "* * * * *", "timezone": "Europe/Pariss"}, "did you mean Europe/Paris"),
        ({"at": "2020-01-01T00:00"}, "has passed"),
        ({"every": "5s", "end": "2026-11-25T11:00:00Z"}, "has passed"),
        ({}, "needs one of"),
        ({"every": "5s", "cron": "* * * * *"}, "give only one"),
        ({"every": "5s", "kwargs": {"a": {1, 2}}}, "a set, which cannot be stored"),
        ({"every": "5s", "kwargs": {"a": 2**64}}, "more than 64 bits"),
        ({"every": "5s", "args": [float("nan")]}, "not a number that can be stored"),
        ({"every": "5s", "kwargs": {"a": "x" * 300_000}}, "at most 262,144 are stored"),
        ({"every": "5s", "kwargs": {"a": "\ud800"}}, "cannot be encoded"),
        ({"every": "5s", "kwargs": {"a\0": 1}}, "texts without NUL"),
        ({"every": "5s", "max_instances": "3"}, "whole number"),
        ({"every": "5s", "max_instance": 3}, "did you mean max_instances"),
        ({"every": "5s", "function": "other"}, "and not both"),
        ({"every": "5s", "task": "no spaces"}, "is not a name"),
        ({"every": "5s", "retry": {"max_attempts": 0}}, "retry.max_attempts"),
        ({"every": "5s", "retry": {"attempts": 3}}, "is not a setting of retry"),
    ],
)
def test_a_bad_definition_is_refused_and_stores_nothing(
    cluster: ManualCluster, acme: str, definition: dict[str, Any], fault: str
):
    with pytest.raises(InvalidInput, match=fault):
        put(cluster, {"task": "demo.task", **definition})
    assert cluster.store.jobs(tenant_of(cluster).place).count() == 0


def test_all_faults_of_a_definition_are_told_at_once(cluster: ManualCluster, acme: str):
    with pytest.raises(InvalidInput) as caught:
        put(cluster, {"every": "0s", "timezone": "Nowhere", "pol": "x", "max_instances": 0, "args": "abc"})
    assert len(caught.value.faults) == 6


def test_an_existing_job_is_not_touched_by_a_refused_edit(cluster: ManualCluster, acme: str):
    put(cluster, every(5))
    before = cluster.store.jobs(tenant_of(cluster).place).fetch("tick")
    with pytest.raises(TimetableEnded):
        put(cluster, {"at": "2020-01-01T00:00", "task": "demo.task"})
    assert cluster.store.jobs(tenant_of(cluster).place).fetch("tick") == before


def worker(cluster: ManualCluster, name: str, **details: Any) -> None:
    cluster.store.workers.beat(name, boot="b", counter=1, at=cluster.clock.now(), details=details)


def test_a_task_that_no_live_worker_knows_is_refused_with_near_matches(cluster: ManualCluster, acme: str):
    worker(cluster, "w-1", pools=["default"], tasks=["demo.task", "demo.other"], functions=["tidy"])
    worker(cluster, "w-2", pools=["elsewhere"], tasks=["demo.tsk"], functions=[])
    assert put(cluster, every(5)).warnings == ()
    with pytest.raises(InvalidInput, match=r"no worker of pool 'default' knows the task 'demo.tsk'; did you mean demo"):
        put(cluster, every(5, task="demo.tsk"))
    with pytest.raises(InvalidInput, match="they know tidy"):
        jobs.put(cluster.store, acme, "f", {"every": "5s", "function": "xyz"})


@pytest.mark.parametrize("details", [None, {"pools": ["default"]}, {"pools": ["other"], "tasks": []}])
def test_a_task_that_nobody_can_vouch_for_is_accepted_with_a_warning(
    cluster: ManualCluster, acme: str, details: dict[str, Any] | None
):
    if details is not None:
        worker(cluster, "w-1", **details)
    (warning,) = put(cluster, every(5)).warnings
    assert "no worker of pool 'default' is there yet" in warning


def test_a_job_that_cannot_be_read_is_listed_with_the_reason_and_can_be_deleted(cluster: ManualCluster, acme: str):
    put(cluster, every(5))
    cluster.store.collections.jobs(tenant_of(cluster).place).update_one({"_id": "tick"}, {"$set": {"spec": 7}})
    (row,) = jobs.list_jobs(cluster.store, acme)
    assert row.state == "unreadable"
    assert row.reason
    with pytest.raises(Unreadable, match="horarium job delete acme tick"):
        put(cluster, every(6))
    assert stopping.delete(cluster.store, acme, "tick").verdict == "deleted"
    assert jobs.list_jobs(cluster.store, acme) == []


def test_a_job_in_quarantine_comes_back_with_an_edit(cluster: ManualCluster, acme: str):
    put(cluster, every(5))
    store = cluster.store.jobs(tenant_of(cluster).place)
    store.quarantine(store.fetch("tick"), "it was stuck")
    assert jobs.get(cluster.store, acme, "tick").reason == "it was stuck"
    assert "in quarantine" in put(cluster, every(5)).warnings[-1]
    with pytest.raises(NotAllowed, match="in quarantine"):
        trigger(cluster.store, acme, "tick")
    result = put(cluster, every(5, description="mended"))
    assert (result.verdict, result.job.state, result.job.reason) == ("changed", "active", None)
    cluster.advance(6)
    cluster.claim()
    assert len(cluster.deliver()) == 1


# -- deleting, pausing, resuming


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
    assert cluster.firings(tenant_of(cluster))[1].covers.count == 4


def test_a_job_whose_last_instant_passed_during_its_pause_completes_when_it_is_resumed(
    cluster: ManualCluster, acme: str
):
    put(cluster, {"at": (START + timedelta(seconds=5)).isoformat(), "task": "demo.task"})
    stopping.pause(cluster.store, acme, "tick")
    cluster.advance(10)
    stopping.resume(cluster.store, acme, "tick")
    cluster.claim()
    assert records(cluster) == [(5, 5, "skipped", "paused")]
    assert cluster.store.jobs(tenant_of(cluster).place).fetch("tick")["state"] == "completed"
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
    before = cluster.store.jobs(tenant_of(cluster).place).get("tick").nominal
    cluster.release()
    (begun,) = cluster.deliver()
    assert (begun.id, begun.snapshot.kwargs) == (result.firing.firing, {"a": 1})
    assert cluster.store.jobs(tenant_of(cluster).place).get("tick").nominal == before


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
