"""Cron in a time zone: a civil pattern, mapped to instants by one rule for clock changes.

A pattern of fixed times (minutes and hours both named) fires once for each civil time: in a gap just after it, in an
overlap in the first pass.  An interval-like pattern (minutes or hours begin with ``*``, or every hour is named) follows
real time: it skips what does not exist and repeats what the clock shows twice.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobstore.timetable.civil import Change, civil_of, instant_of, read_civil, stretches
from jobstore.timetable.limits import SECOND, Meter
from jobstore.timetable.pattern import Pattern
from jobstore.timetable.rule import Document, Rule
from jobstore.timetable.zones import Zone, zone_text


@dataclass(frozen=True, slots=True)
class Cron(Rule):
    """The instants of a cron pattern in a zone."""

    pattern: Pattern
    zone: Zone

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the first instant later than ``instant``; clock changes are leapt over, not walked through."""
        civil, change, second_pass = civil_of(instant, self.zone)
        if not self.pattern.interval_like:
            # in a second pass everything until its end has been
            start = change.civil_before - SECOND if change is not None and second_pass else civil
            return self._next_fixed(start, instant, meter)
        found = self._next_real(civil, instant, meter)
        if change is not None and not second_pass and (found is None or found >= change.instant):
            meter.step()
            again = self.pattern.next(change.civil_after - SECOND)
            if again is not None and again <= civil:
                return read_civil(again, self.zone).second
        return found

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last instant that is not later than ``instant``."""
        civil, change, second_pass = civil_of(instant, self.zone)
        start: datetime | None = civil
        if change is not None and second_pass:
            if self.pattern.interval_like:
                meter.step()
                found = self.pattern.last(civil)
                if found is not None and found >= change.civil_after:
                    return read_civil(found, self.zone).second
            start = change.civil_before - SECOND
        while start is not None:
            meter.step()
            found = self.pattern.last(start)
            if found is None:
                return None
            if not self.pattern.interval_like:
                return instant_of(found, self.zone)
            reading = read_civil(found, self.zone)
            if reading.second is not None and reading.second <= instant:
                return reading.second
            if reading.first is not None:
                return reading.first
            start = reading.change.civil_before - SECOND if reading.change is not None else None
        return None

    def count(self, first: datetime, through: datetime, meter: Meter) -> tuple[int, bool]:
        """Return the number of instants between: whole days are multiplied, stretch by stretch of one offset."""
        meter.step()
        total, exact = 0, True
        civil, change, second_pass = civil_of(first, self.zone)
        begun = change.civil_before if change is not None and second_pass else civil
        for start, stop, offset, before in stretches(self.zone, _whole(first), _whole_after(through)):
            low, high = start.replace(tzinfo=None) + offset, stop.replace(tzinfo=None) + offset
            if not self.pattern.interval_like:
                low, extra = self._at_change(Change(start, before, offset), max(low, begun))
                total += extra
            found, complete = self.pattern.count(low, high)
            total, exact = total + found, exact and complete
        return total, exact

    def document(self) -> Document:
        """Return the pattern and the zone."""
        return {**self.pattern.document(), "timezone": zone_text(self.zone)}

    def words(self) -> str:
        """Return the pattern in words, with the zone."""
        return f"{self.pattern.words()}, {zone_text(self.zone)}"

    def _next_fixed(self, civil: datetime, instant: datetime, meter: Meter) -> datetime | None:
        start: datetime | None = civil
        while start is not None:
            meter.step()
            start = self.pattern.next(start)
            if start is not None and (found := instant_of(start, self.zone)) > instant:
                return found
        return None

    def _next_real(self, civil: datetime, instant: datetime, meter: Meter) -> datetime | None:
        start: datetime | None = civil
        while start is not None:
            meter.step()
            start = self.pattern.next(start)
            if start is None:
                return None
            reading = read_civil(start, self.zone)
            if reading.first is not None and reading.first > instant:
                return reading.first
            if reading.second is not None and reading.second > instant:
                return reading.second
            if reading.first is None and reading.change is not None:
                start = reading.change.civil_after - SECOND
        return None

    def _at_change(self, change: Change, low: datetime) -> tuple[datetime, int]:
        """Return where counting fixed times goes on after a change, and what the change itself adds."""
        if change.after < change.before:
            return max(low, change.civil_before), 0
        if change.after > change.before and low == change.civil_after:
            in_gap, _ = self.pattern.count(change.civil_before, change.civil_after)
            return low, int(in_gap > 0 and low not in self.pattern)
        return low, 0


def _whole(instant: datetime) -> datetime:
    """Return the first whole second that is not before ``instant``."""
    floor = instant.replace(microsecond=0)
    return floor if floor == instant else floor + SECOND


def _whole_after(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
