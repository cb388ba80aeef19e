"""The two cron engines behind one face: cronsim for ``unix``, APScheduler's CronTrigger for ``apscheduler``.

Both are driven in civil time, where no clock changes, because neither keeps its promises across a change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from apscheduler.triggers.cron import CronTrigger
from cronsim import CronSim, CronSimError

from jobstore.errors import InvalidTrigger
from jobstore.timetable.limits import SECOND
from jobstore.timetable.pattern import Pattern, TimesOfDay
from jobstore.timetable.rule import Document
from jobstore.timetable.unix import normalise
from jobstore.timetable.words import explain_unix

_SOME_MOMENT = datetime(2000, 1, 1)  # noqa: DTZ001 - civil time has no zone


@dataclass(frozen=True, slots=True)
class UnixPattern(Pattern):
    """A normalised expression of the unix dialect, evaluated by cronsim."""

    expression: str
    sim: CronSim = field(compare=False, repr=False)

    def next(self, civil: datetime) -> datetime | None:
        """Return the first match after ``civil``."""
        # a copy, because iterating moves it; parsing again would cost twenty times as much
        sim = CronSim.__new__(CronSim)
        sim.__dict__.update(self.sim.__dict__)
        sim.dt = civil
        return next(sim, None)

    def day_matches(self, day: date) -> bool:
        """Whether the day matches."""
        return self.sim.match_day(day)

    def document(self) -> Document:
        """Return expression and dialect."""
        return {"cron": self.expression, "dialect": "unix"}

    def words(self) -> str:
        """Return the expression in words."""
        return explain_unix(self.expression)


@lru_cache(maxsize=8192)
def unix_pattern(expression: str) -> UnixPattern:
    """Return the pattern of an expression of the unix dialect.

    Raises:
        InvalidTrigger: The expression is malformed, or no day can ever match it.
    """
    normal = normalise(expression)
    never = InvalidTrigger(f"{expression.strip()!r} never fires: no year has such a day")
    try:
        sim = CronSim(normal, _SOME_MOMENT)
    except CronSimError as fault:
        raise never from fault  # the only thing left that it refuses: a day that no month of the list has
    times = TimesOfDay(*(tuple(sorted(values)) for values in (sim.hours, sim.minutes, sim.seconds)))
    stars = any(part.startswith("*") for part in normal.split()[:-3])
    interval_like = stars or len(times.hours) == 24
    pattern = UnixPattern(frozenset(sim.months), times, interval_like, normal, sim)
    if not pattern.ever_matches():
        raise never
    return pattern


@dataclass(frozen=True, slots=True)
class FieldsPattern(Pattern):
    """The eight fields of APScheduler's CronTrigger, all of which must match, evaluated by it."""

    fields: tuple[str, ...]
    trigger: CronTrigger = field(compare=False, repr=False)

    def next(self, civil: datetime) -> datetime | None:
        """Return the first match after ``civil``."""
        found: datetime | None = self.trigger.get_next_fire_time(None, civil.replace(tzinfo=UTC) + SECOND)
        return None if found is None else found.replace(tzinfo=None)

    def day_matches(self, day: date) -> bool:
        """Whether year, month, day, week and day of week all match."""
        return all(part.get_next_value(day) == part.get_value(day) for part in self.trigger.fields[:5])

    def document(self) -> Document:
        """Return all fields and the dialect."""
        return {"cron": dict(zip(CronTrigger.FIELD_NAMES, self.fields, strict=True)), "dialect": "apscheduler"}

    def words(self) -> str:
        """Return the fields as APScheduler shows them."""
        said = zip(CronTrigger.FIELD_NAMES, self.fields, strict=True)
        return "at cron fields " + ", ".join(f"{name}={text}" for name, text in said if text != "*")


def fields_pattern(fields: Mapping[str, str]) -> FieldsPattern:
    """Return the pattern of APScheduler's cron fields, all eight given.

    Raises:
        InvalidTrigger: A field is malformed or missing, or no day can ever match.
    """
    if set(fields) != set(CronTrigger.FIELD_NAMES):
        raise InvalidTrigger(f"APScheduler's cron has the fields {', '.join(CronTrigger.FIELD_NAMES)}")
    return _fields_pattern(tuple(fields[name] for name in CronTrigger.FIELD_NAMES))


@lru_cache(maxsize=8192)
def _fields_pattern(fields: tuple[str, ...]) -> FieldsPattern:
    given = dict(zip(CronTrigger.FIELD_NAMES, fields, strict=True))
    try:
        trigger = CronTrigger(**given, timezone=UTC)
        any_year = CronTrigger(**(given | {"year": "*"}), timezone=UTC)
    except ValueError as fault:
        raise InvalidTrigger(f"cron fields: {fault}") from fault
    pattern = _compiled(fields, trigger)
    if not _compiled(fields, any_year).ever_matches():
        raise InvalidTrigger(f"the cron fields {given} never fire: no year has such a day")
    return pattern


def _compiled(fields: tuple[str, ...], trigger: CronTrigger) -> FieldsPattern:
    _, month, _, _, _, hour, minute, second = trigger.fields
    months = [value for value in range(1, 13) if month.get_next_value(date(2000, value, 1)) == value]
    clocks = [
        tuple(n for n in range(top) if part.get_next_value(_SOME_MOMENT + n * unit) == n)
        for part, top, unit in (
            (hour, 24, timedelta(hours=1)),
            (minute, 60, timedelta(minutes=1)),
            (second, 60, SECOND),
        )
    ]
    stars = any(text.startswith("*") for text in fields[5:7])
    return FieldsPattern(frozenset(months), TimesOfDay(*clocks), stars or len(clocks[0]) == 24, fields, trigger)
