"""The ``apscheduler`` dialect: CronTrigger's eight fields, or the five of its ``from_crontab``.

Weekday 0 is Monday, every field must match.  APScheduler's own parser reads each field, after a check that it takes
all of it: by itself it drops the ``#2`` of ``FRI#2`` without a word.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from functools import lru_cache
from typing import Any

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.cron.expressions import (
    LastDayOfMonthExpression,
    RangeExpression,
    WeekdayPositionExpression,
)
from apscheduler.triggers.cron.fields import MAX_VALUES, MIN_VALUES

from jobstore.errors import InvalidTrigger
from jobstore.timetable.days import ALL_MONTHS, CronDays, DayTerms
from jobstore.timetable.dialects.compiled import FIELD_NAMES, CronPattern, compiled
from jobstore.timetable.grammar import LONGEST, plain_text
from jobstore.timetable.pattern import TimesOfDay

_CRONTAB = ("minute", "hour", "day", "month", "day_of_week")
_NUMBERS = r"\*(/\d{1,4})?|\d{1,4}(-\d{1,4})?(/\d{1,4})?"
_NAMES = r"[a-z]{3}(-[a-z]{3})?"
_TERMS = {
    "month": re.compile(f"{_NUMBERS}|{_NAMES}"),
    "day": re.compile(rf"{_NUMBERS}|last|(1st|2nd|3rd|4th|5th|last) +[a-z]{{3}}"),
    "day_of_week": re.compile(f"{_NUMBERS}|{_NAMES}"),
}
_PLAIN = re.compile(_NUMBERS)


def apscheduler_pattern(expression: object) -> CronPattern:
    """Return the pattern of a text of five fields, or of a mapping of CronTrigger's keywords.

    Keywords that are left out are filled as CronTrigger does it: ``*`` before the last one given, the least after it.

    Raises:
        InvalidTrigger: A field is malformed or unknown, or no day can ever match.
    """
    if isinstance(expression, Mapping):
        fields = {str(name): _field(str(name), value) for name, value in expression.items()}
        unknown = [name[:40] for name in fields if name not in FIELD_NAMES]
        if unknown:
            raise InvalidTrigger(
                f"APScheduler's cron has the fields {', '.join(FIELD_NAMES)}, not {', '.join(unknown)}"
            )
        if not fields:
            raise InvalidTrigger("APScheduler's cron needs at least one field, such as {minute: 5}")
    else:
        parts = plain_text(expression).lower().split()
        if len(parts) != len(_CRONTAB):
            raise InvalidTrigger(
                f"{str(expression)[:60]!r} has {len(parts)} fields: APScheduler's from_crontab takes five (minute, "
                "hour, day, month, day of week); give a mapping of its keywords for more"
            )
        fields = dict(zip(_CRONTAB, parts, strict=True))
    faults = [fault for name, text in fields.items() for fault in _faults(name, text)]
    if faults:
        raise InvalidTrigger(*faults)
    return _pattern(tuple(sorted(fields.items())))


@lru_cache(maxsize=8192)
def _pattern(given: tuple[tuple[str, str], ...]) -> CronPattern:
    try:
        trigger = CronTrigger(**dict(given), timezone=UTC)
    except ValueError as fault:
        raise InvalidTrigger(f"cron fields: {fault}") from fault
    fields = tuple(str(part) for part in trigger.fields)
    year, month, day, week, weekday, hour, minute, second = trigger.fields
    days = CronDays(
        days=_day_terms(day),
        weekdays=None if _free(weekday) else DayTerms(weekdays=frozenset((n + 1) % 7 for n in _numbers(weekday))),
        either=False,
        months=ALL_MONTHS if _free(month) else _numbers(month),
        years=None if _free(year) else _numbers(year),
        weeks=None if _free(week) else _numbers(week),
    )
    times = TimesOfDay(*(tuple(sorted(_numbers(part))) for part in (hour, minute, second)))
    return compiled("apscheduler", fields, days, times, stars=any(text.startswith("*") for text in fields[5:7]))


def _field(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or len(str(value)) > LONGEST:
        raise InvalidTrigger(f"{name[:40]} is a number or a text, not {value!r:.40}")
    return str(value).strip().lower()


def _faults(name: str, text: str) -> list[str]:
    allowed = _TERMS.get(name, _PLAIN)
    return [
        f"{name} {text[:40]!r}: {term[:20]!r} is not understood by APScheduler, or only in part"
        for term in re.split(r" *, *", text)
        if allowed.fullmatch(term) is None
    ]


def _free(part: Any) -> bool:
    return str(part) == "*"


def _numbers(part: Any) -> frozenset[int]:
    """Return the numbers that a field names, from the expressions that APScheduler's parser made."""
    low, high = MIN_VALUES[part.name], MAX_VALUES[part.name]
    found: set[int] = set()
    for each in part.expressions:
        if isinstance(each, WeekdayPositionExpression | LastDayOfMonthExpression):
            continue
        first, last = (each.first, each.last) if isinstance(each, RangeExpression) else (low, high)
        found.update(range(max(low, first), (high if last is None else last) + 1, each.step or 1))
    return frozenset(found)


def _day_terms(part: Any) -> DayTerms | None:
    if _free(part):
        return None
    nth, last_weekdays, from_end = set(), set(), set()
    for each in part.expressions:
        if isinstance(each, LastDayOfMonthExpression):
            from_end.add(0)
        elif isinstance(each, WeekdayPositionExpression):
            weekday = (each.weekday + 1) % 7
            if each.option_num < 5:
                nth.add((weekday, each.option_num + 1))
            else:
                last_weekdays.add(weekday)
    return DayTerms(
        days=_numbers(part),
        from_end=frozenset(from_end),
        nth=frozenset(nth),
        last_weekdays=frozenset(last_weekdays),
    )
