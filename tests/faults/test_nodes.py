"""Nodes that die, stand still, are restarted, or are cut off."""

from collections.abc import Callable

import pytest

from tests.support.faults import CHAOS, Scale, Storm
from tests.support.waiting import eventually

SLACK = 1.5


@pytest.mark.faults
def test_kill_9_of_a_random_node_every_few_seconds(storm: Callable[..., Storm]):
    it = storm()
    it.staff()
    it.load()

    def strike() -> None:
        it.supervisor.kill(it.rng.choice(["node-1", "node-2", "node-3"]))
        it.keep_alive()

    it.row.figures["kills"] = it.while_running(strike, every=3.0)
    it.settle(within=180)
    firings = it.verdict()
    worst = max(it.lateness(firing) for firing in firings if firing.attempt == 1 and firing.released_at)
    assert worst <= it.lease + 1.0 + SLACK, f"taken over after {worst:.1f} s"


@pytest.mark.faults
def test_a_node_frozen_for_three_leases_between_record_and_advance(storm: Callable[..., Storm]):
    it = storm()
    it.staff(nodes=2)
    it.supervisor.start([it.node("frozen", {"HORARIUM_CRASH_POINTS": "record.after=pause@4"})])
    it.load()
    stopped = eventually(lambda: it.stands_still("frozen"), within=30, that="the node stops itself")
    assert stopped
    it.rest(3 * it.lease)
    it.supervisor.thaw("frozen")
    eventually(lambda: it.said("frozen", "WriteRefused", "advance"), within=20, that="its late writes are refused")
    it.settle(within=120)
    it.verdict()
    it.row.figures["refused"] = it.refused()


@pytest.mark.chaos
def test_no_fault_10_000_firings_over_three_nodes(storm: Callable[..., Storm]):
    it = storm(scale=Scale(20, 5, 100, {}))
    it.staff()
    it.load()
    it.settle(within=240)
    firings = it.verdict()
    assert {firing.state for firing in firings} == {"succeeded"}


@pytest.mark.chaos
def test_rolling_restart_of_all_nodes_and_workers(storm: Callable[..., Storm]):
    it = storm()
    it.staff()
    it.load()
    for name in ("node-1", "worker-1", "node-2", "worker-2", "node-3"):
        it.supervisor.restart(name)
    it.settle(within=120)
    firings = it.verdict()
    worst = max(it.lateness(firing) for firing in firings if firing.released_at)
    assert worst <= 1.0 + SLACK, f"late by {worst:.1f} s"
    assert {firing.state for firing in firings} == {"succeeded"}


NODE_POINTS = (
    "claim.after", "record.after", "advance.after", "mark.after", "publish.after", "raise.after", "sweep.read",
    "sweep.after",
)  # fmt: skip


@pytest.mark.chaos
def test_every_crash_point_of_a_node_one_at_a_time(storm: Callable[..., Storm]):
    it = storm()
    it.staff(nodes=1)
    it.load()
    for point in NODE_POINTS:
        name = f"dies-{point}"
        hits = it.rng.randint(1, 3)
        it.supervisor.start([it.node(name, {"HORARIUM_CRASH_POINTS": f"{point}=exit@{hits}"})])
        eventually(lambda name=name: it.supervisor.view(name).exit_code, within=40, that=f"it dies at {point}")
        assert it.supervisor.view(name).exit_code == 137
        it.once.add(name)
    it.settle(within=180)
    it.verdict()
    it.row.figures["points"] = len(NODE_POINTS)


@pytest.mark.faults
def test_crash_points_at_random_in_nodes_and_workers(storm: Callable[..., Storm]):
    it = storm()
    chance = "*=exit%0.03"
    it.supervisor.launch(
        [it.node(f"node-{number}", {"HORARIUM_CRASH_POINTS": chance}) for number in (1, 2)]
        + [it.node("node-3"), it.worker("worker-1", "--concurrency", "2", more={"HORARIUM_CRASH_POINTS": chance})]
        + [it.worker("worker-2", "--concurrency", "2")]
    )
    it.load()
    deaths = 0

    def strike() -> None:
        nonlocal deaths
        deaths += it.keep_alive()

    it.while_running(strike, every=0.5)
    it.settle(within=240 if CHAOS else 120)
    it.verdict()
    assert deaths > 0
    it.row.figures["deaths of nodes"] = deaths
