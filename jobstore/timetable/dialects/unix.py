"""The ``unix`` cron dialect, the default: Debian's rules, read strictly and written back in one form.

Five fields (minute, hour, day of month, month, day of week), six with seconds first, seven with years last.  Names,
lists, ranges and steps; ``L``, ``L-3``, ``15W`` and ``LW`` in the day of month, ``5L`` and ``5#2`` in the day of week;
``?`` is ``*`` in a day field; 0 and 7 are Sunday.  When both day fields are restricted a day that matches either is
meant; when one begins with ``*`` both must match.
"""

import re
from functools import lru_cache

from jobstore.errors import InvalidTrigger
from jobstore.timetable.dialects.compiled import FIRST_YEAR, LAST_YEAR, CronPattern, calendar, clock, compiled
from jobstore.timetable.grammar import MONTHS, WEEKDAYS, Field, Read, Term, plain_text, read_fields

_ALIASES = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}
_FROM_END = re.compile(r"L-(\d{1,2})")
_NEAREST = re.compile(r"(\d{1,2})W")
_NTH = re.compile(r"(\w{1,4})#([1-5])")
_LAST_WEEKDAY = re.compile(r"(\w{1,3})L")
_ANY = {"days": frozenset(range(1, 32)), "weekdays": frozenset(range(8))}


def day_of_month(field: Field, text: str) -> Term | None:
    """Return a special entry of a day of the month, None when it is none (raises Fault)."""
    if text == "?":
        return Term("*", _ANY["days"])
    if text == "L":
        return Term("L", special="from_end", value=0)
    if text == "LW":
        return Term("LW", special="nearest_from_end", value=0)
    if found := _FROM_END.fullmatch(text):
        back = int(found[1])
        return Term(f"L-{back}", special="from_end", value=field.number(str(back or 1)) if back else 0)
    if found := _NEAREST.fullmatch(text):
        day = field.number(found[1])
        return Term(f"{day}W", special="nearest", value=day)
    return None


def _day_of_week(field: Field, text: str) -> Term | None:
    if text == "?":
        return Term("*", _ANY["weekdays"])
    if found := _NTH.fullmatch(text):
        weekday = field.number(found[1]) % 7
        return Term(f"{weekday}#{found[2]}", special="nth", value=(weekday, int(found[2])))
    if found := _LAST_WEEKDAY.fullmatch(text):
        weekday = field.number(found[1]) % 7
        return Term(f"{weekday}L", special="last_weekdays", value=weekday)
    return None


_DAY = Field(
    "day of month",
    1,
    31,
    extra=", L (last day), L-3 (three days before it), 15W (Monday to Friday nearest to the 15th), LW, ?",
    special=day_of_month,
)
_WEEKDAY = Field(
    "day of week",
    0,
    7,
    WEEKDAYS,
    extra=", 5L (last Friday), 5#2 (second Friday), ?; 0 and 7 are Sunday",
    special=_day_of_week,
    sunday=0,
)
FIELDS = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    _DAY,
    Field("month", 1, 12, MONTHS, 1),
    _WEEKDAY,
    Field("year", FIRST_YEAR, LAST_YEAR),
)


@lru_cache(maxsize=8192)
def _pattern(text: str) -> CronPattern:
    parts = text.split()
    fields = FIELDS[1:6] if len(parts) == 5 else FIELDS[: len(parts)]
    read = read_fields(fields, parts)
    seconds, (minutes, hours, days, months, weekdays) = (None, read) if len(read) == 5 else (read[0], read[1:6])
    years = read[6] if len(read) == 7 else None
    either = not (days.text.startswith("*") or weekdays.text.startswith("*"))
    dates = calendar((days, months, weekdays), (_DAY, _WEEKDAY), years, either=either)
    stars = minutes.text.startswith("*") or hours.text.startswith("*")
    return compiled("unix", _spelling(read, years), dates, clock(seconds, minutes, hours), stars=stars)


def unix_pattern(expression: object) -> CronPattern:
    """Return the pattern of an expression of the unix dialect.

    Its one spelling has aliases spelled out, numbers for names, no years if any will do, and then no seconds if 0.

    Raises:
        InvalidTrigger: The expression is malformed, one fault for each wrong field, or no day can ever match it.
    """
    text = plain_text(expression)
    text = _ALIASES.get(text, text)
    if text.startswith("@"):
        raise InvalidTrigger(_wrong_alias(text))
    count = len(text.split())
    if count not in (5, 6, 7):
        raise InvalidTrigger(
            f"{str(expression)[:60]!r} has {count} fields: a cron expression has five (minute, hour, day of month, "
            "month, day of week), six with seconds first, or seven with years last"
        )
    return _pattern(text)


def _spelling(read: list[Read], years: Read | None) -> str:
    if years is not None and years.free:
        read = read[:6]
    if len(read) == 6 and read[0].text == "0":
        read = read[1:]
    return " ".join(part.text for part in read)


def _wrong_alias(text: str) -> str:
    if text.startswith("@EVERY"):
        return "@every is not cron: use `every`, for example every: 5m"
    if text == "@REBOOT":
        return "@reboot names no time: a cluster has no boot"
    return f"{text[:40].lower()} is unknown: use {', '.join(name.lower() for name in _ALIASES)}"
