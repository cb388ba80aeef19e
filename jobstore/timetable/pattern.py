"""A calendar pattern in civil time: which wall-clock seconds match.  No zones here."""

from abc import ABC, abstractmethod
from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from jobstore.timetable.limits import COUNTED_DAYS, SEARCH_YEARS
from jobstore.timetable.rule import Document

_DAY = timedelta(days=1)
_PROOF_FIRST, _PROOF_LAST = date(2000, 1, 1), date(2027, 12, 31)


@dataclass(frozen=True, slots=True)
class TimesOfDay:
    """The matching seconds of a matching day, in order: every hour with every minute with every second."""

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.hours) * len(self.minutes) * len(self.seconds)

    def rank(self, at: time) -> int:
        """Return how many of them are earlier than ``at``."""
        hour = bisect_left(self.hours, at.hour)
        found = hour * len(self.minutes) * len(self.seconds)
        if hour == len(self.hours) or self.hours[hour] != at.hour:
            return found
        minute = bisect_left(self.minutes, at.minute)
        found += minute * len(self.seconds)
        if minute == len(self.minutes) or self.minutes[minute] != at.minute:
            return found
        return found + bisect_left(self.seconds, at.second)

    def __contains__(self, at: time) -> bool:
        return at.hour in self.hours and at.minute in self.minutes and at.second in self.seconds

    def __getitem__(self, index: int) -> time:
        rest, second = divmod(index, len(self.seconds))
        hour, minute = divmod(rest, len(self.minutes))
        return time(self.hours[hour], self.minutes[minute], self.seconds[second])


@dataclass(frozen=True, slots=True)
class Pattern(ABC):
    """What a cron expression of any dialect says, apart from zone and bounds.

    Going forward is the engine's work (``next``).  Going back and counting use the fields themselves: whole days are
    multiplied, so that a week of every second costs seven steps.

    ``interval_like`` patterns follow real time across clock changes; of others each civil time is meant once.
    """

    months: frozenset[int]
    times: TimesOfDay
    interval_like: bool

    @abstractmethod
    def next(self, civil: datetime) -> datetime | None:
        """Return the first matching civil second after ``civil`` (a whole second), None when there is none."""

    @abstractmethod
    def day_matches(self, day: date) -> bool:
        """Whether the day, in a month that matches, matches."""

    @abstractmethod
    def document(self) -> Document:
        """Return the pattern as it is stored."""

    @abstractmethod
    def words(self) -> str:
        """Return the pattern in words."""

    def __contains__(self, civil: datetime) -> bool:
        return civil.time() in self.times and self._matches(civil.date())

    def last(self, civil: datetime) -> datetime | None:
        """Return the last matching civil second that is not after ``civil``, None when fifty years have none."""
        day = civil.date()
        if self._matches(day):
            index = self.times.rank(civil.time()) - (civil.time() not in self.times)
            if index >= 0:
                return datetime.combine(day, self.times[index])
        oldest = date(max(1, day.year - SEARCH_YEARS), 1, 1)
        while day > oldest:
            day -= _DAY
            if day.month not in self.months:
                day = day.replace(day=1)
            elif self.day_matches(day):
                return datetime.combine(day, self.times[self.times.size - 1])
        return None

    def count(self, start: datetime, stop: datetime) -> tuple[int, bool]:
        """Return how many civil seconds match in ``[start, stop)``, and whether all of it was looked at."""
        if stop <= start:
            return 0, True
        last = stop.date()
        exact = (last - start.date()).days <= COUNTED_DAYS
        if not exact:
            last = start.date() + COUNTED_DAYS * _DAY
        found, day = 0, start.date()
        while day < last:
            found += self.times.size * self._matches(day)
            day += _DAY
        if self._matches(start.date()):
            found -= self.times.rank(start.time())
        if exact and self._matches(last):
            found += self.times.rank(stop.time())
        return found, exact

    def ever_matches(self) -> bool:
        """Whether any day matches; 28 years hold every pairing of dates and weekdays."""
        day = _PROOF_FIRST
        while day <= _PROOF_LAST:
            if self._matches(day):
                return True
            day += _DAY
        return False

    def _matches(self, day: date) -> bool:
        return day.month in self.months and self.day_matches(day)
