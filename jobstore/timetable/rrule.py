"""Recurrence rules (RFC 5545): the dates of each period by its BY parts, in chunks; the times by division.

Written out here, because dateutil searches to the year 9999 for a date that never comes, whatever its end, and cannot
be stopped; the tests compare the two.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from jobstore.timetable.days import Days
from jobstore.timetable.limits import LATEST, SEARCH_YEARS, SECOND
from jobstore.timetable.pattern import Pattern
from jobstore.timetable.periods import chosen, period_after, period_start
from jobstore.timetable.recurrence import Recurrence
from jobstore.timetable.rule import Document

_DAY = timedelta(days=1)
_CHUNK = 400
_CHUNKS = SEARCH_YEARS * 366 // _CHUNK + 1
_LAST_CHUNK = LATEST.toordinal() // _CHUNK
_KEPT = 4


@dataclass(frozen=True, slots=True)
class RuleDays(Days):
    """The dates of a recurrence rule from ``start`` on, found in chunks of 400 days that are remembered."""

    rule: Recurrence
    start: date
    _chunks: dict[int, tuple[date, ...]] = field(default_factory=dict, compare=False, repr=False)

    def next(self, day: date) -> date | None:
        """Return the first date that is not before ``day``; fifty periods of a long interval are looked at."""
        day = max(day, self.start)
        first = day.toordinal() // _CHUNK
        for number in range(first, min(first + _CHUNKS * self.rule.years_at_a_step, _LAST_CHUNK)):
            found = self._chunk(number)
            index = bisect_left(found, day)
            if index < len(found):
                return found[index]
        return None

    def last(self, day: date) -> date | None:
        """Return the last date that is not after ``day``."""
        first = min(day.toordinal() // _CHUNK, _LAST_CHUNK - 1)
        lowest = max(first - _CHUNKS * self.rule.years_at_a_step, self.start.toordinal() // _CHUNK)
        for number in range(first, lowest - 1, -1):
            found = self._chunk(number)
            index = bisect_right(found, day)
            if index:
                return found[index - 1]
        return None

    def _chunk(self, number: int) -> tuple[date, ...]:
        found = self._chunks.get(number)
        if found is None:
            if len(self._chunks) >= _KEPT:
                self._chunks.clear()
            low = max(self.start, date.fromordinal(max(1, number * _CHUNK)))
            high = date.fromordinal((number + 1) * _CHUNK - 1)
            found = self._chunks[number] = tuple(day for day in self._dates(low, high) if low <= day <= high)
        return found

    def _dates(self, low: date, high: date) -> Iterator[date]:
        begin = period_start(self.rule, self.start, low)
        while begin <= high:
            yield from chosen(self.rule, begin)
            begin = period_after(self.rule, begin)


@dataclass(frozen=True, slots=True)
class RulePattern(Pattern):
    """A recurrence rule from ``start`` (civil) on, to ``final`` when it has a COUNT."""

    rule: Recurrence
    start: datetime
    final: datetime | None = field(compare=False, repr=False)

    @classmethod
    def of(cls, rule: Recurrence, start: datetime) -> "RulePattern":
        """Return the pattern (raises ValueError when no date ever matches)."""
        days, times = RuleDays(rule, start.date()), rule.times(start)
        pattern = cls(days, times, rule.below_a_day, rule, start, None)
        if not times.size or pattern.next(start - SECOND) is None:
            raise ValueError(f"{rule.text} never fires: fifty years have no such date")
        if rule.count is None:
            return pattern
        return cls(days, times, rule.below_a_day, rule, start, pattern.numbered(rule.count))

    def __contains__(self, civil: datetime) -> bool:
        return civil >= self.start and self._not_after_end(civil) and Pattern.__contains__(self, civil)

    def next(self, civil: datetime) -> datetime | None:
        """Return the first matching civil second after ``civil``."""
        found = Pattern.next(self, max(civil, self.start - SECOND))
        return found if found is not None and self._not_after_end(found) else None

    def last(self, civil: datetime) -> datetime | None:
        """Return the last matching civil second that is not after ``civil``."""
        found = Pattern.last(self, civil if self.final is None else min(civil, self.final))
        return found if found is not None and found >= self.start else None

    def count(self, start: datetime, stop: datetime) -> tuple[int, bool]:
        """Return how many civil seconds match in ``[start, stop)``."""
        return Pattern.count(
            self, max(start, self.start), stop if self.final is None else min(stop, self.final + SECOND)
        )

    def numbered(self, count: int) -> datetime | None:
        """Return match number ``count``, None when there are fewer."""
        found = self.next(self.start - SECOND)
        if found is None:
            return None
        count += self.times.rank(found)
        day: date | None = found.date()
        while day is not None and count > self.times.size:
            count -= self.times.size
            day = self.days.next(day + _DAY)
        return None if day is None else datetime.combine(day, self.times[count - 1])

    def document(self) -> Document:
        """Return the rule and its local start."""
        return {"rrule": self.rule.text, "start": self.start.isoformat()}

    def words(self) -> str:
        """Return the rule with its start."""
        return f"by the recurrence rule {self.rule.text} from {self.start.isoformat(sep=' ', timespec='minutes')}"

    def _not_after_end(self, civil: datetime) -> bool:
        return self.final is None or civil <= self.final
