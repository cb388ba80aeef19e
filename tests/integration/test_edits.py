"""Edits against the nodes' passes: crashes after every step, somebody else's step in between, and what then holds."""

import random
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from cluster.operations import jobs, stopping, tenants
from cluster.operations.triggering import trigger
from jobstore.clock import to_posix
from jobstore.edits import settle
from jobstore.errors import RevisionConflict
from jobstore.firing import Firing
from jobstore.lifecycle import FINAL
from jobstore.tenant import Tenant
from tests.support.manual import START, ManualCluster

ZERO = to_posix(START)


class Crash(BaseException):
    """The process dies here."""


class Between:
    """Crash points that do something at the first hit of a name: die there, or let somebody else act."""

    def __init__(self) -> None:
        self.acts: dict[str, Callable[[], object]] = {}
        self.hits: list[str] = []

    def reach(self, name: str) -> None:
        self.hits.append(name)
        act = self.acts.pop(name, None)
        if act is not None:
            act()

    def crash_at(self, name: str) -> None:
        def die() -> None:
            raise Crash(name)

        self.acts[name] = die


@pytest.fixture
def between() -> Between:
    return Between()


@pytest.fixture
def stepped(mongo_url: str, database_name: str, between: Between) -> Any:
    made = ManualCluster(mongo_url, database_name, points=between)
    tenants.create(made.store, "acme")
    yield made
    made.close()


def every(seconds: float, **more: Any) -> dict[str, Any]:
    return {"every": f"{seconds:g}s", "start": START.isoformat(), "task": "demo.task", **more}


def put(cluster: ManualCluster, definition: dict[str, Any], **more: Any) -> Any:
    return jobs.put(cluster.store, "acme", "tick", definition, **more)


def acme(cluster: ManualCluster) -> Tenant:
    return cluster.store.tenants.get("acme")


def document(cluster: ManualCluster) -> dict[str, Any]:
    found = cluster.store.jobs(acme(cluster).place).fetch("tick")
    assert found is not None
    return found


def records(cluster: ManualCluster) -> list[tuple[float, float, str, str]]:
    return [(f.covers.start - ZERO, f.covers.through - ZERO, f.state, f.reason) for f in cluster.firings(acme(cluster))]


def settle_down(cluster: ManualCluster, seconds: int = 60, node: str = "node-z") -> list[Firing]:
    """Let one node and a worker go on; return what began."""
    begun = []
    for _ in range(seconds // 5):
        cluster.claim(node, nodes=(node,))
        cluster.release(node)
        cluster.sweep(node)
        begun += cluster.deliver()
        cluster.advance(2)
        cluster.release(node)  # what waits for a place gets it between two instants
        begun += cluster.deliver()
        cluster.advance(3)
    return begun


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
    stepped.store.ledger(acme(stepped).place).declare_dead(
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
    assert stepped.firings(acme(stepped))[0].covers.count == 3
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
    assert not overlaps(stepped.firings(acme(stepped)))


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
    assert not overlaps(stepped.firings(acme(stepped)))
    assert "owed" not in document(stepped)


def test_two_editors_at_once_both_answer_and_one_of_them_is_last(stepped: ManualCluster, between: Between):
    put(stepped, every(10))
    stepped.advance(35)
    between.acts["edit.bumped"] = lambda: put(stepped, every(20))
    assert put(stepped, every(60)).job.revision == 3
    assert not overlaps(stepped.firings(acme(stepped)))
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
    job = stepped.store.jobs(acme(stepped).place).get("tick")
    ledger = stepped.store.ledger(acme(stepped).place)
    for _ in range(2):  # twice does no harm
        assert settle(ledger, job, epoch=1, at=stepped.clock.now()) - ZERO == 30
    assert [row[:3] for row in records(stepped)] == [(10, 10, "superseded"), (20, 30, "superseded")]
    covers = stepped.firings(acme(stepped))[1].covers
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
    assert stepped.store.jobs(acme(stepped).place).fetch("tick") is None


@pytest.mark.parametrize("point", ["trigger.after", "bump.after"])
def test_a_manual_firing_whose_writer_dies_runs_all_the_same(stepped: ManualCluster, between: Between, point: str):
    put(stepped, every(1000))
    between.acts.clear()
    between.crash_at(point)
    with pytest.raises(Crash):
        trigger(stepped.store, "acme", "tick", key="k")
    stepped.release()
    assert len(stepped.deliver()) == 1
    assert not trigger(stepped.store, "acme", "tick", key="k").created


# -- everything at once


def overlaps(found: list[Firing]) -> list[tuple[str, str]]:
    scheduled = sorted((f for f in found if f.kind == "scheduled"), key=lambda f: f.covers.start)
    return [(a.id, b.id) for a, b in pairwise(scheduled) if b.covers.start <= a.covers.through]


class Chaos:
    """Random acts, other acts inside them at the crash points, crashes; and what must hold whatever happens."""

    PERIODS = (5, 6, 10, 30)

    def __init__(self, cluster: ManualCluster, seed: int) -> None:
        self.cluster = cluster
        self.rng = random.Random(seed)
        self.depth = 0
        self.period = 10
        self.value = 0
        self.answered = 0
        self.stopped = False
        self.log: list[str] = []
        self.timetables: list[tuple[float, str]] = []
        self.begun: list[tuple[str, int]] = []
        self.policy: dict[str, str] = [
            {},
            {"catch_up": "all"},
            {"catch_up": "all", "overlap": "buffer_one"},
            {"overlap": "buffer_one"},
        ][seed % 4]

    def reach(self, name: str) -> None:
        if self.depth >= 3 or self.rng.random() > 0.25:
            return
        if self.rng.random() < 0.3:
            self.log.append(f"crash at {name}")
            raise Crash(name)
        self.act()

    def act(self) -> None:
        self.depth += 1
        name = self.rng.choice(["claim", "claim", "release", "sweep", "edit", "change", "pause", "resume", "trigger"])
        self.log.append(f"{'  ' * self.depth}{name}")
        try:
            getattr(self, name)()
        except Crash:
            if self.depth > 1:
                raise
        finally:
            self.depth -= 1

    def now(self) -> float:
        return to_posix(self.cluster.clock.now()) - ZERO

    def look(self) -> None:
        """Note since when the job has the timetable it has; the clock stands still while somebody acts."""
        period = document(self.cluster)["spec"]["trigger"]["every"]
        if not self.timetables or self.timetables[-1][1] != period:
            self.timetables.append((self.now(), period))

    def due(self) -> set[float]:
        """Return every instant that the job has owed so far."""
        ends = [since for since, _ in self.timetables[1:]] + [self.now()]
        found: set[float] = set()
        for (since, period), until in zip(self.timetables, ends, strict=True):
            step = float(period.removesuffix("s"))
            found |= {n * step for n in range(int(until / step) + 1) if since < n * step <= until}
        return found

    def claim(self) -> None:
        node = self.rng.choice(["node-a", "node-b"])
        self.cluster.claim(node, nodes=(node,))

    def release(self) -> None:
        self.cluster.release(self.rng.choice(["node-a", "node-b"]))

    def sweep(self) -> None:
        self.cluster.sweep(self.rng.choice(["node-a", "node-b"]))

    def _put(self, period: int) -> None:
        self.value += 1
        result = put(self.cluster, every(period, kwargs={"n": self.value}, **self.policy))
        self.answered = max(self.answered, result.job.revision)

    def edit(self) -> None:
        self._put(int(document(self.cluster)["spec"]["trigger"]["every"].removesuffix("s")))

    def change(self) -> None:
        self._put(self.rng.choice(self.PERIODS))

    def pause(self) -> None:
        stopping.pause(self.cluster.store, "acme", "tick")
        self.stopped = document(self.cluster)["state"] == "paused"

    def resume(self) -> None:
        self.stopped = False
        stopping.resume(self.cluster.store, "acme", "tick")
        self.stopped = False

    def trigger(self) -> None:
        trigger(self.cluster.store, "acme", "tick")

    def deliver(self) -> None:
        """Let some of the messages arrive, in any order."""
        kept = self.cluster.broker.messages
        self.rng.shuffle(kept)
        count = self.rng.randrange(len(kept) + 1)
        self.cluster.broker.messages, late = kept[:count], kept[count:]
        for firing in self.cluster.deliver():
            assert firing.snapshot.revision >= self.answered, self.log
            assert not self.stopped or firing.kind == "manual", self.log
            self.begun.append((firing.id, firing.attempt))
        self.cluster.broker.messages = late


@pytest.mark.parametrize("seed", range(20))
def test_edits_pauses_and_crashes_in_any_order_lose_nothing_and_begin_nothing_old(
    stepped: ManualCluster, between: Between, seed: int
):
    chaos = Chaos(stepped, seed)
    put(stepped, every(10, kwargs={"n": 0}, **chaos.policy))
    chaos.look()
    between.reach = chaos.reach  # type: ignore[method-assign]
    for _ in range(25):
        chaos.act()
        chaos.look()
        chaos.deliver()
        stepped.advance(chaos.rng.choice([0, 0, 1, 3, 11]))
    chaos.depth = 99  # from now on nothing happens in between
    chaos.resume()
    settle_down(stepped, 120)
    stepped.claim()
    chaos.deliver()
    found = stepped.firings(acme(stepped))
    assert not overlaps(found), chaos.log
    scheduled = [f for f in found if f.kind == "scheduled"]
    for instant in chaos.due():
        covering = [f for f in scheduled if f.covers.start <= ZERO + instant <= f.covers.through]
        assert len(covering) == 1, (instant, chaos.timetables, chaos.log)
    assert len(set(chaos.begun)) == len(chaos.begun)
    still_open = [f for f in found if f.state not in FINAL and f.nominal - ZERO < chaos.now() - 60]
    assert not still_open, chaos.log
    assert "owed" not in document(stepped)
