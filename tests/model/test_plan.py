"""Every instant is covered by exactly one record; each rule that keeps it so, left out."""

import pytest

from tests.model.cases import FoundOut, Holds, as_params
from tests.model.plan import Plan

ALL = {"catch_up": "all", "grace": 2}
HOLDS = [
    Holds(name="latest, no grace", model=Plan(), at_least=230_000),
    Holds(name="all, grace 2: a range is missed, the rest run one by one", model=Plan(**ALL), at_least=90_000),
]
FOUND_OUT = [
    FoundOut(model=Plan("own-plan"), breaks=("gap",)),
    FoundOut(model=Plan("decided-through-ignored"), breaks=("covered twice",)),
    FoundOut(model=Plan("unordered", **ALL), breaks=("gap", "covered twice")),
    FoundOut(model=Plan("unguarded-advance"), breaks=("backwards",)),
]


@pytest.mark.parametrize("case", as_params(HOLDS))
def test_no_interleaving_leaves_a_gap_or_covers_twice(case: Holds) -> None:
    case.check()


@pytest.mark.parametrize("case", as_params(FOUND_OUT))
def test_a_plan_with_one_rule_changed_is_found_out(case: FoundOut) -> None:
    case.check()


def test_every_mutant_of_the_plan_is_tried() -> None:
    assert {case.name for case in FOUND_OUT} == set(Plan.MUTANTS)
