"""A calendar pattern in civil time: which wall-clock seconds match.  No zones here."""

from abc import ABC, abstractmethod
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from jobstore.timetable.days import Days
from jobstore.timetable.rule import Document

_DAY = timedelta(days=1)


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

    def rank(self, at: time | datetime) -> int:
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

    def upto(self, at: time | datetime) -> int:
        """Return how many of them are not later than ``at``."""
        found = self.rank(at)
        return found + (found < self.size and at in self)

    def __contains__(self, at: time | datetime) -> bool:
        return at.hour in self.hours and at.minute in self.minutes and at.second in self.seconds

    def __getitem__(self, index: int) -> time:
        rest, second = divmod(index, len(self.seconds))
        hour, minute = divmod(rest, len(self.minutes))
        return time(self.hours[hour], self.minutes[minute], self.seconds[second])


@dataclass(frozen=True, slots=True)
class Pattern(ABC):
    """What a cron expression of any dialect, or a recurrence rule, says, apart from zone and bounds.

    Every matching date has the same times, so that forward, backward and counting are a search for a date and a
    division: a week of every second costs one step.

    ``interval_like`` patterns follow real time across clock changes; of others each civil time is meant once.
    """

    days: Days = field(compare=False, repr=False)
    times: TimesOfDay = field(compare=False, repr=False)
    interval_like: bool = field(compare=False, repr=False)

    @abstractmethod
    def document(self) -> Document:
        """Return the pattern as it is stored."""

    @abstractmethod
    def words(self) -> str:
        """Return the pattern in words."""

    def __contains__(self, civil: datetime) -> bool:
        return civil in self.times and civil.date() in self.days

    def next(self, civil: datetime) -> datetime | None:
        """Return the first matching civil second after ``civil`` (a whole second), None when there is none."""
        today = civil.date()
        day = self.days.next(today)
        if day == today:
            index = self.times.upto(civil)
            if index < self.times.size:
                return datetime.combine(today, self.times[index])
            day = self.days.next(today + _DAY)
        return None if day is None else datetime.combine(day, self.times[0])

    def last(self, civil: datetime) -> datetime | None:
        """Return the last matching civil second that is not after ``civil``, None when there is none."""
        today = civil.date()
        day = self.days.last(today)
        if day == today:
            index = self.times.upto(civil) - 1
            if index >= 0:
                return datetime.combine(today, self.times[index])
            day = self.days.last(today - _DAY)
        return None if day is None else datetime.combine(day, self.times[self.times.size - 1])

    def count(self, start: datetime, stop: datetime) -> tuple[int, bool]:
        """Return how many civil seconds match in ``[start, stop)``, and whether all of it was looked at."""
        if stop <= start:
            return 0, True
        days, exact = self.days.count(start.date(), stop.date())
        found = days * self.times.size
        if start.date() in self.days:
            found -= self.times.rank(start)
        if exact and stop.date() in self.days:
            found += self.times.rank(stop)
        return found, exact
