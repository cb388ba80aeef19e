"""Which days a cron expression of any dialect names, compiled into sets."""

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from calendar import isleap
from dataclasses import dataclass, field
from datetime import date, timedelta

from jobstore.timetable.limits import COUNTED_DAYS, LATEST, SEARCH_YEARS

_DAY = timedelta(days=1)
_NONE: frozenset[int] = frozenset()
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
ALL_MONTHS = frozenset(range(1, 13))


class Days(ABC):
    """A set of dates."""

    __slots__ = ()

    @abstractmethod
    def next(self, day: date) -> date | None:
        """Return the first date of the set that is not before ``day``, None when fifty years have none."""

    @abstractmethod
    def last(self, day: date) -> date | None:
        """Return the last date of the set that is not after ``day``, None when fifty years have none."""

    def count(self, start: date, stop: date) -> tuple[int, bool]:
        """Return how many dates lie in ``[start, stop)``, and whether all of it was looked at."""
        bound = min(stop, start + COUNTED_DAYS * _DAY) if stop > start else stop
        found, day = 0, self.next(start)
        while day is not None and day < bound:
            found += 1
            day = self.next(day + _DAY)
        return found, bound == stop

    def __contains__(self, day: date) -> bool:
        return self.next(day) == day


@dataclass(frozen=True, slots=True)
class DayTerms:
    """What one day field names in a month.  Weekdays count from Sunday, which is 0.

    ``from_end`` has 0 for the last day of the month, ``nearest`` days whose nearest Monday to Friday within the month
    is meant, ``nearest_from_end`` the same counted from the end, ``nth`` pairs such as (5, 2) for the second Friday,
    ``last_weekdays`` the last Friday and the like.
    """

    days: frozenset[int] = _NONE
    from_end: frozenset[int] = _NONE
    nearest: frozenset[int] = _NONE
    nearest_from_end: frozenset[int] = _NONE
    weekdays: frozenset[int] = _NONE
    nth: frozenset[tuple[int, int]] = frozenset()
    last_weekdays: frozenset[int] = _NONE

    def of_month(self, first_weekday: int, length: int) -> set[int]:
        """Return the days of a month that begins on ``first_weekday`` and has ``length`` days."""
        found = {day for day in self.days if day <= length}
        found |= {length - back for back in self.from_end if back < length}
        wanted = [day for day in self.nearest if day <= length]
        wanted += [length - back for back in self.nearest_from_end if back < length]
        found |= {_nearest(day, (first_weekday + day - 1) % 7, length) for day in wanted}
        for weekday in self.weekdays:
            found.update(range(1 + (weekday - first_weekday) % 7, length + 1, 7))
        for weekday, nth in self.nth:
            day = 1 + (weekday - first_weekday) % 7 + 7 * (nth - 1)
            if day <= length:
                found.add(day)
        found |= {length - (first_weekday + length - 1 - weekday) % 7 for weekday in self.last_weekdays}
        return found


@dataclass(frozen=True, slots=True)
class CronDays(Days):
    """The dates of a cron expression: a field that is None restricts nothing.

    ``either`` says that a day is meant when one of the two day fields names it; otherwise both must.
    """

    days: DayTerms | None
    weekdays: DayTerms | None
    either: bool
    months: frozenset[int] = ALL_MONTHS
    years: frozenset[int] | None = None
    weeks: frozenset[int] | None = None
    _shapes: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False)

    def next(self, day: date) -> date | None:
        """Return the first date that is not before ``day``, month by month."""
        if self.years is not None and day.year < min(self.years):
            day = date(min(self.years), 1, 1)
        year, month, from_day = day.year, day.month, day.day
        final = min(year + SEARCH_YEARS, LATEST.year) if self.years is None else max(self.years)
        while year <= final:
            if month in self.months:
                found = self._of(year, month)
                index = bisect_left(found, from_day)
                if index < len(found):
                    return date(year, month, found[index])
            from_day = 1
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return None

    def last(self, day: date) -> date | None:
        """Return the last date that is not after ``day``, month by month."""
        if self.years is not None and day.year > max(self.years):
            day = date(max(self.years), 12, 31)
        year, month, to_day = day.year, day.month, day.day
        final = max(1, year - SEARCH_YEARS) if self.years is None else min(self.years)
        while year >= final:
            if month in self.months:
                found = self._of(year, month)
                index = bisect_right(found, to_day)
                if index:
                    return date(year, month, found[index - 1])
            to_day = 31
            year, month = (year, month - 1) if month > 1 else (year - 1, 12)
        return None

    def count(self, start: date, stop: date) -> tuple[int, bool]:
        """Return how many dates lie in ``[start, stop)``, adding whole months."""
        if stop <= start:
            return 0, True
        bound = min(stop, start + COUNTED_DAYS * _DAY)
        total, year, month = 0, start.year, start.month
        while (year, month) <= (bound.year, bound.month):
            found = self._of(year, month) if month in self.months else ()
            low = bisect_left(found, start.day) if (year, month) == (start.year, start.month) else 0
            high = bisect_left(found, bound.day) if (year, month) == (bound.year, bound.month) else len(found)
            total += max(0, high - low)
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return total, bound == stop

    def meaning(self) -> tuple[object, ...]:
        """Return what is equal for two that name the same dates: the days of every shape of month, and the rest."""
        shapes = tuple(self._of_shape(first, length) for first in range(7) for length in range(28, 32))
        return shapes, self.months, self.years, self.weeks

    def _of(self, year: int, month: int) -> tuple[int, ...]:
        """Return the days of a month that matches, in order; months of one shape share theirs."""
        if self.years is not None and year not in self.years:
            return ()
        length = _LENGTHS[month] + (month == 2 and isleap(year))
        shape = (date(year, month, 1).isoweekday() % 7, length)
        found = self._shapes.get(shape)
        if found is None:
            found = self._shapes[shape] = self._of_shape(*shape)
        if self.weeks is None:
            return found
        return tuple(day for day in found if date(year, month, day).isocalendar().week in self.weeks)

    def _of_shape(self, first_weekday: int, length: int) -> tuple[int, ...]:
        sets = [
            set(range(1, length + 1)) if terms is None else terms.of_month(first_weekday, length)
            for terms in (self.days, self.weekdays)
        ]
        return tuple(sorted(sets[0] | sets[1] if self.either else sets[0] & sets[1]))


def _nearest(day: int, weekday: int, length: int) -> int:
    """Return the Monday to Friday of the same month that is nearest to ``day``."""
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day
