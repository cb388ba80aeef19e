"""Edits lose no instant and let nothing run that they replaced; each of their rules, left out."""

import pytest

from tests.model.cases import FoundOut, Holds, as_params
from tests.model.edits import Edits
from tests.model.explore import DEAD_END

KEEP = {"scripts": (("keep",),), "crashes": 0, "nodes": 1}
CHANGE = {"scripts": (("change",),), "crashes": 0, "nodes": 1}
CRASH = {"scripts": (("change",),), "crashes": 1, "nodes": 1}
TWO = {"scripts": (("change", "change"),), "nodes": 1}
HOLDS = [
    Holds(name="keeps the timetable, one dies", model=Edits(nodes=1), at_least=100_000),
    Holds(name="keeps the timetable, two nodes", model=Edits(crashes=0), at_least=190_000),
    Holds(name="changes the timetable, one dies", model=Edits(**CRASH), at_least=100_000),
    Holds(
        name="changes the timetable, two nodes, one dies",
        model=Edits(scripts=(("change",),)),
        at_least=320_000,
        slow=True,
    ),
    Holds(name="changes the timetable twice, one dies", model=Edits(**TWO), at_least=440_000, slow=True),
    Holds(
        name="keeps, then changes the timetable",
        model=Edits(scripts=(("keep", "change"),), nodes=1, crashes=0),
        at_least=130_000,
    ),
    Holds(
        name="changes, then keeps the timetable, one dies",
        model=Edits(scripts=(("change", "keep"),), nodes=1, busy=False),
        at_least=340_000,
    ),
    Holds(
        name="two changes race",
        model=Edits(scripts=(("change",), ("change",)), nodes=1, busy=False, crashes=0),
        at_least=450_000,
        slow=True,
    ),
]

FOUND_OUT = [
    FoundOut(model=Edits("duplicate-not-refreshed", **KEEP), breaks=("old arguments",)),
    FoundOut(model=Edits("refresh-unadmitted-only", **KEEP), breaks=("old arguments",)),
    FoundOut(model=Edits("stale-by-revision", **KEEP), breaks=("lost",)),
    FoundOut(model=Edits("stale-first", **KEEP), breaks=("lost",)),
    FoundOut(model=Edits("edit-keeps-claim", **KEEP), breaks=("old arguments",)),
    FoundOut(model=Edits("settle-before-change", **CHANGE), breaks=("lost",)),
    FoundOut(model=Edits("owed-not-in-job", **CRASH), breaks=("gap", "covered twice")),
    FoundOut(model=Edits("edit-overwrites-owed", **TWO), breaks=("gap",)),
    FoundOut(model=Edits("plan-before-settling", **CHANGE), breaks=(DEAD_END,)),
    FoundOut(model=Edits("admission-ignores-edit", **CHANGE), breaks=("old arguments",)),
]


@pytest.mark.parametrize("case", as_params(HOLDS))
def test_no_interleaving_of_edits_loses_or_runs_what_was_replaced(case: Holds) -> None:
    case.check()


@pytest.mark.parametrize("case", as_params(FOUND_OUT))
def test_edits_with_one_rule_changed_are_found_out(case: FoundOut) -> None:
    case.check()


def test_every_mutant_of_the_edits_is_tried() -> None:
    assert {case.name for case in FOUND_OUT} == set(Edits.MUTANTS)
