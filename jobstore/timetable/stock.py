"""Stock APScheduler triggers, as pickled jobs hold them, turned into rules.

Only the exact classes: a subclass may mean anything.  Everything a rule needs is read and checked here; a trigger that
a constructor would refuse today, or that would hang a scheduler, raises InvalidTrigger instead of running.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from jobstore.errors import InvalidTrigger
from jobstore.timetable.arithmetic import Every, Once
from jobstore.timetable.calendars import Calendar, check_date
from jobstore.timetable.combine import AllOf, AnyOf, Within
from jobstore.timetable.cron import Cron
from jobstore.timetable.dialects.apscheduler import apscheduler_pattern
from jobstore.timetable.dialects.unix import unix_pattern
from jobstore.timetable.durations import check_interval
from jobstore.timetable.limits import EARLIEST, LATEST
from jobstore.timetable.policy import Dst
from jobstore.timetable.rule import Rule
from jobstore.timetable.step import Step
from jobstore.timetable.trigger import UnixCronTrigger
from jobstore.timetable.zones import Zone, zone_of_stock

_DEEPEST = 4
_MOST_PARTS = 16


def rule_of_stock(trigger: BaseTrigger) -> Rule:
    """Return the rule that a stock trigger means; its jitter is left out.

    Raises:
        InvalidTrigger: It is of another class, damaged, or names no instants that can be told apart.
    """
    return _rule(trigger, 0)


def _rule(trigger: object, depth: int) -> Rule:
    reader = _READERS.get(type(trigger))
    try:
        if reader is not None:
            return reader(trigger)
        if type(trigger) in (AndTrigger, OrTrigger):
            return _combined(trigger, depth)
    except (AttributeError, TypeError, ValueError, OverflowError) as fault:
        raise InvalidTrigger(f"the {type(trigger).__name__} cannot be used: {fault}") from fault
    kind = f"{type(trigger).__module__}.{type(trigger).__qualname__}"
    raise InvalidTrigger(
        f"{kind} is not one of APScheduler's triggers (cron, interval, date, calendarinterval, and, or)"
    )


def _combined(trigger: BaseTrigger, depth: int) -> Rule:
    parts = list(trigger.triggers)
    if depth >= _DEEPEST or not 1 <= len(parts) <= _MOST_PARTS:
        raise ValueError(f"triggers combine 1 to {_MOST_PARTS} parts, at most {_DEEPEST} deep")
    rules = tuple(_rule(part, depth + 1) for part in parts)
    return AllOf(rules) if type(trigger) is AndTrigger else AnyOf(rules)


def _date(trigger: BaseTrigger) -> Rule:
    return Once(_instant(trigger.run_date), _zone(trigger.run_date.tzinfo))


def _interval(trigger: BaseTrigger) -> Rule:
    length = trigger.interval
    if not isinstance(length, timedelta):
        raise TypeError("its interval is not a timedelta")
    return Every(
        check_interval(length), _instant(trigger.start_date), _bound(trigger.end_date), _zone(trigger.timezone)
    )


def _cron(trigger: BaseTrigger) -> Rule:
    # from their texts, so that damaged or hostile field objects are never asked
    fields = {str(part.name): str(part) for part in trigger.fields}
    rule = Cron(apscheduler_pattern(fields), _zone(trigger.timezone))
    return Within.of(rule, _bound(trigger.start_date), _bound(trigger.end_date))


def _unix_cron(trigger: BaseTrigger) -> Rule:
    return Cron(unix_pattern(trigger.expression), _zone(trigger.timezone))


def _calendar(trigger: BaseTrigger) -> Rule:
    counts = (trigger.years, trigger.months, trigger.weeks, trigger.days)
    end = trigger.end_date
    return Calendar(
        Step.of(*counts),
        trigger._time.replace(tzinfo=None),
        _plain_date(trigger.start_date),
        None if end is None else _plain_date(end),
        _zone(trigger.timezone),
        Dst("skip", "first"),
    )


_READERS = {
    DateTrigger: _date,
    IntervalTrigger: _interval,
    CronTrigger: _cron,
    UnixCronTrigger: _unix_cron,
    CalendarIntervalTrigger: _calendar,
}


def _zone(zone: tzinfo | None) -> Zone:
    if zone is None:
        raise ValueError("it has no time zone")
    return zone_of_stock(zone)


def _bound(value: datetime | None) -> datetime | None:
    return None if value is None else _instant(value)


def _instant(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    return min(max(value.astimezone(UTC), EARLIEST), LATEST)


def _plain_date(value: date) -> date:
    if not isinstance(value, date):
        raise TypeError(f"{value!r} is not a date")
    return check_date(date(value.year, value.month, value.day))
