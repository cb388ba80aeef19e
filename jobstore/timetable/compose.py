"""The one order in which a rule is shifted, excluded from, bounded and counted."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from jobstore.timetable.arithmetic import Every, Once
from jobstore.timetable.combine import Limited, Within
from jobstore.timetable.exclusions import Excluding
from jobstore.timetable.policy import DEFAULT_DST, Dst
from jobstore.timetable.rule import Rule
from jobstore.timetable.shift import BusinessDays, Shifted
from jobstore.timetable.windows import Closed
from jobstore.timetable.zones import Zone

MOST_FIRINGS = 1_000


@dataclass(frozen=True, slots=True)
class Around:
    """What a specification says around its kind."""

    zone: Zone
    start: datetime | None = None
    end: datetime | None = None
    dst: Dst = DEFAULT_DST
    shift: BusinessDays | None = None
    closed: Iterable[Closed] = ()
    max_firings: int | None = None

    def compose(self, rule: Rule) -> Rule:
        """Return ``rule`` with all of it: moved to business days, then kept out, then bounded, then counted."""
        bounded_by_itself = isinstance(rule, Every | Once) and self.shift is None
        if self.shift is not None:
            rule = Shifted(rule, self.shift, self.zone, self.dst)
        if closed := tuple(self.closed):
            rule = Excluding(rule, self.zone, closed)
        if not bounded_by_itself:
            rule = Within.of(rule, self.start, self.end)
        return rule if self.max_firings is None else Limited(rule, self.max_firings)


def check_max_firings(value: object) -> int:
    """Return how many firings a timetable is limited to (raises ValueError)."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_FIRINGS:
        raise ValueError(f"max_firings is a whole number from 1 to {MOST_FIRINGS}, not {value!r:.40}")
    return value
