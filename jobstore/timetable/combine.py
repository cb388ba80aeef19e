"""Rules made of rules: bounds around one, all of several at once, any of several."""

from dataclasses import dataclass
from datetime import datetime

from jobstore.timetable.limits import TICK, Meter
from jobstore.timetable.moments import instant_text
from jobstore.timetable.rule import Document, Rule


@dataclass(frozen=True, slots=True)
class Within(Rule):
    """The instants of ``rule`` in ``[start, end]``."""

    rule: Rule
    start: datetime | None
    end: datetime | None

    @staticmethod
    def of(rule: Rule, start: datetime | None, end: datetime | None) -> Rule:
        """Return ``rule`` within bounds, or itself when there are none."""
        return rule if start is None and end is None else Within(rule, start, end)

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the first instant later than ``instant`` within the bounds."""
        if self.start is not None:
            instant = max(instant, self.start - TICK)
        found = self.rule.after(instant, meter)
        return None if found is None or (self.end is not None and found > self.end) else found

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last instant not later than ``instant`` within the bounds."""
        if self.end is not None:
            instant = min(instant, self.end)
        found = self.rule.last(instant, meter)
        return None if found is None or (self.start is not None and found < self.start) else found

    def count(self, first: datetime, through: datetime, meter: Meter) -> tuple[int, bool]:
        """Return the number of instants between, within the bounds."""
        first = first if self.start is None else max(first, self.start)
        through = through if self.end is None else min(through, self.end)
        return self.rule.count(first, through, meter) if first <= through else (0, True)

    def document(self) -> Document:
        """Return the rule with its bounds."""
        bounds = (("start", self.start), ("end", self.end))
        return self.rule.document() | {name: instant_text(bound) for name, bound in bounds if bound is not None}

    def words(self) -> str:
        """Return the rule in words, with its bounds in UTC."""
        start = "" if self.start is None else f", from {instant_text(self.start)}"
        end = "" if self.end is None else f", until {instant_text(self.end)}"
        return self.rule.words() + start + end


@dataclass(frozen=True, slots=True)
class AllOf(Rule):
    """The instants that every part names.  Parts that never meet end in TriggerStuck, within the meter's bounds."""

    parts: tuple[Rule, ...]

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the first common instant later than ``instant``: whoever is behind catches up with the foremost."""
        while True:
            meter.step()
            found = [part.after(instant, meter) for part in self.parts]
            named = [each for each in found if each is not None]
            if len(named) < len(found):
                return None
            foremost = max(named)
            if min(named) == foremost:
                return foremost
            instant = foremost - TICK

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last common instant not later than ``instant``."""
        while True:
            meter.step()
            found = [part.last(instant, meter) for part in self.parts]
            named = [each for each in found if each is not None]
            if len(named) < len(found):
                return None
            hindmost = min(named)
            if max(named) == hindmost:
                return hindmost
            instant = hindmost

    def document(self) -> Document:
        """Return the parts."""
        return {"and": [part.document() for part in self.parts]}

    def words(self) -> str:
        """Return the parts in words."""
        return "whenever these agree: " + "; ".join(part.words() for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf(Rule):
    """The instants that at least one part names; each part keeps its own phase."""

    parts: tuple[Rule, ...]

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the first instant of any part later than ``instant``."""
        return min((found for part in self.parts if (found := part.after(instant, meter)) is not None), default=None)

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last instant of any part not later than ``instant``."""
        return max((found for part in self.parts if (found := part.last(instant, meter)) is not None), default=None)

    def document(self) -> Document:
        """Return the parts."""
        return {"or": [part.document() for part in self.parts]}

    def words(self) -> str:
        """Return the parts in words."""
        return "each of: " + "; ".join(part.words() for part in self.parts)
