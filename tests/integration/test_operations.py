"""Putting jobs on a real MongoDB: what is accepted, what is refused and why."""

from typing import Any

import pytest

from cluster.operations import firings, jobs, stopping, tenants
from cluster.operations.common import NotAllowed
from cluster.operations.jobs import TimetableEnded
from cluster.operations.triggering import trigger
from jobstore.clock import to_posix
from jobstore.errors import InvalidInput, NotFound, RevisionConflict, Unreadable
from tests.support.manual import ManualCluster
from tests.support.operating import HOSTILE, acme_of, every, put


@pytest.fixture
def acme(cluster: ManualCluster) -> str:
    tenants.create(cluster.store, "acme")
    return "acme"


def test_a_new_job_is_answered_with_its_words_and_its_next_five_instants(cluster: ManualCluster, acme: str):
    result = put(cluster, {"cron": "0 2 * * mon-fri", "timezone": "Europe/Paris", "task": "demo.task"})
    assert result.verdict == "created"
    assert result.job.when == "at 02:00 on Monday to Friday, Europe/Paris"
    assert [f"{at:%m-%dT%H}" for at in result.job.next] == ["11-26T01", "11-27T01", "11-30T01", "12-01T01", "12-02T01"]
    assert cluster.store.agenda.get(acme_of(cluster).uid).next <= to_posix(result.job.next[0])


def test_the_same_definition_again_changes_nothing_even_where_the_phase_is_left_open(cluster: ManualCluster, acme: str):
    definition = {"every": "7s", "task": "demo.task", "kwargs": {"b": 1, "a": [1, {"x": None}]}}
    assert put(cluster, definition).verdict == "created"
    before = cluster.store.jobs(acme_of(cluster).place).fetch("tick")
    cluster.advance(3)
    assert put(cluster, definition | {"kwargs": {"a": [1, {"x": None}], "b": 1}}).verdict == "unchanged"
    assert cluster.store.jobs(acme_of(cluster).place).fetch("tick") == before


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
    assert store.jobs(acme_of(cluster).place).count() == 0


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
    assert cluster.store.jobs(acme_of(cluster).place).count() == 0


def test_all_faults_of_a_definition_are_told_at_once(cluster: ManualCluster, acme: str):
    with pytest.raises(InvalidInput) as caught:
        put(cluster, {"every": "0s", "timezone": "Nowhere", "pol": "x", "max_instances": 0, "args": "abc"})
    assert len(caught.value.faults) == 6


def test_an_existing_job_is_not_touched_by_a_refused_edit(cluster: ManualCluster, acme: str):
    put(cluster, every(5))
    before = cluster.store.jobs(acme_of(cluster).place).fetch("tick")
    with pytest.raises(TimetableEnded):
        put(cluster, {"at": "2020-01-01T00:00", "task": "demo.task"})
    assert cluster.store.jobs(acme_of(cluster).place).fetch("tick") == before


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
    cluster.store.collections.jobs(acme_of(cluster).place).update_one({"_id": "tick"}, {"$set": {"spec": 7}})
    (row,) = jobs.list_jobs(cluster.store, acme)
    assert row.state == "unreadable"
    assert row.reason
    with pytest.raises(Unreadable, match="horarium job delete acme tick"):
        put(cluster, every(6))
    assert stopping.delete(cluster.store, acme, "tick").verdict == "deleted"
    assert jobs.list_jobs(cluster.store, acme) == []


def test_a_job_in_quarantine_comes_back_with_an_edit(cluster: ManualCluster, acme: str):
    put(cluster, every(5))
    store = cluster.store.jobs(acme_of(cluster).place)
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
