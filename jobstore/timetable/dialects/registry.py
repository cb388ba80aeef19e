"""Which dialects there are."""

from collections.abc import Callable
from types import MappingProxyType

from jobstore.errors import InvalidTrigger
from jobstore.timetable.dialects.apscheduler import apscheduler_pattern
from jobstore.timetable.dialects.celery import celery_pattern
from jobstore.timetable.dialects.compiled import CronPattern
from jobstore.timetable.dialects.quartz import quartz_pattern
from jobstore.timetable.dialects.unix import unix_pattern

DIALECTS: MappingProxyType[str, Callable[[object], CronPattern]] = MappingProxyType(
    {
        "unix": unix_pattern,
        "apscheduler": apscheduler_pattern,
        "celery": celery_pattern,
        "quartz": quartz_pattern,
    }
)


def cron_pattern(expression: object, dialect: object) -> CronPattern:
    """Return the pattern of an expression in the dialect of this name.

    Raises:
        InvalidTrigger: There is no such dialect, the expression is malformed, or no day can ever match it.
    """
    reader = DIALECTS.get(dialect) if isinstance(dialect, str) else None
    if reader is None:
        raise InvalidTrigger(f"the cron dialect {dialect!r:.40} is not known, use {', '.join(DIALECTS)}")
    return reader(expression)
