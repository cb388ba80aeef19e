"""A timetable without the times that something keeps out."""

from dataclasses import dataclass
from datetime import datetime

from jobstore.timetable.civil import read_civil
from jobstore.timetable.limits import TICK, Meter
from jobstore.timetable.rule import Document, Mark, Rule
from jobstore.timetable.windows import Closed
from jobstore.timetable.zones import Zone, zone_text


@dataclass(frozen=True, slots=True)
class Excluding(Rule):
    """The instants of ``rule`` whose local time in ``zone`` nothing of ``closed`` keeps out."""

    rule: Rule
    zone: Zone
    closed: tuple[Closed, ...]

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the first instant later than ``instant`` that is not kept out; blocks are leapt over."""
        bound: datetime | None = instant
        while bound is not None:
            meter.step()
            found = self.rule.after(bound, meter)
            if found is None:
                return None
            around = self._around(found)
            if around is None:
                return found
            bound = self._end(around[1], found)
        return None

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last instant not later than ``instant`` that is not kept out."""
        while True:
            meter.step()
            found = self.rule.last(instant, meter)
            if found is None:
                return None
            around = self._around(found)
            if around is None:
                return found
            instant = self._begin(around[0], found)

    def marks(self, instant: datetime) -> frozenset[Mark]:
        """Return what the rule says."""
        return self.rule.marks(instant)

    def unfiltered(self) -> Rule:
        """Return the rule, with nothing left out."""
        return self.rule.unfiltered()

    def why_not(self, instant: datetime) -> Mark | None:
        """Return what keeps ``instant`` out."""
        civil = instant.astimezone(self.zone).replace(tzinfo=None, fold=0)
        marks = [each.mark for each in self.closed if each.block(civil) is not None]
        return max(marks) if marks else self.rule.why_not(instant)

    def document(self) -> Document:
        """Return the rule with what is kept out, and the zone that it is meant in."""
        kept_out = [each.document() for each in self.closed]
        return self.rule.document() | {"except": kept_out, "timezone": zone_text(self.zone)}

    def words(self) -> str:
        """Return the rule in words, with what is kept out."""
        return f"{self.rule.words()}, except {'; '.join(each.words() for each in self.closed)}"

    def _around(self, instant: datetime) -> tuple[datetime, datetime] | None:
        civil = instant.astimezone(self.zone).replace(tzinfo=None, fold=0)
        for each in self.closed:
            block = each.block(civil)
            if block is not None:
                return block
        return None

    def _end(self, civil: datetime, found: datetime) -> datetime:
        """Return the instant before the wall clock shows ``civil`` next after ``found``."""
        first, second, change = read_civil(civil, self.zone)
        if first is None or second is None:
            end = change.instant if change is not None else found
        else:
            end = first if first > found else second
        return max(found, end - TICK)

    def _begin(self, civil: datetime, found: datetime) -> datetime:
        """Return the instant before the wall clock showed ``civil`` last before ``found``."""
        first, second, change = read_civil(civil, self.zone)
        if first is None or second is None:
            begin = change.instant if change is not None else found
        else:
            begin = second if second <= found else first
        return min(found, begin) - TICK
