"""The cases that the tests are made of: a configuration that holds, a mutant that is found out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.model.explore import Model, Report, explore


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """A configuration in which the protocol keeps every promise, and about how many states it has at least."""

    name: str
    model: Model
    at_least: int
    slow: bool = False

    def check(self) -> Report:
        """Explore it (raises AssertionError)."""
        report = explore(self.model)
        assert not report.broken, str(report)
        assert report.states >= self.at_least, f"the model shrank to {report}"
        return report


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOut:
    """A mutant, in a configuration that finds it out, and which invariants it may break."""

    model: Model
    breaks: Collection[str]

    @property
    def name(self) -> str:
        """Return the mutant's name."""
        return str(self.model.mutant)

    def check(self) -> Report:
        """Explore it (raises AssertionError)."""
        report = explore(self.model)
        assert set(report.broken) & set(self.breaks), f"{self.name} was not found out: {report}"
        return report


def as_params(cases: Sequence[Holds | FoundOut]) -> list[Any]:
    """Return one parameter a case, named after it; a crowded machine gets more time than other tests do."""
    patience = pytest.mark.timeout(900)
    return [
        pytest.param(
            case, id=case.name, marks=[patience, *([pytest.mark.slow] if isinstance(case, Holds) and case.slow else [])]
        )
        for case in cases
    ]
