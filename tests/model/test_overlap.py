"""At most so many run, nothing is skipped needlessly, one waits; each rule that keeps it so, left out."""

import pytest

from tests.model.cases import FoundOut, Holds, as_params
from tests.model.overlap import Overlap

ONE = {"policy": "buffer_one", "max_instances": 1}
RACE = {"nodes": 2, "steals": 1}
HOLDS = [
    Holds(name="skip, two instances, two nodes, a steal, one dies", model=Overlap(**RACE, crashes=1), at_least=180_000),
    Holds(
        name="skip, two instances, one dies, an attempt fails", model=Overlap(crashes=1, failures=1), at_least=20_000
    ),
    Holds(name="skip, two instances, four instants, one dies", model=Overlap(instants=4, crashes=1), at_least=50_000),
    Holds(name="buffer one, four instants, one dies", model=Overlap(**ONE, instants=4, crashes=1), at_least=15_000),
    Holds(
        name="buffer one, two instances, four instants, one dies",
        model=Overlap(policy="buffer_one", instants=4, crashes=1),
        at_least=50_000,
    ),
    Holds(
        name="buffer one, two nodes, a steal, one dies, an attempt fails",
        model=Overlap(**ONE, **RACE, crashes=1, failures=1),
        at_least=120_000,
    ),
    Holds(
        name="buffer one, two releases, an attempt fails",
        model=Overlap(**ONE, releases=2, failures=1),
        at_least=38_000,
    ),
]

FOUND_OUT = [
    FoundOut(model=Overlap("slots-believed"), breaks=("needless skip",)),
    FoundOut(model=Overlap("buffered-believed", **ONE, instants=4), breaks=("needless skip",)),
    FoundOut(model=Overlap("buffered-not-noted", **ONE), breaks=("two wait",)),
    FoundOut(model=Overlap("advance-ignores-slots", **ONE), breaks=("slots",)),
    FoundOut(model=Overlap("admission-ignores-slots"), breaks=("slots",)),
    FoundOut(model=Overlap("release-skips-waiting", **ONE), breaks=("what waits was skipped",)),
    FoundOut(model=Overlap("buffer-overwritten", **ONE, **RACE), breaks=("forgotten",)),
]


@pytest.mark.parametrize("case", as_params(HOLDS))
def test_no_interleaving_overlaps_too_much_or_skips_needlessly(case: Holds) -> None:
    case.check()


@pytest.mark.parametrize("case", as_params(FOUND_OUT))
def test_overlap_with_one_rule_changed_is_found_out(case: FoundOut) -> None:
    case.check()


def test_every_mutant_of_the_overlap_is_tried() -> None:
    assert {case.name for case in FOUND_OUT} == set(Overlap.MUTANTS)
