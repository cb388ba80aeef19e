"""What followed a death, read from the ledger."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from cluster.dev.scene import aftermath_text, takeover_text
from cluster.dev.takeover import Death, aftermath, takeover, turns
from jobstore.firing import Firing
from tests.unit.devmode.scenes import at, covering

DEATH = Death("node-a", at(15))


def released(start: float, by: str, after: float, uid: str = "acme-x", **fields: Any) -> Firing:
    when = at(start + after)
    return covering(start, id=f"{uid}:{start}", uid=uid, released_by=by, released_at=when, **fields)


def test_the_first_release_by_another_tells_how_long_it_took() -> None:
    firings = [released(10, "node-a", 0.02), released(20, "node-b", 2.1), released(30, "node-b", 0.02)]
    found = takeover(DEATH, firings, at(31))
    assert (found.by, found.after_s, found.latest_s, found.settled) == ("node-b", 2.1, 2.1, True)


def test_what_was_owed_before_the_death_waits_since_the_death() -> None:
    firings = [released(0, "node-a", 0.02), released(10, "node-b", 12.0)]
    assert takeover(DEATH, firings, at(23)).after_s == 7.0


def test_the_longest_wait_is_told_too() -> None:
    firings = [
        released(10, "node-a", 0.02),
        released(10.5, "node-a", 0.02, uid="globex-y"),
        released(16, "node-b", 2.0),
        released(15.5, "node-b", 9.5, uid="globex-y"),
    ]
    found = takeover(DEATH, firings, at(26))
    assert (found.after_s, found.latest_s) == (2.0, 9.5)


def test_while_nobody_has_taken_over_that_is_what_it_says() -> None:
    found = takeover(DEATH, [released(10, "node-a", 0.02)], at(17))
    assert (found.by, found.settled) == (None, False)
    assert takeover_text(found, 0, 0) == ("node-a killed; nobody has taken over yet", None)


def test_a_node_whose_turn_nothing_was_leaves_nothing_to_take_over() -> None:
    found = takeover(DEATH, [released(10, "node-b", 0.02), released(20, "node-b", 0.02)], at(28))
    assert takeover_text(found, 0, 0) == ("node-a killed; nothing was its turn", True)


def test_what_the_dead_node_did_long_ago_is_nobodys_turn() -> None:
    assert turns([released(10, "node-a", 0.02)], at(200)) == {}


def test_a_loss_is_not_told_as_a_success() -> None:
    firings = [released(10, "node-a", 0.02), released(20, "node-b", 2.1)]
    said, good = takeover_text(takeover(DEATH, firings, at(31)), 1, 0)
    assert said == "node-a killed; node-b took over after 2.1 s; lost 1, twice 0"
    assert good is False


def test_a_worker_that_ran_nothing_is_missed_by_nobody() -> None:
    assert aftermath_text(aftermath(Death("worker-1", at(15)), [covering(0)])) == (
        "worker-1 killed; it ran nothing",
        True,
    )


def test_the_run_of_a_dead_worker_waits_and_is_then_given_up() -> None:
    death = Death("worker-1", at(15), "ended with code -11")
    running = covering(10, state="running")
    assert aftermath_text(aftermath(death, [running])) == (
        "worker-1 ended with code -11; its run begins again once it counts as dead (30 s)",
        None,
    )
    lost = {"attempt": 1, "state": "lost", "worker": running.worker, "at": at(46)}
    again = replace(running, attempt=2, attempts=(lost,), worker="worker-2-1-abcdef", started_at=at(47))
    assert aftermath_text(aftermath(death, [again])) == ("worker-1 ended with code -11; its run was given up", True)


def test_what_a_restarted_worker_runs_is_not_the_dead_ones() -> None:
    death = Death("worker-1", at(15))
    later = covering(20, state="running", started_at=at(15) + timedelta(seconds=5))
    assert aftermath(death, [later]).waiting == 0
