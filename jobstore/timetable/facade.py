"""``Timetable``: the only place where a trigger is evaluated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from apscheduler.triggers.base import BaseTrigger

from jobstore.errors import TriggerStuck
from jobstore.timetable.closed import Calendars
from jobstore.timetable.limits import DEFAULT_LIMITS, EARLIEST, LATEST, TICK, Limits, Meter
from jobstore.timetable.rule import Document, Rule
from jobstore.timetable.spec import read_spec
from jobstore.timetable.stock import rule_of_stock
from jobstore.timetable.stored import read_stored, stored


@dataclass(frozen=True, slots=True)
class Span:
    """The nominals between a head and now: the last of them, how many, and what follows.

    ``count`` includes the head; with ``exact`` False counting was cut at a bound and it is a lower bound.
    ``following`` None means never again.
    """

    through: datetime
    count: int
    exact: bool
    following: datetime | None


@dataclass(frozen=True, slots=True)
class Timetable:
    """The nominal instants of a job: immutable, picklable, aware UTC in and out.

    Every question is bounded in steps and time and lazy: an outage of a week costs no more than one of a second.  The
    jitter of stock triggers is ignored, because it is random and nodes must agree: nominal instants are without it.
    Two timetables are equal when they are of the same kind with the same parts, and then so are their documents.
    """

    rule: Rule
    limits: Limits = field(default=DEFAULT_LIMITS, compare=False, repr=False)

    @classmethod
    def from_spec(
        cls, spec: Mapping[str, object], *, zone: str = "UTC", now: datetime, calendars: Calendars | None = None
    ) -> "Timetable":
        """Return the timetable of a specification as users write it.

        Args:
            spec: ``cron``, ``every``, ``at``, ``calendar``, ``rrule``, ``solar``, ``any`` or ``all``, with
                ``timezone``, ``start``, ``end``, ``except``, ``shift``, ``max_firings``.
            zone: The zone where the specification names none.
            now: The anchor of an interval without ``start``, truncated to the second.
            calendars: The tenant's own calendars, by name: dates, copied into the timetable that names one.

        Raises:
            InvalidTrigger: With every fault, each in a sentence that says what is allowed.
        """
        return cls(read_spec(spec, zone, now, calendars))

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> "Timetable":
        """Return the timetable that ``to_document`` wrote (raises Unreadable otherwise)."""
        return cls(read_stored(document))

    @classmethod
    def from_trigger(cls, trigger: BaseTrigger) -> "Timetable":
        """Return the timetable that a stock APScheduler trigger means, its jitter left out.

        Clock changes follow the rule of this package, not of the class: see ``jobstore.timetable.cron``.

        Raises:
            InvalidTrigger: It is not of a stock class, damaged, or does not move forward.
        """
        return cls(rule_of_stock(trigger))

    def to_document(self) -> Document:
        """Return the normalised form for storing: texts, numbers, lists and mappings, ``v`` and everything explicit."""
        return stored(self.rule)

    def within(self, limits: Limits) -> "Timetable":
        """Return the same timetable, guarded by other limits."""
        return Timetable(self.rule, limits)

    def first(self, not_before: datetime) -> datetime | None:
        """Return the first nominal at or after ``not_before``, None when there is none.

        Raises:
            TriggerStuck: It was not found within the limits.
        """
        return self._after(_utc(not_before) - TICK, Meter(self.limits))

    def after(self, nominal: datetime) -> datetime | None:
        """Return the first nominal later than ``nominal``, computed from it and never from the present.

        Raises:
            TriggerStuck: It was not found within the limits.
        """
        return self._after(_utc(nominal), Meter(self.limits))

    def span(self, head: datetime, now: datetime) -> Span:
        """Return the nominals in ``[head, now]`` without naming each.

        Args:
            head: A nominal that is not later than ``now``.  One that the timetable no longer names (other zone data,
                an older phase) still counts as one.
            now: The upper bound.

        Raises:
            TriggerStuck: The last or the following nominal was not found within the limits.
        """
        head, now = _utc(head), _utc(now)
        if head > now:
            raise ValueError(f"the head {head} lies after {now}")
        through = self.rule.last(now, Meter(self.limits))
        if through is not None and through > now:
            raise TriggerStuck(f"the trigger named {through} as the last instant before {now}")
        following = self._after(now, Meter(self.limits))
        if through is None or through <= head:
            return Span(head, 1, exact=True, following=following)
        meter = Meter(self.limits)
        count, exact = self.rule.count(head, through, meter)
        count += self.rule.last(head, meter) != head
        return Span(through, count, exact, following)

    def describe(self) -> str:
        """Return the timetable in words, such as "every 5 seconds"."""
        return self.rule.words()

    def __reduce__(self) -> tuple[Callable[[Document], "Timetable"], tuple[Document]]:
        # by its document: a pickle then survives a change of the classes, and limits stay with the process
        return Timetable.from_document, (self.to_document(),)

    def _after(self, instant: datetime, meter: Meter) -> datetime | None:
        found = self.rule.after(instant, meter)
        if found is None or found > LATEST:
            return None
        if found <= instant:
            raise TriggerStuck(f"the trigger named {found} after {instant}")
        return found


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone; instants are aware")
    try:
        return min(max(instant.astimezone(UTC), EARLIEST), LATEST)
    except OverflowError:
        return EARLIEST if instant.year < LATEST.year else LATEST
