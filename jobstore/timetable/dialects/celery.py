"""The ``celery`` dialect: what ``celery.schedules.crontab`` takes.

A text of five fields, or a mapping of its keywords.  Weekdays from 0 (Sunday) to 6, names, lists, ranges that may run
over the end, steps on ``*`` and on ranges; day of month *and* day of week must match.  No ``L``, ``W``, ``#`` or ``?``.
"""

from collections.abc import Mapping
from functools import lru_cache

from jobstore.errors import InvalidTrigger
from jobstore.timetable.dialects.compiled import CronPattern, calendar, clock, compiled
from jobstore.timetable.grammar import MONTHS, WEEKDAYS, Field, plain_text, read_fields

KEYWORDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")

_DAY = Field("day of month", 1, 31, wraps=True, open_steps=False)
_WEEKDAY = Field(
    "day of week", 0, 6, WEEKDAYS, extra="; 0 is Sunday and there is no 7", wraps=True, open_steps=False, sunday=0
)
FIELDS = (
    Field("minute", 0, 59, wraps=True, open_steps=False),
    Field("hour", 0, 23, wraps=True, open_steps=False),
    _DAY,
    Field("month", 1, 12, MONTHS, 1, wraps=True, open_steps=False),
    _WEEKDAY,
)


@lru_cache(maxsize=8192)
def _pattern(text: str) -> CronPattern:
    read = read_fields(FIELDS, text.split())
    minutes, hours, days, months, weekdays = read
    dates = calendar((days, months, weekdays), (_DAY, _WEEKDAY), None, either=False)
    stars = minutes.text.startswith("*") or hours.text.startswith("*")
    return compiled("celery", " ".join(part.text for part in read), dates, clock(None, minutes, hours), stars=stars)


def celery_pattern(expression: object) -> CronPattern:
    """Return the pattern of a Celery crontab, given as a text or as a mapping of its keywords.

    Raises:
        InvalidTrigger: The expression is malformed, one fault for each wrong field, or no day can ever match it.
    """
    text = plain_text(_joined(expression) if isinstance(expression, Mapping) else expression)
    count = len(text.split())
    if count != 5:
        raise InvalidTrigger(
            f"{str(expression)[:60]!r} has {count} fields: a Celery crontab has five (minute, hour, day of month, "
            "month, day of week)"
        )
    return _pattern(text)


def _joined(keywords: Mapping[object, object]) -> str:
    unknown = [str(key)[:40] for key in keywords if key not in KEYWORDS]
    if unknown:
        raise InvalidTrigger(f"a Celery crontab has the keywords {', '.join(KEYWORDS)}, not {', '.join(unknown)}")
    return " ".join(_field(name, keywords.get(name, "*")) for name in KEYWORDS)


def _field(name: str, value: object) -> str:
    values = value if isinstance(value, list | tuple | set | frozenset) else [value]
    if not values or not all(isinstance(each, str | int) and not isinstance(each, bool) for each in values):
        raise InvalidTrigger(f"{name} is a text, a number or a list of numbers, not {value!r:.40}")
    # spaces would make two fields of one
    return ",".join("".join(str(each).split()) for each in values) or "-"
