"""What every kind of timetable can do; the façade asks nothing else of it."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Literal

from jobstore.errors import TriggerStuck
from jobstore.timetable.limits import COUNTED_STEPS, Meter

Document = dict[str, object]
Mark = Literal["dst_gap", "dst_overlap", "holiday_skipped", "excluded", "clamped", "shifted"]
"""What a preview says about an instant: moved by or left out in a gap, shown twice, left out, or moved."""


class Rule(ABC):
    """A set of instants.  Immutable; all instants are aware and UTC; two equal rules write equal documents."""

    __slots__ = ()

    @abstractmethod
    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the first nominal later than ``instant``, None when there is none."""

    @abstractmethod
    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last nominal that is not later than ``instant``, None when there is none."""

    def count(self, first: datetime, through: datetime, meter: Meter) -> tuple[int, bool]:
        """Return how many nominals lie in ``[first, through]``, and whether that is exact or a lower bound."""
        return count_one_by_one(self, first, through, meter)

    @abstractmethod
    def document(self) -> Document:
        """Return the rule as a specification in which everything is explicit (without the version)."""

    @abstractmethod
    def words(self) -> str:
        """Return the rule as words."""

    def marks(self, instant: datetime) -> frozenset[Mark]:  # noqa: ARG002 - most have none
        """Return what is remarkable about an instant that is named."""
        return frozenset()

    def unfiltered(self) -> "Rule":
        """Return the rule with what policies and exclusions leave out: the instants a preview shows as skipped."""
        return self

    def why_not(self, instant: datetime) -> Mark | None:  # noqa: ARG002 - most leave nothing out
        """Return why an instant of ``unfiltered`` is not named."""
        return None


def count_one_by_one(rule: Rule, first: datetime, through: datetime, meter: Meter) -> tuple[int, bool]:
    """Count the nominals of ``rule`` in ``[first, through]`` by naming each, up to a bound."""
    found = 1 if rule.last(first, meter) == first else 0
    instant: datetime | None = first
    try:
        while instant is not None and found <= COUNTED_STEPS:
            instant = rule.after(instant, meter)
            if instant is None or instant > through:
                return found, True
            found += 1
    except TriggerStuck:
        # a lower bound is an answer; the caller must not lose the span for want of an exact number
        return found, False
    return found, False
