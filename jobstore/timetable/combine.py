"""Rules made of rules: bounds around one, its first so many, all of several at once, any of several."""

from dataclasses import dataclass, field
from datetime import datetime

from jobstore.timetable.limits import EARLIEST, TICK, Meter
from jobstore.timetable.moments import instant_text
from jobstore.timetable.rule import Document, Mark, Rule


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

    def marks(self, instant: datetime) -> frozenset[Mark]:
        """Return what the rule says."""
        return self.rule.marks(instant)

    def unfiltered(self) -> Rule:
        """Return the same of the rule with nothing left out."""
        return Within(self.rule.unfiltered(), self.start, self.end)

    def why_not(self, instant: datetime) -> Mark | None:
        """Return what the rule says."""
        return self.rule.why_not(instant)

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
class Limited(Rule):
    """The first ``most`` instants of ``rule``, whatever becomes of them."""

    rule: Rule
    most: int
    _final: list[datetime | None] = field(default_factory=list, compare=False, repr=False)

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the first instant later than ``instant`` among them."""
        found = self.rule.after(instant, meter)
        final = self._last_of_all(meter)
        return None if found is None or final is None or found > final else found

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last instant not later than ``instant`` among them."""
        final = self._last_of_all(meter)
        return None if final is None else self.rule.last(min(instant, final), meter)

    def count(self, first: datetime, through: datetime, meter: Meter) -> tuple[int, bool]:
        """Return the number of instants between."""
        final = self._last_of_all(meter)
        return (0, True) if final is None or final < first else self.rule.count(first, min(through, final), meter)

    def marks(self, instant: datetime) -> frozenset[Mark]:
        """Return what the rule says."""
        return self.rule.marks(instant)

    def unfiltered(self) -> Rule:
        """Return what lies between the first and the last, with nothing left out."""
        meter = Meter()
        return Within(self.rule.unfiltered(), self.rule.after(EARLIEST, meter), self._last_of_all(meter))

    def why_not(self, instant: datetime) -> Mark | None:
        """Return what the rule says."""
        return self.rule.why_not(instant)

    def document(self) -> Document:
        """Return the rule with the number."""
        return self.rule.document() | {"max_firings": self.most}

    def words(self) -> str:
        """Return the rule in words, with the number."""
        return f"{self.rule.words()}, {self.most} time{'s' if self.most > 1 else ''} at most"

    def _last_of_all(self, meter: Meter) -> datetime | None:
        """Return the last of them, found once: it never changes."""
        if not self._final:
            found = self.rule.after(EARLIEST, meter)
            for _ in range(self.most - 1):
                following = None if found is None else self.rule.after(found, meter)
                if following is None:
                    break
                found = following
            self._final.append(found)
        return self._final[0]


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

    def marks(self, instant: datetime) -> frozenset[Mark]:
        """Return what the parts say."""
        return frozenset().union(*(part.marks(instant) for part in self.parts))

    def unfiltered(self) -> Rule:
        """Return the same of the parts with nothing left out."""
        return AllOf(tuple(part.unfiltered() for part in self.parts))

    def why_not(self, instant: datetime) -> Mark | None:
        """Return what the first part says that does not name ``instant``."""
        return next((part.why_not(instant) for part in self.parts if part.last(instant, Meter()) != instant), None)

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

    def marks(self, instant: datetime) -> frozenset[Mark]:
        """Return what those parts say that name ``instant``."""
        named = [part for part in self.parts if part.last(instant, Meter()) == instant]
        return frozenset().union(*(part.marks(instant) for part in named))

    def unfiltered(self) -> Rule:
        """Return the same of the parts with nothing left out."""
        return AnyOf(tuple(part.unfiltered() for part in self.parts))

    def why_not(self, instant: datetime) -> Mark | None:
        """Return what the first part says that would name ``instant``."""
        would = (part for part in self.parts if part.unfiltered().last(instant, Meter()) == instant)
        return next((part.why_not(instant) for part in would), None)

    def document(self) -> Document:
        """Return the parts."""
        return {"or": [part.document() for part in self.parts]}

    def words(self) -> str:
        """Return the parts in words."""
        return "each of: " + "; ".join(part.words() for part in self.parts)
