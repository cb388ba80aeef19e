"""A timetable without the times that something keeps out."""

from dataclasses import dataclass
from datetime import datetime

from jobstore.timetable.civil import read_civil
from jobstore.timetable.limits import TICK, Meter
from jobstore.timetable.rule import Document, Mark, Rule
from jobstore.timetable.windows import Closed
from jobstore.timetable.zones import Zone, zone_text

_LEAP = 5
"""Steps that a leap over a block counts: one that is followed by another for ten years ends the search."""


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
            meter.step(_LEAP)
            found = self.rule.after(bound, meter)
            if found is None:
                return None
            around = self._around(found)
            if around is None:
                return found
            bound = self._end(around, found)
        return None

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last instant not later than ``instant`` that is not kept out."""
        while True:
            meter.step(_LEAP)
            found = self.rule.last(instant, meter)
            if found is None:
                return None
            around = self._around(found)
            if around is None:
                return found
            instant = self._begin(around, found)

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

    def _end(self, block: tuple[datetime, datetime], found: datetime) -> datetime:
        """Return the instant before the one at which the wall clock leaves the block after ``found``."""
        begin, end = (read_civil(civil, self.zone) for civil in block)
        if end.first is None or end.second is None:
            leaves = found if end.change is None else end.change.instant
        else:
            leaves = end.first if end.first > found else end.second
        if begin.change is not None and begin.first is not None and found < begin.change.instant:
            # the clock goes back to before the block, and comes to its beginning again
            leaves = min(leaves, begin.change.instant)
        return max(found, leaves - TICK)

    def _begin(self, block: tuple[datetime, datetime], found: datetime) -> datetime:
        """Return the instant before the one at which the wall clock came into the block before ``found``."""
        begin, end = (read_civil(civil, self.zone) for civil in block)
        if begin.first is None or begin.second is None:
            came = found if begin.change is None else begin.change.instant
        else:
            came = begin.second if begin.second <= found else begin.first
        if end.change is not None and end.first is not None and found >= end.change.instant:
            # in the pass before, the clock had come to the end of the block already
            came = max(came, end.change.instant)
        return min(found, came) - TICK
