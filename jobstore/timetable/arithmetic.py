"""Kinds that need no search: one instant, and a fixed interval.  Every question is a division, however long ago."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from jobstore.timetable.durations import duration_text, duration_words
from jobstore.timetable.limits import LATEST, TICK, Meter
from jobstore.timetable.moments import instant_text, local_words
from jobstore.timetable.rule import Document, Rule
from jobstore.timetable.zones import Zone, zone_text


@dataclass(frozen=True, slots=True)
class Once(Rule):
    """A single instant; ``zone`` is only for showing it."""

    at: datetime
    zone: Zone

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the instant if it is still to come."""
        meter.step()
        return self.at if self.at > instant else None

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the instant if it has come."""
        meter.step()
        return self.at if self.at <= instant else None

    def count(self, first: datetime, through: datetime, meter: Meter) -> tuple[int, bool]:
        """Return 1 if the instant lies between."""
        meter.step()
        return int(first <= self.at <= through), True

    def document(self) -> Document:
        """Return the instant and its zone."""
        return {"at": instant_text(self.at), "timezone": zone_text(self.zone)}

    def words(self) -> str:
        """Return "once, at ..."."""
        return f"once, at {local_words(self.at, self.zone)}"


@dataclass(frozen=True, slots=True)
class Every(Rule):
    """``anchor``, and every whole multiple of ``every`` after it, until ``end`` inclusive.  Elapsed time, no DST."""

    every: timedelta
    anchor: datetime
    end: datetime | None
    zone: Zone

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the next multiple."""
        meter.step()
        return self._nominal(max(0, (instant - self.anchor) // self.every + 1))

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the multiple at or before ``instant``."""
        meter.step()
        bound = instant if self.end is None else min(instant, self.end)
        index = (bound - self.anchor) // self.every
        return self._nominal(index) if index >= 0 else None

    def count(self, first: datetime, through: datetime, meter: Meter) -> tuple[int, bool]:
        """Return the number of multiples between, by division."""
        meter.step()
        bound = through if self.end is None else min(through, self.end)
        highest = (bound - self.anchor) // self.every
        lowest = max(0, (first - self.anchor - TICK) // self.every + 1)
        return max(0, highest - lowest + 1), True

    def document(self) -> Document:
        """Return the interval with its anchor."""
        found: Document = {
            "every": duration_text(self.every),
            "start": instant_text(self.anchor),
            "timezone": zone_text(self.zone),
        }
        if self.end is not None:
            found["end"] = instant_text(self.end)
        return found

    def words(self) -> str:
        """Return "every ..."."""
        until = "" if self.end is None else f", until {local_words(self.end, self.zone)}"
        return f"every {duration_words(self.every)}{until}"

    def _nominal(self, index: int) -> datetime | None:
        bound = LATEST if self.end is None else min(LATEST, self.end)
        if index > (bound - self.anchor) // self.every:
            return None
        return self.anchor + index * self.every
