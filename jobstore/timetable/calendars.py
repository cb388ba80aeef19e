"""Calendar intervals: every so many years, months, weeks and days, at one time of day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

from jobstore.timetable.civil import civil_of, read_civil
from jobstore.timetable.limits import LATEST, Meter
from jobstore.timetable.rule import Document, Rule
from jobstore.timetable.zones import Zone, zone_text

Gap = Literal["after", "skip"]

_DAY = timedelta(days=1)
_SLACK = timedelta(days=2)
_MOST = 100_000
_FIRST_YEAR = 1900
_UNITS = ("year", "month", "week", "day")


@dataclass(frozen=True, slots=True)
class Step:
    """The distance between two dates: months first (months without the day are passed over), then days."""

    years: int
    months: int
    weeks: int
    days: int

    @classmethod
    def of(cls, years: object, months: object, weeks: object, days: object) -> "Step":
        """Return the step (raises ValueError when it is not made of whole numbers, or does not move forward)."""
        counts = []
        for count in (years, months, weeks, days):
            if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MOST:
                raise ValueError(
                    f"years, months, weeks and days are whole numbers from 0 to {_MOST}, not {count!r:.40}"
                )
            counts.append(count)
        if not any(counts):
            raise ValueError("one of years, months, weeks and days must be at least 1")
        return cls(*counts)

    @property
    def in_months(self) -> int:
        """Years and months together."""
        return self.years * 12 + self.months

    @property
    def in_days(self) -> int:
        """Weeks and days together."""
        return self.weeks * 7 + self.days

    def words(self) -> str:
        """Return "month", "2 weeks", "1 month 1 day"."""
        counts = (self.years, self.months, self.weeks, self.days)
        said = [(count, unit) for count, unit in zip(counts, _UNITS, strict=True) if count]
        if len(said) == 1 and said[0][0] == 1:
            return said[0][1]
        return " ".join(f"{count} {unit}{'s' if count != 1 else ''}" for count, unit in said)


@dataclass(frozen=True, slots=True)
class Calendar(Rule):
    """A date every ``step`` from ``start_date`` to ``end_date`` inclusive, at ``clock`` in ``zone``.

    The day of the month is kept: from 31 January by the month come 31 March, 31 May...  A time in an overlap is the
    first of the two; one in a gap is just after it, or is left out with ``gap`` "skip" (as APScheduler says it does).
    Every date is counted from ``start_date``, never from the last instant, so that nothing drifts.
    """

    step: Step
    clock: time
    start_date: date
    end_date: date | None
    zone: Zone
    gap: Gap

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the first instant later than ``instant``."""
        for day in self._dates(civil_of(instant, self.zone)[0].date() - _SLACK, meter):
            found = self._instant(day)
            if found is not None and found > instant:
                return found
        return None

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last instant that is not later than ``instant``."""
        for day in self._dates_back(civil_of(instant, self.zone)[0].date() + _DAY, meter):
            found = self._instant(day)
            if found is not None and found <= instant:
                return found
        return None

    def document(self) -> Document:
        """Return the step with all its units, the dates, the zone and what a gap does."""
        names = ("years", "months", "weeks", "days")
        units: dict[str, object] = {name: getattr(self.step, name) for name in names}
        units |= {"hour": self.clock.hour, "minute": self.clock.minute, "second": self.clock.second}
        found: Document = {
            "calendar": units,
            "start_date": self.start_date.isoformat(),
            "timezone": zone_text(self.zone),
            "gap": self.gap,
        }
        if self.end_date is not None:
            found["end_date"] = self.end_date.isoformat()
        return found

    def words(self) -> str:
        """Return "every month at 02:00, counted from 2026-01-31, Europe/Berlin"."""
        clock = self.clock.isoformat("seconds" if self.clock.second else "minutes")
        until = "" if self.end_date is None else f" until {self.end_date}"
        return f"every {self.step.words()} at {clock}, counted from {self.start_date}{until}, {zone_text(self.zone)}"

    def _instant(self, day: date) -> datetime | None:
        reading = read_civil(datetime.combine(day, self.clock), self.zone)
        if reading.first is not None:
            return reading.first
        return reading.change.instant if reading.change is not None and self.gap == "after" else None

    def _dates(self, start: date, meter: Meter) -> Iterator[date]:
        """Yield the dates from the first that is not before ``start``."""
        day = self._start(start, meter)
        last = LATEST.date() if self.end_date is None else min(self.end_date, LATEST.date())
        while day is not None and day <= last:
            meter.step()
            if day >= start:
                yield day
            day = self._following(day, meter)

    def _dates_back(self, start: date, meter: Meter) -> Iterator[date]:
        """Yield the dates backwards from the last that is not after ``start``."""
        start = start if self.end_date is None else min(start, self.end_date)
        window = timedelta(days=32)
        upper = start
        while upper >= self.start_date:
            lower = max(self.start_date, _minus(upper, window))
            found = []
            for day in self._dates(lower, meter):
                if day > upper:
                    break
                found.append(day)
            yield from reversed(found)
            upper, window = _minus(lower, _DAY), window * 2

    def _start(self, wanted: date, meter: Meter) -> date | None:
        """Return a date of the sequence at or before ``wanted`` where that needs no walk, else the first of all."""
        if wanted <= self.start_date:
            return self.start_date
        if not self.step.in_months:
            return self.start_date + (wanted - self.start_date).days // self.step.in_days * self.step.in_days * _DAY
        if self.step.in_days:
            return self.start_date
        between = (wanted.year - self.start_date.year) * 12 + wanted.month - self.start_date.month
        return self._by_months(self.start_date, between // self.step.in_months * self.step.in_months, meter)

    def _following(self, day: date, meter: Meter) -> date | None:
        found: date | None = day
        if self.step.in_months:
            found = self._by_months(day, self.step.in_months, meter)
        if found is None or LATEST.date() - found < self.step.in_days * _DAY:
            return None
        return found + self.step.in_days * _DAY

    def _by_months(self, day: date, months: int, meter: Meter) -> date | None:
        """Return ``day`` so many months on; where that month has no such day, the next step that has."""
        while True:
            meter.step()
            year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
            if year >= LATEST.year:
                return None
            try:
                return date(year, month + 1, day.day)
            except ValueError:
                months += self.step.in_months


def check_date(day: date) -> date:
    """Return ``day`` if a calendar interval may begin or end there (raises ValueError otherwise)."""
    if not _FIRST_YEAR <= day.year < LATEST.year:
        raise ValueError(f"{day} is out of range: dates are from {_FIRST_YEAR} to {LATEST.year - 1}")
    return day


def _minus(day: date, length: timedelta) -> date:
    return day - min(length, day - date.min)
