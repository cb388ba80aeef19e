"""A full window starves nobody and leaks no place; each rule that keeps it so, left out."""

import pytest

from tests.model.cases import FoundOut, Holds, as_params
from tests.model.explore import DEAD_END
from tests.model.window import Window

QUIET = {"crashes": 0, "losses": 0}
HOLDS = [
    Holds(name="a node dies, a message is lost", model=Window(), at_least=75_000),
    Holds(name="the same, and the first tenant is stuck", model=Window(stuck=True), at_least=75_000),
    Holds(
        name="a larger window, a node dies",
        model=Window(window=4, firings=(7, 2), losses=0),
        at_least=170_000,
    ),
    Holds(
        name="three tenants, the first is stuck",
        model=Window(firings=(4, 1, 1), stuck=True, **QUIET),
        at_least=44_000,
    ),
]

FOUND_OUT = [
    FoundOut(model=Window("no-own-places", stuck=True, **QUIET), breaks=(DEAD_END,)),
    FoundOut(model=Window("own-places-shared", stuck=True, nodes=1, **QUIET), breaks=(DEAD_END,)),
    FoundOut(model=Window("full-stops-claiming", stuck=True, **QUIET), breaks=(DEAD_END,)),
    FoundOut(model=Window("counter", losses=0), breaks=("leaked",)),
    FoundOut(model=Window("counts-messages", crashes=0), breaks=("overfull",)),
    FoundOut(model=Window("whole-window-each", **QUIET), breaks=("overfull",)),
    FoundOut(model=Window("counts-once", **QUIET), breaks=(DEAD_END,)),
    FoundOut(model=Window("marks-not-added", **QUIET), breaks=("overfull",)),
    FoundOut(model=Window("no-republish", crashes=0), breaks=(DEAD_END,)),
]


@pytest.mark.parametrize("case", as_params(HOLDS))
def test_a_full_window_starves_nobody_and_leaks_no_place(case: Holds) -> None:
    case.check()


@pytest.mark.parametrize("case", as_params(FOUND_OUT))
def test_a_window_with_one_rule_changed_is_found_out(case: FoundOut) -> None:
    case.check()


def test_every_mutant_of_the_window_is_tried() -> None:
    assert {case.name for case in FOUND_OUT} == set(Window.MUTANTS)
