"""The ``quartz`` dialect: seconds first, weekdays from 1 (Sunday) to 7, exactly one day field is ``?``.

As Quartz 2 documents it: six fields, or seven with years; names, lists, steps, ranges that may run over the end;
``L``, ``L-3``, ``15W``, ``LW`` and ``L-3W`` in the day of month; ``L``, ``6L`` and ``6#2`` in the day of week.
"""

import re
from functools import lru_cache

from jobstore.errors import InvalidTrigger
from jobstore.timetable.dialects.compiled import FIRST_YEAR, LAST_YEAR, CronPattern, calendar, clock, compiled
from jobstore.timetable.dialects.unix import day_of_month
from jobstore.timetable.grammar import MONTHS, WEEKDAYS, Field, Term, plain_text, read_fields

_NEAREST_FROM_END = re.compile(r"L-(\d{1,2})W")
_NTH = re.compile(r"(\w{1,4})#([1-5])")
_LAST_WEEKDAY = re.compile(r"(\w{1,3})L")


def _day_of_month(field: Field, text: str) -> Term | None:
    if text == "?":
        return Term("?", frozenset(range(1, 32)))
    if found := _NEAREST_FROM_END.fullmatch(text):
        back = int(found[1])
        if back:
            field.number(str(back))
        return Term(f"L-{back}W" if back else "LW", special="nearest_from_end", value=back)
    return day_of_month(field, text)


def _day_of_week(field: Field, text: str) -> Term | None:
    if text == "?":
        return Term("?", frozenset(range(1, 8)))
    if text == "L":
        # alone it is the last day of the week
        return Term("7", frozenset({7}))
    if found := _NTH.fullmatch(text):
        weekday = field.number(found[1])
        return Term(f"{weekday}#{found[2]}", special="nth", value=(weekday - 1, int(found[2])))
    if found := _LAST_WEEKDAY.fullmatch(text):
        weekday = field.number(found[1])
        return Term(f"{weekday}L", special="last_weekdays", value=weekday - 1)
    return None


_DAY = Field(
    "day of month",
    1,
    31,
    extra=", ?, L (last day), L-3, 15W (Monday to Friday nearest to the 15th), LW, L-3W",
    special=_day_of_month,
    wraps=True,
)
_WEEKDAY = Field(
    "day of week",
    1,
    7,
    WEEKDAYS,
    1,
    extra=", ?, L (Saturday), 6L (last Friday), 6#2 (second Friday); 1 is Sunday",
    special=_day_of_week,
    wraps=True,
    sunday=1,
)
FIELDS = (
    Field("second", 0, 59, wraps=True),
    Field("minute", 0, 59, wraps=True),
    Field("hour", 0, 23, wraps=True),
    _DAY,
    Field("month", 1, 12, MONTHS, 1, wraps=True),
    _WEEKDAY,
    Field("year", FIRST_YEAR, LAST_YEAR),
)


@lru_cache(maxsize=8192)
def _pattern(text: str) -> CronPattern:
    parts = [f"0{part}" if part.startswith("/") else part for part in text.split()]
    read = read_fields(FIELDS[: len(parts)], parts)
    seconds, minutes, hours, days, months, weekdays = read[:6]
    if (days.text == "?") == (weekdays.text == "?"):
        raise InvalidTrigger("exactly one of day of month and day of week is ? in quartz, the other one restricts")
    years = read[6] if len(read) == 7 else None
    dates = calendar((days, months, weekdays), (_DAY, _WEEKDAY), years, either=False)
    stars = any(part.text.startswith(("*", "0/")) for part in (minutes, hours))
    kept = read[:6] if years is not None and years.free else read
    return compiled("quartz", " ".join(part.text for part in kept), dates, clock(seconds, minutes, hours), stars=stars)


def quartz_pattern(expression: object) -> CronPattern:
    """Return the pattern of an expression of the quartz dialect.

    Raises:
        InvalidTrigger: The expression is malformed, one fault for each wrong field, or no day can ever match it.
    """
    text = plain_text(expression)
    count = len(text.split())
    if count not in (6, 7):
        raise InvalidTrigger(
            f"{str(expression)[:60]!r} has {count} fields: a quartz expression has six (second, minute, hour, day of "
            "month, month, day of week), or seven with years"
        )
    return _pattern(text)
