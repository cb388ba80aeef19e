"""What an exclusion keeps out: dates, ranges of dates, weekly windows; all in the wall-clock time of one zone."""

from abc import ABC, abstractmethod
from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from jobstore.timetable.rule import Document, Mark

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAY = timedelta(days=1)
_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


class Closed(ABC):
    """A set of civil times that is kept out."""

    __slots__ = ()

    @property
    def mark(self) -> Mark:
        """What a preview calls an instant that is kept out."""
        return "excluded"

    @abstractmethod
    def block(self, civil: datetime) -> tuple[datetime, datetime] | None:
        """Return the block ``[begin, end)`` around ``civil`` that is kept out, None when ``civil`` is not.

        A block may be a part of what is kept out: whoever leaps over it asks again at its end.
        """

    @abstractmethod
    def document(self) -> Document:
        """Return the exclusion as it is stored."""

    @abstractmethod
    def words(self) -> str:
        """Return the exclusion in words."""


class ClosedDays(Closed):
    """A set of whole days that is kept out."""

    __slots__ = ()

    @abstractmethod
    def __contains__(self, day: date) -> bool: ...

    def block(self, civil: datetime) -> tuple[datetime, datetime] | None:
        """Return the day of ``civil`` if it is kept out."""
        if civil.date() not in self:
            return None
        begin = datetime.combine(civil.date(), time())
        return begin, begin + _DAY


@dataclass(frozen=True, slots=True)
class Dates(ClosedDays):
    """Single dates in order; with a ``name`` they are a calendar of the tenant's own, copied when it was named."""

    dates: tuple[date, ...]
    name: str | None = None

    @property
    def mark(self) -> Mark:
        """A calendar's dates are holidays, others are exclusions."""
        return "excluded" if self.name is None else "holiday_skipped"

    def __contains__(self, day: date) -> bool:
        index = bisect_left(self.dates, day)
        return index < len(self.dates) and self.dates[index] == day

    def document(self) -> Document:
        """Return the dates, with the name of their calendar."""
        named: Document = {} if self.name is None else {"calendar": self.name}
        return named | {"dates": [day.isoformat() for day in self.dates]}

    def words(self) -> str:
        """Return the name, or the dates as far as they are few."""
        if self.name is not None:
            return f"the days of the calendar {self.name}"
        return ", ".join(day.isoformat() for day in self.dates[:5]) + (
            f" and {len(self.dates) - 5} more" if len(self.dates) > 5 else ""
        )


@dataclass(frozen=True, slots=True)
class Range(ClosedDays):
    """Every date from ``first`` to ``last`` inclusive."""

    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def block(self, civil: datetime) -> tuple[datetime, datetime] | None:
        """Return the whole range."""
        if civil.date() not in self:
            return None
        return datetime.combine(self.first, time()), datetime.combine(self.last, time()) + _DAY

    def document(self) -> Document:
        """Return both ends."""
        return {"from": self.first.isoformat(), "to": self.last.isoformat()}

    def words(self) -> str:
        """Return "2026-12-24 to 2027-01-02"."""
        return f"{self.first} to {self.last}"


@dataclass(frozen=True, slots=True)
class Weekly(Closed):
    """From ``begin`` on each of ``days`` until ``end``, on the next day when ``end`` is not later; Sunday is 0."""

    days: frozenset[int]
    begin: time = time()
    end: time = time()

    def block(self, civil: datetime) -> tuple[datetime, datetime] | None:
        """Return the window around ``civil``, which may have begun the day before."""
        for day in (civil.date(), civil.date() - _DAY):
            if day.isoweekday() % 7 in self.days:
                begin = datetime.combine(day, self.begin)
                end = datetime.combine(day if self.end > self.begin else day + _DAY, self.end)
                if begin <= civil < end:
                    return begin, end
        return None

    def document(self) -> Document:
        """Return the days from Monday on, and the times unless whole days are meant."""
        window: dict[str, object] = {"days": [WEEKDAYS[day % 7] for day in sorted(day or 7 for day in self.days)]}
        if (self.begin, self.end) != (time(), time()):
            window |= {"from": self.begin.isoformat("auto"), "to": self.end.isoformat("auto")}
        return {"weekly": window}

    def words(self) -> str:
        """Return "Saturday and Sunday", with the times."""
        names = [_NAMES[day % 7] for day in sorted(day or 7 for day in self.days)]
        said = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        if (self.begin, self.end) == (time(), time()):
            return said
        return f"{said} from {self.begin.isoformat('auto')[:5]} to {self.end.isoformat('auto')[:5]}"
