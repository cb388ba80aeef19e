"""The core protocol, in configurations that differ in what goes wrong; and each of its rules, left out."""

import pytest

from tests.model.cases import FoundOut, Holds, as_params
from tests.model.core import Core
from tests.model.explore import DEAD_END

HOLDS = [
    Holds(
        name="a node or worker dies, a message is lost, a claim is stolen",
        model=Core(crashes=1, losses=1, steals=1),
        at_least=95_000,
    ),
    Holds(
        name="a message is copied, a claim is stolen, a living worker is declared dead",
        model=Core(copies=1, steals=1, verdicts=1),
        at_least=200_000,
    ),
    Holds(
        name="two instances, one dies, a message is copied",
        model=Core(max_instances=2, crashes=1, copies=1),
        at_least=90_000,
    ),
    Holds(
        name="delete, one dies, a claim is stolen",
        model=Core(delete=True, crashes=1, steals=1),
        at_least=290_000,
    ),
    Holds(
        name="delete, a message is lost, one copied, a living worker is declared dead",
        model=Core(delete=True, losses=1, copies=1, verdicts=1),
        at_least=300_000,
    ),
    Holds(
        name="delete, two sweeps, one dies",
        model=Core(delete=True, other_sweep=True, crashes=1, verdicts=1),
        at_least=160_000,
    ),
    Holds(
        name="the job is added while the sweep looks, one dies",
        model=Core(appears=True, crashes=1),
        at_least=6_000,
    ),
]

CRASH = {"crashes": 1, "losses": 1, "steals": 1}
VERDICT = {"copies": 1, "losses": 1, "verdicts": 1}
DELETE = {"delete": True, "other_sweep": True, "verdicts": 1}
FOUND_OUT = [
    FoundOut(model=Core("record-replaces", **CRASH), breaks=("final state left", "begun twice")),
    FoundOut(model=Core("begin-in-any-state", **VERDICT), breaks=("begun twice",)),
    FoundOut(model=Core("begin-after-cancel", **DELETE), breaks=("begun after the delete", "final state left")),
    FoundOut(model=Core("finish-without-token", **VERDICT), breaks=("finished by another",)),
    FoundOut(model=Core("advance-before-record", max_instances=2, crashes=1), breaks=(DEAD_END,)),
    FoundOut(model=Core("no-pending-sweep", **CRASH), breaks=(DEAD_END,)),
    FoundOut(model=Core("no-republish", **CRASH), breaks=(DEAD_END,)),
    FoundOut(model=Core("slots-not-looked-up"), breaks=("needless skip",)),
    FoundOut(model=Core("slots-not-counted"), breaks=("slots",)),
    FoundOut(model=Core("delete-without-cancel", **DELETE), breaks=("begun after the delete",)),
    FoundOut(model=Core("sweep-ignores-delete", **DELETE), breaks=("begun after the delete",)),
    FoundOut(model=Core("sweep-admits-anything"), breaks=("slots",)),
    FoundOut(model=Core("dispatch-before-advance", **DELETE), breaks=("begun after the delete",)),
    FoundOut(model=Core("verdict-without-compare", **VERDICT), breaks=("final state left",)),
    FoundOut(model=Core("sweep-reads-job-first", appears=True), breaks=(DEAD_END,)),
]


@pytest.mark.parametrize("case", as_params(HOLDS))
def test_no_interleaving_breaks_the_core(case: Holds) -> None:
    case.check()


@pytest.mark.parametrize("case", as_params(FOUND_OUT))
def test_a_core_with_one_rule_changed_is_found_out(case: FoundOut) -> None:
    case.check()


def test_every_mutant_of_the_core_is_tried() -> None:
    assert {case.name for case in FOUND_OUT} == set(Core.MUTANTS)
