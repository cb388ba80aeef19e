"""Calendar intervals: every so many years, months, weeks and days, at one time of day."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import takewhile

from jobstore.timetable.civil import civil_of, instants_of, read_civil
from jobstore.timetable.limits import LATEST, Meter
from jobstore.timetable.policy import DEFAULT_DST, Dst
from jobstore.timetable.rule import Document, Mark, Rule
from jobstore.timetable.step import UNITS, Step
from jobstore.timetable.zones import Zone, zone_text

_DAY = timedelta(days=1)
_SLACK = timedelta(days=2)
_FIRST_YEAR = 1900


@dataclass(frozen=True, slots=True)
class Calendar(Rule):
    """A date every ``step`` from ``start_date`` to ``end_date`` inclusive, at ``clock`` in ``zone``.

    The day of the month is kept: from 31 January by the month come 31 March, 31 May...; with ``clamp`` a month without
    the day has its last day instead: 28 February, 31 March, 30 April.  Every date is counted from ``start_date``, never
    from the last instant, so that nothing drifts.
    """

    step: Step
    clock: time
    start_date: date
    end_date: date | None
    zone: Zone
    dst: Dst = DEFAULT_DST
    clamp: bool = False

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the first instant later than ``instant``."""
        for day in self._dates(civil_of(instant, self.zone)[0].date() - _SLACK, meter):
            for found in self._instants(day):
                if found > instant:
                    return found
        return None

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last instant that is not later than ``instant``."""
        for day in self._dates_back(civil_of(instant, self.zone)[0].date() + _DAY, meter):
            for found in reversed(self._instants(day)):
                if found <= instant:
                    return found
        return None

    def marks(self, instant: datetime) -> frozenset[Mark]:
        """Return whether a clock change or a short month has to do with an instant that is named."""
        found: set[Mark] = set()
        for day in self._dates(civil_of(instant, self.zone)[0].date() - _SLACK, Meter()):
            if instant in self._instants(day):
                first, second, _ = read_civil(datetime.combine(day, self.clock), self.zone)
                if first != second or first is None:
                    found.add("dst_gap" if first is None else "dst_overlap")
                if self.clamp and self._clamped(day):
                    found.add("clamped")
                break
        return frozenset(found)

    def unfiltered(self) -> Rule:
        """Return the same with nothing left out in a gap."""
        if self.dst.gap == "after":
            return self
        dst = Dst("after", self.dst.overlap)
        return Calendar(self.step, self.clock, self.start_date, self.end_date, self.zone, dst, self.clamp)

    def why_not(self, instant: datetime) -> Mark | None:  # noqa: ARG002 - there is but one reason
        """Return the gap, for what only the gap leaves out."""
        return "dst_gap"

    def document(self) -> Document:
        """Return the step with all its units, the dates, the zone and the policies."""
        units: dict[str, object] = {name: getattr(self.step, name) for name in UNITS}
        units |= {"hour": self.clock.hour, "minute": self.clock.minute, "second": self.clock.second}
        if self.clamp:
            units["clamp"] = True
        found: Document = {
            "calendar": units,
            "start_date": self.start_date.isoformat(),
            "timezone": zone_text(self.zone),
            **self.dst.document(),
        }
        if self.end_date is not None:
            found["end_date"] = self.end_date.isoformat()
        return found

    def words(self) -> str:
        """Return "every month at 02:00, counted from 2026-01-31, Europe/Berlin"."""
        clock = self.clock.isoformat("seconds" if self.clock.second else "minutes")
        until = "" if self.end_date is None else f" until {self.end_date}"
        clamp = " or the last day of a shorter month" if self.clamp else ""
        counted = f"counted from {self.start_date}{until}"
        return f"every {self.step.words()}{clamp} at {clock}, {counted}, {zone_text(self.zone)}{self.dst.words()}"

    def _instants(self, day: date) -> tuple[datetime, ...]:
        return instants_of(datetime.combine(day, self.clock), self.zone, self.dst)

    def _dates(self, start: date, meter: Meter) -> Iterator[date]:
        """Yield the dates from the first that is not before ``start``."""
        last = LATEST.date() if self.end_date is None else min(self.end_date, LATEST.date())
        for day in self._clamped_dates(start) if self.clamp else self._kept_dates(start, meter):
            meter.step()
            if day > last:
                return
            if day >= start:
                yield day

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

    def _clamped_dates(self, wanted: date) -> Iterator[date]:
        """Yield dates by their number, from one at or before ``wanted`` where there is one."""
        ahead = max(0, (wanted - self.start_date).days)
        index = max(0, int(ahead / (self.step.in_months * 30.44 + self.step.in_days)) - 1)
        while index and (near := self._numbered(index)) is not None and near > wanted:
            index -= 1
        while (day := self._numbered(index)) is not None:
            yield day
            index += 1

    def _numbered(self, index: int) -> date | None:
        """Return the date number ``index``: months from the start, clamped, then days."""
        year, month = divmod(self.start_date.year * 12 + self.start_date.month - 1 + index * self.step.in_months, 12)
        if year >= LATEST.year:
            return None
        length = monthrange(year, month + 1)[1]
        found = date(year, month + 1, min(self.start_date.day, length)).toordinal() + index * self.step.in_days
        return date.fromordinal(found) if found < LATEST.toordinal() else None

    def _clamped(self, day: date) -> bool:
        index = 0
        if self.step.in_months:
            index = sum(1 for _ in takewhile(lambda each: each < day, self._clamped_dates(self.start_date)))
        year, month = divmod(self.start_date.year * 12 + self.start_date.month - 1 + index * self.step.in_months, 12)
        return self.start_date.day > monthrange(year, month + 1)[1]

    def _kept_dates(self, wanted: date, meter: Meter) -> Iterator[date]:
        """Yield dates that keep their day, from one at or before ``wanted`` where that needs no walk."""
        day = self._start(wanted, meter)
        while day is not None:
            yield day
            day = self._following(day, meter)

    def _start(self, wanted: date, meter: Meter) -> date | None:
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
        if found is None or (LATEST.date() - found).days <= self.step.in_days:
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
