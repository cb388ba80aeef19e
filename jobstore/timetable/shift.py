"""Business days: instants on other days move to the next, the previous or the nearest one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

from jobstore.timetable.civil import civil_of, instants_of, read_civil
from jobstore.timetable.limits import TICK, Meter
from jobstore.timetable.policy import Dst
from jobstore.timetable.rule import Document, Mark, Rule
from jobstore.timetable.windows import WEEKDAYS, ClosedDays
from jobstore.timetable.zones import Zone, zone_text

Direction = Literal["next", "previous", "nearest"]

_DAY = timedelta(days=1)
_LONGEST_CLOSURE = 100


@dataclass(frozen=True, slots=True)
class BusinessDays:
    """Every day that is not on the weekend (Sunday is 0) and in no calendar of holidays."""

    to: Direction
    weekend: frozenset[int]
    holidays: tuple[ClosedDays, ...]

    def open(self, day: date) -> bool:
        """Whether ``day`` is a business day."""
        return day.isoweekday() % 7 not in self.weekend and not any(day in each for each in self.holidays)

    def target(self, day: date) -> date | None:
        """Return the business day that ``day`` moves to; of two that are equally near the later one.

        None when there is none within a hundred days.
        """
        for distance in range(_LONGEST_CLOSURE):
            if self.to != "previous" and self.open(day + distance * _DAY):
                return day + distance * _DAY
            if self.to != "next" and self.open(day - distance * _DAY):
                return day - distance * _DAY
        return None

    def sources(self, day: date) -> tuple[date, date]:
        """Return the first and the last of the days in a row that move to the business day ``day``."""
        first = last = day
        while self.target(first - _DAY) == day:
            first -= _DAY
        while self.target(last + _DAY) == day:
            last += _DAY
        return first, last

    def reach_back(self, day: date) -> date:
        """Return the first of the days in a row that move to ``day`` or later."""
        first = day
        while (target := self.target(first - _DAY)) is not None and target >= day:
            first -= _DAY
        return first

    def reach_ahead(self, day: date) -> date:
        """Return the last of the days in a row that move to ``day`` or earlier."""
        last = day
        while (target := self.target(last + _DAY)) is not None and target <= day:
            last += _DAY
        return last

    def document(self) -> Document:
        """Return direction, weekend and holidays."""
        weekend = [WEEKDAYS[day % 7] for day in sorted(day or 7 for day in self.weekend)]
        found: Document = {"to": self.to, "weekend": weekend}
        return found | ({"holidays": [each.document() for each in self.holidays]} if self.holidays else {})

    def words(self) -> str:
        """Return ", moved to the next business day"."""
        holidays = f" (closed on {'; '.join(each.words() for each in self.holidays)})" if self.holidays else ""
        return f", moved to the {self.to} business day{holidays}"


@dataclass(frozen=True, slots=True)
class Shifted(Rule):
    """The instants of ``rule``, each moved to a business day of ``zone`` at the same wall-clock time.

    Two that come to the same instant are one.  What moves into a clock change follows ``dst``.
    """

    rule: Rule
    days: BusinessDays
    zone: Zone
    dst: Dst

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the first instant later than ``instant``, looking at one business day and its sources at a time."""
        today = civil_of(instant, self.zone)[0].date()
        bound = self._starts(self.days.reach_back(today - _DAY)) - TICK
        best: datetime | None = None
        while True:
            meter.step()
            source = self.rule.after(bound, meter)
            if source is None:
                return best
            day = self._day(source)
            target = self.days.target(day)
            if best is not None and target is not None and self._starts(target) > best:
                return best
            last = day
            if target is not None:
                first, last = self.days.sources(target)
                later = [each for each in self._moved(target, first, last, instant, meter) if each > instant]
                best = min([*later, *([best] if best is not None else [])], default=None)
            bound = max(source, self._starts(last + _DAY) - TICK)

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last instant that is not later than ``instant``."""
        today = civil_of(instant, self.zone)[0].date()
        bound = self._ends(self.days.reach_ahead(today + _DAY)) - TICK
        best: datetime | None = None
        while True:
            meter.step()
            source = self.rule.last(bound, meter)
            if source is None:
                return best
            day = self._day(source)
            target = self.days.target(day)
            if best is not None and target is not None and self._ends(target) <= best:
                return best
            first = day
            if target is not None:
                first, last = self.days.sources(target)
                earlier = self._earlier(target, first, last, instant, meter)
                best = max([*earlier, *([best] if best is not None else [])], default=None)
            bound = min(source, self._ends(first - _DAY)) - TICK

    def marks(self, instant: datetime) -> frozenset[Mark]:
        """Return whether the instant came from another day, and what the rule says of it if it did not."""
        if self.rule.last(instant, Meter()) != instant:
            return frozenset({"shifted"})
        return self.rule.marks(instant)

    def unfiltered(self) -> Rule:
        """Return the same of the rule with nothing left out."""
        return Shifted(self.rule.unfiltered(), self.days, self.zone, self.dst)

    def why_not(self, instant: datetime) -> Mark | None:
        """Return what the rule says."""
        return self.rule.why_not(instant)

    def document(self) -> Document:
        """Return the rule with its business days."""
        return self.rule.document() | {"shift": self.days.document(), "timezone": zone_text(self.zone)}

    def words(self) -> str:
        """Return the rule in words, with the shift."""
        return self.rule.words() + self.days.words()

    def _moved(self, target: date, first: date, last: date, floor: datetime | None, meter: Meter) -> Iterator[datetime]:
        """Yield the instants on the business day ``target`` that come from the days ``first`` to ``last``.

        When only ``target`` itself is a source, those not later than ``floor`` are passed over, and the first suffices.
        """
        end = self._ends(last)
        bound = self._starts(first) - TICK
        alone = first == last and floor is not None
        source = self.rule.after(max(bound, floor) if alone and floor is not None else bound, meter)
        while source is not None and source < end:
            meter.step()
            civil = source.astimezone(self.zone).replace(tzinfo=None, fold=0)
            if civil.date() == target:
                yield source
                if alone:
                    return
            elif first <= civil.date() <= last:
                yield from instants_of(datetime.combine(target, civil.time()), self.zone, self.dst)
            source = self.rule.after(source, meter)

    def _earlier(self, target: date, first: date, last: date, instant: datetime, meter: Meter) -> list[datetime]:
        """Return instants on ``target`` not later than ``instant``, the last of them among them."""
        if first == last:
            found = self.rule.last(min(instant, self._ends(last) - TICK), meter)
            if found is None or self._day(found) == target:
                return [] if found is None else [found]
        return [each for each in self._moved(target, first, last, None, meter) if each <= instant]

    def _day(self, instant: datetime) -> date:
        return instant.astimezone(self.zone).date()

    def _starts(self, day: date) -> datetime:
        """Return the first instant whose local date is ``day``."""
        first, _, change = read_civil(datetime.combine(day, time()), self.zone)
        if first is not None:
            return first
        assert change is not None  # noqa: S101 - a time without instants lies in a gap
        return change.instant

    def _ends(self, day: date) -> datetime:
        """Return the instant from which on no local date is ``day`` or earlier."""
        _, second, change = read_civil(datetime.combine(day + _DAY, time()), self.zone)
        if second is not None:
            return second
        assert change is not None  # noqa: S101 - a time without instants lies in a gap
        return change.instant
