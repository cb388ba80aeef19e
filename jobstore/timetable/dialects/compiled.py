"""A cron expression of any dialect, compiled: the same sets, whatever it was written in."""

from dataclasses import dataclass, field
from datetime import date

from jobstore.errors import InvalidTrigger
from jobstore.timetable.days import CronDays
from jobstore.timetable.dialects.words import pattern_words
from jobstore.timetable.grammar import Field, Read
from jobstore.timetable.pattern import Pattern, TimesOfDay
from jobstore.timetable.rule import Document

FIELD_NAMES = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
FIRST_YEAR, LAST_YEAR = 1970, 2099
_SOME_DAY = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class CronPattern(Pattern):
    """A normalised expression with its dialect; ``expression`` is a text, or APScheduler's eight fields in order."""

    dialect: str
    expression: str | tuple[str, ...]
    dates: CronDays = field(compare=False, repr=False)

    def document(self) -> Document:
        """Return expression and dialect."""
        if isinstance(self.expression, tuple):
            return {"cron": dict(zip(FIELD_NAMES, self.expression, strict=True)), "dialect": self.dialect}
        return {"cron": self.expression, "dialect": self.dialect}

    def words(self) -> str:
        """Return what it means in words, made from the sets and so equal for equal meanings."""
        return pattern_words(self.dates, self.times)


def compiled(
    dialect: str, expression: str | tuple[str, ...], dates: CronDays, times: TimesOfDay, *, stars: bool
) -> CronPattern:
    """Return the pattern of an expression that was read.

    ``stars`` says that minutes or hours are written as "every", so that real time is followed across clock changes.

    Raises:
        InvalidTrigger: No day can ever match.
    """
    if dates.next(_SOME_DAY) is None:
        said = expression if isinstance(expression, str) else " ".join(expression)
        raise InvalidTrigger(f"{said!r} never fires: no year has such a day")
    return CronPattern(dates, times, stars or len(times.hours) == 24, dialect, expression, dates)


def clock(seconds: Read | None, minutes: Read, hours: Read) -> TimesOfDay:
    """Return the times of day that three fields name."""
    second = frozenset({0}) if seconds is None else seconds.numbers()
    return TimesOfDay(*(tuple(sorted(values)) for values in (hours.numbers(), minutes.numbers(), second)))


def calendar(read: tuple[Read, Read, Read], of: tuple[Field, Field], years: Read | None, *, either: bool) -> CronDays:
    """Return the dates that day of month, month and day of week (in this order) name; ``of`` are the day fields."""
    days, months, weekdays = read
    return CronDays(
        days=days.day_terms(of[0]),
        weekdays=weekdays.day_terms(of[1]),
        either=either,
        months=months.numbers(),
        years=None if years is None or years.free else years.numbers(),
    )
