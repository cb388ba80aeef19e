"""Nothing begins after a suspension was answered; each rule that keeps it so, left out."""

import pytest

from tests.model.cases import FoundOut, Holds, as_params
from tests.model.suspension import Suspension

HOLDS = [
    Holds(name="suspend, resume, one dies, publishing at any time", model=Suspension(), at_least=70_000),
    Holds(name="suspend, resume, one dies, publishing in time", model=Suspension(bounded=True), at_least=80_000),
    Holds(
        name="suspend, resume, one dies, an attempt fails, publishing at any time",
        model=Suspension(failures=1),
        at_least=170_000,
    ),
    Holds(
        name="suspend, resume, an attempt fails, publishing in time",
        model=Suspension(failures=1, crashes=0, bounded=True),
        at_least=47_000,
    ),
    Holds(
        name="an instant comes after the resume",
        model=Suspension(crashes=0, due=(1, 8)),
        at_least=33_000,
    ),
    Holds(
        name="two nodes, suspended for good, publishing at any time",
        model=Suspension(nodes=2, crashes=0, script=("suspend",)),
        at_least=240_000,
    ),
]

QUIET = {"crashes": 0}
IN_TIME = {"crashes": 0, "bounded": True}
BEGUN, PUBLISHED = ("begun after the answer",), ("published after the answer",)
FOUND_OUT = [
    FoundOut(model=Suspension("begin-ignores-epoch", **QUIET), breaks=BEGUN),
    FoundOut(model=Suspension("worker-trusts-for-ever", **QUIET), breaks=BEGUN),
    FoundOut(model=Suspension("answers-without-waiting", **QUIET), breaks=BEGUN),
    FoundOut(model=Suspension("cancels-before-waiting", **QUIET), breaks=BEGUN),
    FoundOut(model=Suspension("answers-without-cancelling", **QUIET), breaks=BEGUN),
    FoundOut(model=Suspension("repeat-answers-at-once"), breaks=BEGUN),
    FoundOut(model=Suspension("waits-for-trust-only", **IN_TIME), breaks=PUBLISHED),
    FoundOut(model=Suspension("publishes-untrusted", **IN_TIME), breaks=PUBLISHED),
    FoundOut(model=Suspension("publishes-if-trusted", **IN_TIME), breaks=PUBLISHED),
    FoundOut(model=Suspension("resumes-at-once"), breaks=("lost",)),
]


@pytest.mark.parametrize("case", as_params(HOLDS))
def test_nothing_begins_after_a_suspension_was_answered(case: Holds) -> None:
    case.check()


@pytest.mark.parametrize("case", as_params(FOUND_OUT))
def test_a_suspension_with_one_rule_changed_is_found_out(case: FoundOut) -> None:
    case.check()


def test_every_mutant_of_the_suspension_is_tried() -> None:
    assert {case.name for case in FOUND_OUT} == set(Suspension.MUTANTS)
