"""The checker itself: good histories pass, and each kind of damage is found."""

from dataclasses import replace

import pytest

from cluster.checking import History, check, check_lines, unfinished
from jobstore.clock import from_posix
from jobstore.firing import Covers, Firing
from tests.unit.test_planner import ZERO, a_job
from tests.unit.test_verdicts import a_firing


def covering(start: float, through: float | None = None, **fields) -> Firing:
    end = start if through is None else through
    covers = Covers(start=ZERO + start, through=ZERO + end, count=int((end - start) / 10) + 1)
    made = a_firing(id=f"acme-x:{start}", nominal=ZERO + start, covers=covers, state="succeeded", fence=1)
    return replace(made, **fields)


def history(*firings: Firing, nominal: float | None = 40, until: float = 45) -> History:
    return History(
        job="acme/job",
        timetable=a_job().timetable,
        first=ZERO,
        nominal=None if nominal is None else ZERO + nominal,
        until=ZERO + until,
        firings=firings,
    )


def kinds(findings) -> list[str]:
    return [finding.kind for finding in findings]


def test_a_whole_chain_is_good():
    assert check(history(covering(0), covering(10, 20), covering(30))) == []


def test_a_chain_that_is_on_its_way_is_good():
    assert check(history(covering(0), nominal=10, until=45)) == []


@pytest.mark.parametrize(
    ("firings", "found"),
    [
        ((covering(0), covering(20), covering(30)), ["lost"]),
        ((covering(10), covering(20), covering(30)), ["lost"]),
        ((covering(0), covering(10, 20), covering(20), covering(30)), ["twice"]),
        ((covering(0), covering(10), covering(20)), ["lost"]),
        ((), ["lost"]),
    ],
)
def test_gaps_and_double_covers_are_found(firings, found):
    assert kinds(check(history(*firings))) == found


def test_an_attempt_that_ended_twice_is_found():
    entry = {"attempt": 1, "state": "succeeded"}
    twice = covering(0, attempts=(entry, entry))
    assert kinds(check(history(twice, nominal=10))) == ["twice"]


def test_a_begin_before_its_nominal_is_found():
    early = covering(0, started_at=from_posix(ZERO - 1))
    assert kinds(check(history(early, nominal=10))) == ["early"]


def test_what_stays_open_is_found():
    hanging = covering(0, state="dispatched")
    assert kinds(unfinished(history(hanging), older_than=ZERO + 60)) == ["open"]
    assert unfinished(history(hanging), older_than=ZERO) == []


def test_lines_of_the_tasks_are_held_against_the_ledger():
    good = covering(0)
    line = {"firing": good.id, "attempt": 1, "event": "begin"}
    assert check_lines([good], [line]) == []
    assert kinds(check_lines([good], [line, line])) == ["twice"]
    assert kinds(check_lines([good], [])) == ["lost"]
    assert kinds(check_lines([covering(0, state="skipped")], [line])) == ["twice"]
