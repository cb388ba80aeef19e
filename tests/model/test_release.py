"""What waits goes when it may and not after a stop; each rule of release, left out."""

import pytest

from tests.model.cases import FoundOut, Holds, as_params
from tests.model.explore import DEAD_END
from tests.model.release import Release

PAUSE = {"script": ("pause",)}
RESUME = {"script": ("pause", "resume")}
HOLDS = [
    Holds(name="one dies, an attempt fails", model=Release(crashes=1, failures=1), at_least=45_000),
    Holds(name="a living worker is declared dead, a copy", model=Release(verdicts=1, copies=1), at_least=48_000),
    Holds(name="pause, resume, one dies", model=Release(**RESUME, crashes=1), at_least=60_000),
    Holds(name="pause, resume, an attempt fails", model=Release(**RESUME, failures=1), at_least=50_000),
    Holds(
        name="delete, one dies, an attempt fails",
        model=Release(script=("delete",), crashes=1, failures=1),
        at_least=270_000,
    ),
    Holds(name="two releases, an attempt fails", model=Release(releases=2, failures=1), at_least=150_000),
    Holds(name="two releases, pause, resume", model=Release(**RESUME, releases=2), at_least=75_000),
    Holds(
        name="a message is lost, a living worker is declared dead, an attempt fails, no trigger",
        model=Release(manual=False, failures=1, verdicts=1, losses=1),
        at_least=2_000,
    ),
]

FOUND_OUT = [
    FoundOut(model=Release("removed-at-last-advance"), breaks=("lost", DEAD_END)),
    FoundOut(model=Release("sweep-publishes-waiting", failures=1), breaks=("early", "no fence")),
    FoundOut(model=Release("manual-by-timetable"), breaks=("lost",)),
    FoundOut(model=Release("retry-frees-slot", failures=1), breaks=("slots",)),
    FoundOut(model=Release("look-drops-waiting"), breaks=("slots", "fence does not grow")),
    FoundOut(model=Release("retry-stays-admitted", failures=1), breaks=("fence does not grow",)),
    FoundOut(model=Release("mark-after-publish"), breaks=("no fence",)),
    FoundOut(model=Release("marks-any-attempt", failures=1), breaks=("early", "fence does not grow")),
    FoundOut(model=Release("admission-ignores-stop", **PAUSE), breaks=("begun after a stop",)),
    FoundOut(model=Release("stop-by-state", **RESUME), breaks=("begun after a stop",)),
    FoundOut(model=Release("pause-cancels-manual", **PAUSE), breaks=("lost",)),
    FoundOut(model=Release("stop-without-cancel", **PAUSE), breaks=("begun after a stop",)),
    FoundOut(model=Release("advance-ignores-slots"), breaks=("slots",)),
]


@pytest.mark.parametrize("case", as_params(HOLDS))
def test_no_interleaving_breaks_release(case: Holds) -> None:
    case.check()


@pytest.mark.parametrize("case", as_params(FOUND_OUT))
def test_a_release_with_one_rule_changed_is_found_out(case: FoundOut) -> None:
    case.check()


def test_every_mutant_of_release_is_tried() -> None:
    assert {case.name for case in FOUND_OUT} == set(Release.MUTANTS)
