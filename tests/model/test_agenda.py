"""The agenda is never late; each rule that keeps it so, left out."""

import pytest

from tests.model.agenda import Agenda
from tests.model.cases import FoundOut, Holds, as_params
from tests.model.explore import DEAD_END

HOLDS = [
    Holds(name="two writers, one claimer, one dies", model=Agenda(claimers=1), at_least=60_000),
    Holds(name="a new job, two claimers, one dies", model=Agenda(writers=(0,)), at_least=150_000),
    Holds(name="an edit, two claimers, one dies", model=Agenda(writers=(1,)), at_least=19_000),
    Holds(
        name="a new job, two claimers, none dies, and every raise changes seq too",
        model=Agenda(writers=(0,), crashes=0, raise_bumps=True),
        at_least=24_000,
    ),
]

NEW = {"writers": (0,)}
FOUND_OUT = [
    *(
        FoundOut(model=Agenda(mutant, **NEW), breaks=("late",))
        for mutant in Agenda.MUTANTS
        if mutant not in ("no-full-look", "believes-refused-advance")
    ),
    FoundOut(model=Agenda("believes-refused-advance", writers=(1,)), breaks=("late",)),
    FoundOut(model=Agenda("no-full-look", claimers=1), breaks=(DEAD_END,)),
]


@pytest.mark.parametrize("case", as_params(HOLDS))
def test_no_interleaving_makes_the_agenda_late(case: Holds) -> None:
    case.check()


@pytest.mark.parametrize("case", as_params(FOUND_OUT))
def test_an_agenda_with_one_rule_changed_is_found_out(case: FoundOut) -> None:
    case.check()


def test_every_mutant_of_the_agenda_is_tried() -> None:
    assert {case.name for case in FOUND_OUT} == set(Agenda.MUTANTS)
