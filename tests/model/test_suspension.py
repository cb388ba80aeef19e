"""Nothing begins after a suspension was answered; each rule that keeps it so, left out."""

import pytest

from tests.model.cases import FoundOut, Holds, as_params
from tests.model.suspension import Suspension

HOLDS = [
    Holds(name="suspend, resume, one dies, publishing at any time", model=Suspension(), at_least=195_000),
    Holds(name="suspend, resume, one dies, publishing in time", model=Suspension(bounded=True), at_least=220_000),
    Holds(
        name="suspended for good, one dies, an attempt fails, publishing at any time",
        model=Suspension(failures=1, resume=False),
        at_least=130_000,
    ),
    Holds(
        name="suspend, resume, an attempt fails, publishing in time",
        model=Suspension(failures=1, crashes=0, bounded=True),
        at_least=100_000,
    ),
    Holds(
        name="an instant comes after the resume",
        model=Suspension(crashes=0, due=(1, 8)),
        at_least=90_000,
    ),
    Holds(
        name="two nodes, suspended for good, publishing at any time",
        model=Suspension(nodes=2, crashes=0, resume=False),
        at_least=240_000,
    ),
]

QUIET = {"crashes": 0, "resume": False}
IN_TIME = {"crashes": 0, "resume": False, "bounded": True}
BEGUN, PUBLISHED = ("begun after the answer",), ("published after the answer",)
FOUND_OUT = [
    FoundOut(model=Suspension("begin-ignores-epoch", **QUIET), breaks=BEGUN),
    FoundOut(model=Suspension("worker-trusts-for-ever", **QUIET), breaks=BEGUN),
    FoundOut(model=Suspension("answers-without-waiting", **QUIET), breaks=BEGUN),
    FoundOut(model=Suspension("cancels-before-waiting", **QUIET), breaks=BEGUN),
    FoundOut(model=Suspension("answers-without-cancelling", **QUIET), breaks=BEGUN),
    FoundOut(model=Suspension("repeat-answers-at-once", resume=False), breaks=BEGUN),
    FoundOut(model=Suspension("waits-for-trust-only", **IN_TIME), breaks=PUBLISHED),
    FoundOut(model=Suspension("publishes-untrusted", **IN_TIME), breaks=PUBLISHED),
    FoundOut(model=Suspension("publishes-if-trusted", **IN_TIME), breaks=PUBLISHED),
    FoundOut(model=Suspension("resumes-at-once", crashes=0), breaks=("lost",)),
    FoundOut(model=Suspension("cancels-any-epoch", crashes=0, due=(1, 5)), breaks=("lost",)),
]


@pytest.mark.parametrize("case", as_params(HOLDS))
def test_nothing_begins_after_a_suspension_was_answered(case: Holds) -> None:
    case.check()


@pytest.mark.parametrize("case", as_params(FOUND_OUT))
def test_a_suspension_with_one_rule_changed_is_found_out(case: FoundOut) -> None:
    case.check()


def test_every_mutant_of_the_suspension_is_tried() -> None:
    assert {case.name for case in FOUND_OUT} == set(Suspension.MUTANTS)
