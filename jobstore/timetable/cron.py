"""Cron in a time zone: a civil pattern, mapped to instants by one rule for clock changes.

A pattern of fixed times (minutes and hours both named) fires once for each civil time, by default just after a gap and
in the first pass of an overlap.  An interval-like pattern (minutes or hours begin with ``*``, or every hour is named)
follows real time: it skips what does not exist and repeats what the clock shows twice.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobstore.timetable.civil import Change, civil_of, read_civil, stretches
from jobstore.timetable.limits import SECOND, Meter
from jobstore.timetable.pattern import Pattern
from jobstore.timetable.policy import DEFAULT_DST, REAL_TIME, Dst
from jobstore.timetable.rule import Document, Mark, Rule
from jobstore.timetable.zones import Zone, offset_at, zone_text


@dataclass(frozen=True, slots=True)
class Cron(Rule):
    """The instants of a pattern in a zone; ``dst`` is the policy for fixed times."""

    pattern: Pattern
    zone: Zone
    dst: Dst = DEFAULT_DST

    @property
    def policy(self) -> Dst:
        """The policy that is followed: real time for what is like an interval."""
        return REAL_TIME if self.pattern.interval_like else self.dst

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the first instant later than ``instant``; clock changes are leapt over, not walked through."""
        civil, change, second_pass = civil_of(instant, self.zone)
        if change is not None:
            meter.step()
            found = self._after_in_overlap(civil, change, second_pass=second_pass)
            if found is not None:
                return found
            civil = change.civil_before - SECOND
        policy = self.policy
        start: datetime | None = civil
        while start is not None:
            meter.step()
            start = self.pattern.next(start)
            if start is None:
                return None
            first, second, change = read_civil(start, self.zone)
            if first is None or second is None:
                assert change is not None  # noqa: S101 - a time without instants lies in a gap
                if policy.gap == "after" and change.instant > instant:
                    return change.instant
                start = change.civil_after - SECOND
            elif policy.overlap == "second":
                return second
            elif first > instant:
                return first
        return None

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last instant that is not later than ``instant``."""
        civil, change, second_pass = civil_of(instant, self.zone)
        if change is not None:
            meter.step()
            found = self._last_in_overlap(civil, change, second_pass=second_pass)
            if found is not None:
                return found
            civil = change.civil_after - SECOND
        policy = self.policy
        start: datetime | None = civil
        while start is not None:
            meter.step()
            start = self.pattern.last(start)
            if start is None:
                return None
            first, second, change = read_civil(start, self.zone)
            if first is not None:
                return first if policy.overlap == "first" else second
            assert change is not None  # noqa: S101 - a time without instants lies in a gap
            if policy.gap == "after":
                return change.instant
            start = change.civil_before - SECOND
        return None

    def count(self, first: datetime, through: datetime, meter: Meter) -> tuple[int, bool]:
        """Return the number of instants between: whole days are multiplied, stretch by stretch of one offset."""
        meter.step()
        total, exact, policy = 0, True, self.policy
        civil, change, second_pass = civil_of(first, self.zone)
        # what was in the first pass is not meant again in the second
        begun = change.civil_before if change is not None and second_pass else civil
        _, ahead, last_is_second = civil_of(through, self.zone)
        parts = list(stretches(self.zone, _whole(first), _whole_after(through)))
        for index, (start, stop, offset, before) in enumerate(parts):
            low, high = start.replace(tzinfo=None) + offset, stop.replace(tzinfo=None) + offset
            low = max(low, begun) if policy.overlap == "first" else low
            low, extra = self._at_change(Change(start, before, offset), low)
            if policy.overlap == "second":
                # what comes again is left to the second pass
                following = parts[index + 1][2] if index + 1 < len(parts) else offset
                high = min(high, stop.replace(tzinfo=None) + following)
                if index + 1 == len(parts) and ahead is not None and not last_is_second:
                    high = min(high, ahead.civil_after)
            found, complete = self.pattern.count(low, high)
            total, exact = total + found + extra, exact and complete
        return total, exact

    def marks(self, instant: datetime) -> frozenset[Mark]:
        """Return whether a clock change has to do with an instant that is named."""
        if civil_of(instant, self.zone)[1] is not None:
            return frozenset({"dst_overlap"})
        before, after = offset_at(self.zone, instant - SECOND), offset_at(self.zone, instant)
        if after > before and not self.pattern.interval_like:
            gap = Change(instant, before, after)
            if self.pattern.count(gap.civil_before, gap.civil_after)[0]:
                return frozenset({"dst_gap"})
        return frozenset()

    def unfiltered(self) -> Rule:
        """Return the same with nothing left out in a gap."""
        if self.pattern.interval_like or self.dst.gap == "after":
            return self
        return Cron(self.pattern, self.zone, Dst("after", self.dst.overlap))

    def why_not(self, instant: datetime) -> Mark | None:  # noqa: ARG002 - there is but one reason
        """Return the gap, for what only the gap leaves out."""
        return "dst_gap"

    def document(self) -> Document:
        """Return the pattern, the zone and what clock changes do."""
        return {**self.pattern.document(), "timezone": zone_text(self.zone), **self.dst.document()}

    def words(self) -> str:
        """Return the pattern in words, with the zone."""
        dst = "" if self.pattern.interval_like else self.dst.words()
        return f"{self.pattern.words()}, {zone_text(self.zone)}{dst}"

    def _after_in_overlap(self, civil: datetime, change: Change, *, second_pass: bool) -> datetime | None:
        """Return the first instant of the overlap later than ``civil`` in this pass."""
        overlap = self.policy.overlap
        if not second_pass:
            if overlap != "second":
                found = self.pattern.next(civil)
                if found is not None and found < change.civil_before:
                    return found.replace(tzinfo=UTC) - change.before
            civil = change.civil_after - SECOND
        if overlap != "first":
            found = self.pattern.next(civil)
            if found is not None and found < change.civil_before:
                return found.replace(tzinfo=UTC) - change.after
        return None

    def _last_in_overlap(self, civil: datetime, change: Change, *, second_pass: bool) -> datetime | None:
        """Return the last instant of the overlap not later than ``civil`` in this pass."""
        overlap = self.policy.overlap
        if second_pass:
            if overlap != "first":
                found = self.pattern.last(civil)
                if found is not None and found >= change.civil_after:
                    return found.replace(tzinfo=UTC) - change.after
            civil = change.civil_before - SECOND
        if overlap != "second":
            found = self.pattern.last(civil)
            if found is not None and found >= change.civil_after:
                return found.replace(tzinfo=UTC) - change.before
        return None

    def _at_change(self, change: Change, low: datetime) -> tuple[datetime, int]:
        """Return where counting goes on after a change, and what the change itself adds."""
        if change.after < change.before:
            return (max(low, change.civil_before) if self.policy.overlap == "first" else low), 0
        if change.after > change.before and low == change.civil_after and self.policy.gap == "after":
            in_gap, _ = self.pattern.count(change.civil_before, change.civil_after)
            return low, int(in_gap > 0 and low not in self.pattern)
        return low, 0


def _whole(instant: datetime) -> datetime:
    """Return the first whole second that is not before ``instant``."""
    floor = instant.replace(microsecond=0)
    return floor if floor == instant else floor + SECOND


def _whole_after(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
