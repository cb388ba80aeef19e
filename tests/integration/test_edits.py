"""Edits against the nodes' passes: crashes after every step, somebody else's step in between, and what then holds."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from cluster.operations import stopping, tenants
from cluster.operations.triggering import trigger
from jobstore.edits import settle
from jobstore.errors import RevisionConflict
from tests.support.manual import ManualCluster
from tests.support.operating import (
    ZERO,
    Between,
    Crash,
    acme_of,
    document,
    every,
    overlaps,
    put,
    records,
    settle_down,
)


@pytest.fixture
def between() -> Between:
    return Between()


@pytest.fixture
def stepped(mongo_url: str, database_name: str, between: Between) -> Iterator[ManualCluster]:
    made = ManualCluster(mongo_url, database_name, points=between)
    tenants.create(made.store, "acme")
    yield made
    made.close()


# -- an edit that keeps the timetable


def test_an_edit_that_keeps_the_timetable_keeps_the_place_in_it(stepped: ManualCluster):
    put(stepped, every(10))
    stepped.advance(3)
    before = document(stepped)["nominal"]
    assert put(stepped, every(10, kwargs={"a": 1})).verdict == "changed"
    after = document(stepped)
    assert (after["nominal"], after["next_run_time"]) == (before, before)
    assert (after["revision"], after["timetable_rev"]) == (2, 1)
    assert "owed" not in after


@pytest.mark.parametrize("point", ["record.after", "advance.after", "mark.after", "publish.after"])
def test_what_a_node_left_half_way_begins_with_the_arguments_of_the_answered_edit(
    stepped: ManualCluster, between: Between, point: str
):
    put(stepped, every(1000, kwargs={"a": "old"}))
    stepped.advance(1000)
    between.crash_at(point)
    with pytest.raises(Crash):
        stepped.claim("node-a")
    put(stepped, every(1000, kwargs={"a": "new"}))
    begun = settle_down(stepped, 120)
    assert [firing.snapshot.kwargs for firing in begun] == [{"a": "new"}]
    assert [(start, state) for start, _, state, _ in records(stepped)] == [(1000, "succeeded")]


@pytest.mark.parametrize("point", ["claim.after", "record.after", "advance.after", "mark.after"])
def test_an_edit_in_the_middle_of_a_claim_pass_is_not_overtaken_by_it(
    stepped: ManualCluster, between: Between, point: str
):
    put(stepped, every(1000, kwargs={"a": "old"}))
    stepped.advance(1000)
    between.acts[point] = lambda: put(stepped, every(1000, kwargs={"a": "new"}))
    stepped.claim("node-a")
    begun = stepped.deliver() + settle_down(stepped, 120)
    assert [firing.snapshot.kwargs for firing in begun] == [{"a": "new"}]
    assert len(records(stepped)) == 1


def test_a_claimed_job_is_free_at_once_after_an_edit_and_not_at_the_end_of_its_lease(
    stepped: ManualCluster, between: Between
):
    put(stepped, every(1000))
    stepped.advance(1000)
    between.crash_at("claim.after")
    with pytest.raises(Crash):
        stepped.claim("node-a")
    put(stepped, every(1000, kwargs={"a": 1}))
    assert stepped.claim("node-b", nodes=("node-b",)) == 1


def test_a_waiting_retry_gets_the_new_arguments(stepped: ManualCluster):
    put(stepped, every(1000, kwargs={"a": "old"}, retry={"max_attempts": 2, "delay_s": 1}))
    stepped.advance(1000)
    stepped.claim()
    failed = stepped.begin(stepped.broker.messages.pop())
    stepped.store.ledger(acme_of(stepped).place).declare_dead(
        failed, retry_at=stepped.clock.now() + timedelta(seconds=1), reason="worker_gone", at=stepped.clock.now()
    )
    put(stepped, every(1000, kwargs={"a": "new"}, retry={"max_attempts": 2, "delay_s": 1}))
    stepped.advance(2)
    stepped.release()
    (begun,) = stepped.deliver()
    assert (begun.attempt, begun.snapshot.kwargs) == (2, {"a": "new"})


def test_a_waiting_manual_firing_survives_a_change_of_the_timetable_with_the_new_arguments(stepped: ManualCluster):
    put(stepped, every(1000, kwargs={"a": "old"}))
    trigger(stepped.store, "acme", "tick")
    put(stepped, every(999, kwargs={"a": "new"}))
    stepped.release()
    (begun,) = stepped.deliver()
    assert (begun.kind, begun.snapshot.kwargs) == ("manual", {"a": "new"})


# -- an edit that changes the timetable


def test_instants_that_a_new_timetable_takes_away_are_recorded_as_superseded(stepped: ManualCluster):
    put(stepped, every(10))
    stepped.advance(35)
    put(stepped, every(60))
    assert records(stepped) == [(10, 30, "superseded", "timetable_changed")]
    assert stepped.firings(acme_of(stepped))[0].covers.count == 3
    after = document(stepped)
    assert (after["nominal"] - ZERO, after["next_run_time"] - ZERO) == (60, 60)
    assert (after["decided_through"] - ZERO, after["timetable_rev"]) == (30, 2)
    assert "owed" not in after
    stepped.advance(25)
    stepped.claim()
    assert [firing.nominal - ZERO for firing in stepped.deliver()] == [60]


def test_a_new_timetable_leaves_what_was_admitted_and_ends_what_was_only_recorded(
    stepped: ManualCluster, between: Between
):
    put(stepped, every(10))
    stepped.advance(10)
    stepped.claim()
    stepped.advance(10)
    between.crash_at("record.after")
    with pytest.raises(Crash):
        stepped.claim()
    put(stepped, every(60))
    assert [(start, state) for start, _, state, _ in records(stepped)] == [(10, "dispatched"), (20, "superseded")]
    assert [firing.nominal - ZERO for firing in stepped.deliver()] == [10]


@pytest.mark.parametrize("point", ["edit.bumped", "edit.after", "bump.after", "settle.after"])
def test_an_edit_that_dies_after_any_step_leaves_every_instant_covered_once(
    stepped: ManualCluster, between: Between, point: str
):
    put(stepped, every(10))
    stepped.advance(35)
    between.crash_at(point)
    with pytest.raises(Crash):
        put(stepped, every(60))
    begun = settle_down(stepped)
    if point == "edit.bumped":  # nothing was changed
        assert begun[0].covers.start - ZERO == 10
        return
    assert records(stepped)[0] == (10, 30, "superseded", "timetable_changed")
    assert [firing.nominal - ZERO for firing in begun] == [60]
    assert "owed" not in document(stepped)


@pytest.mark.parametrize("point", ["edit.after", "bump.after", "settle.after"])
@pytest.mark.parametrize("second", [60.0, 7.0])
def test_a_second_edit_finishes_what_a_crash_left_of_the_first(
    stepped: ManualCluster, between: Between, point: str, second: float
):
    put(stepped, every(10))
    stepped.advance(35)
    between.crash_at(point)
    with pytest.raises(Crash):
        put(stepped, every(60))
    stepped.advance(1)
    put(stepped, every(second, kwargs={"a": 1}))
    assert records(stepped)[0][:3] == (10, 30, "superseded")
    begun = settle_down(stepped)
    assert begun[0].nominal - ZERO == (60 if second == 60 else 42)
    assert not overlaps(stepped.firings(acme_of(stepped)))


@pytest.mark.parametrize("point", ["edit.bumped", "edit.after", "bump.after", "settle.after"])
def test_a_claim_in_the_middle_of_an_edit_and_the_edit_agree(stepped: ManualCluster, between: Between, point: str):
    put(stepped, every(10))
    stepped.advance(35)
    between.acts[point] = lambda: stepped.claim("node-a")
    assert put(stepped, every(60)).verdict == "changed"
    begun = stepped.deliver() + settle_down(stepped)
    if point == "edit.bumped":  # the claim came first: 10 to 30 is under way
        assert [firing.nominal - ZERO for firing in begun] == [10, 60]
    else:
        assert [firing.nominal - ZERO for firing in begun] == [60]
    assert not overlaps(stepped.firings(acme_of(stepped)))
    assert "owed" not in document(stepped)


def test_two_editors_at_once_both_answer_and_one_of_them_is_last(stepped: ManualCluster, between: Between):
    put(stepped, every(10))
    stepped.advance(35)
    between.acts["edit.bumped"] = lambda: put(stepped, every(20))
    assert put(stepped, every(60)).job.revision == 3
    assert not overlaps(stepped.firings(acme_of(stepped)))
    assert [firing.nominal - ZERO for firing in settle_down(stepped)] == [60]


def test_an_editor_with_an_expected_revision_loses_to_one_that_was_quicker(stepped: ManualCluster, between: Between):
    put(stepped, every(10))
    between.acts["edit.bumped"] = lambda: put(stepped, every(20))
    with pytest.raises(RevisionConflict, match="has revision 2, not 1"):
        put(stepped, every(60), expected_revision=1)


def test_settling_goes_on_at_the_end_of_what_an_earlier_planner_recorded(stepped: ManualCluster, between: Between):
    """A planner recorded [10, 10] and died; then the edit, which also dies before it settles."""
    put(stepped, every(10))
    stepped.advance(10)
    between.crash_at("record.after")
    with pytest.raises(Crash):
        stepped.claim()
    stepped.advance(25)
    between.crash_at("edit.after")
    with pytest.raises(Crash):
        put(stepped, every(60))
    job = stepped.store.jobs(acme_of(stepped).place).get("tick")
    ledger = stepped.store.ledger(acme_of(stepped).place)
    for _ in range(2):  # twice does no harm
        assert settle(ledger, job, epoch=1, at=stepped.clock.now()) - ZERO == 30
    assert [row[:3] for row in records(stepped)] == [(10, 10, "superseded"), (20, 30, "superseded")]
    covers = stepped.firings(acme_of(stepped))[1].covers
    assert (covers.count, covers.exact) == (2, False)


@pytest.mark.parametrize("point", ["edit.bumped", "edit.after", "bump.after"])
def test_a_new_job_whose_writer_dies_is_there_or_not_and_fires_on_time_if_it_is(
    stepped: ManualCluster, between: Between, point: str
):
    between.crash_at(point)
    with pytest.raises(Crash):
        put(stepped, every(10))
    stepped.advance(10)
    assert stepped.claim() == (0 if point == "edit.bumped" else 1)
    assert put(stepped, every(10)).verdict == ("created" if point == "edit.bumped" else "unchanged")


@pytest.mark.parametrize("point", ["delete.after", "cancel.after"])
def test_a_delete_that_dies_half_way_is_finished_by_the_nodes(stepped: ManualCluster, between: Between, point: str):
    put(stepped, every(1000))
    stepped.advance(1000)
    stepped.claim()
    between.crash_at(point)
    with pytest.raises(Crash):
        stopping.delete(stepped.store, "acme", "tick")
    stepped.broker.messages.clear()
    stepped.advance(90)
    stepped.sweep()
    assert [row[2:] for row in records(stepped)] == [("cancelled", "job_deleted")]
    stepped.node().tending.run_once(("node-a",))
    assert stepped.store.jobs(acme_of(stepped).place).fetch("tick") is None


@pytest.mark.parametrize("point", ["trigger.after", "bump.after"])
def test_a_manual_firing_whose_writer_dies_runs_all_the_same(stepped: ManualCluster, between: Between, point: str):
    put(stepped, every(1000))
    between.crash_at(point)
    with pytest.raises(Crash):
        trigger(stepped.store, "acme", "tick", key="k")
    stepped.release()
    assert len(stepped.deliver()) == 1
    assert not trigger(stepped.store, "acme", "tick", key="k").created
