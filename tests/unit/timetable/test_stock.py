"""Stock triggers: what pickled jobs hold, with the faults of the bare classes gone."""

import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytz
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from jobstore.errors import InvalidTrigger, TriggerStuck
from jobstore.timetable import Limits, Timetable, UnixCronTrigger

START = datetime(2026, 1, 1, tzinfo=UTC)


def hours(count: int, start: datetime = START, **more: Any) -> IntervalTrigger:
    return IntervalTrigger(hours=count, start_date=start, timezone=UTC, **more)


def some(timetable: Timetable, count: int, start: datetime = START) -> list[datetime]:
    found, instant = [], timetable.first(start)
    while instant is not None and len(found) < count:
        found.append(instant)
        instant = timetable.after(instant)
    return found


@pytest.mark.parametrize(
    "interval", [timedelta(seconds=-5), timedelta(0), timedelta(microseconds=1), timedelta(days=99_999)]
)
def test_an_interval_that_would_hang_a_scheduler_is_refused(interval: timedelta) -> None:
    trigger = hours(1)
    trigger.interval = interval
    trigger = pickle.loads(pickle.dumps(trigger))
    with pytest.raises(InvalidTrigger, match="interval is at"):
        Timetable.from_trigger(trigger)


def test_a_stock_interval_is_kept_to_the_microsecond() -> None:
    start = datetime(2026, 1, 1, 0, 0, 0, 123_457, tzinfo=ZoneInfo("Europe/Berlin"))
    timetable = Timetable.from_trigger(IntervalTrigger(seconds=1, start_date=start, timezone="Europe/Berlin"))
    assert some(timetable, 2) == [START + timedelta(microseconds=123_457 + second * 10**6) for second in (0, 1)]
    assert Timetable.from_document(timetable.to_document()) == timetable


def test_jitter_moves_no_nominal() -> None:
    plain, jittered = CronTrigger(minute="*/5", timezone=UTC), CronTrigger(minute="*/5", timezone=UTC, jitter=900)
    assert Timetable.from_trigger(jittered) == Timetable.from_trigger(plain)
    assert Timetable.from_trigger(hours(1, jitter=9999)) == Timetable.from_trigger(hours(1))
    both = OrTrigger([hours(1, jitter=5), hours(2)], jitter=60)
    assert some(Timetable.from_trigger(both), 2) == [START, START + timedelta(hours=1)]


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        (pytz.timezone("Europe/Berlin"), "Europe/Berlin"),
        (ZoneInfo("Asia/Kathmandu"), "Asia/Kathmandu"),
        (pytz.utc, "UTC"),
        (pytz.FixedOffset(330), "+05:30"),
        (timezone(timedelta(hours=-3, minutes=-30)), "-03:30"),
    ],
)
def test_the_zones_of_old_pickles_are_understood(zone: Any, name: str) -> None:
    trigger = DateTrigger(datetime(2026, 1, 1, 12, tzinfo=UTC))
    trigger.run_date = trigger.run_date.astimezone(zone)
    document = Timetable.from_trigger(trigger).to_document()
    assert document == {"v": 1, "at": "2026-01-01T12:00:00.000Z", "timezone": name}
    assert Timetable.from_document(document).to_document() == document


def test_cron_fields_keep_apschedulers_meaning() -> None:
    # here weekday 0 is Monday, and day and weekday must both match
    timetable = Timetable.from_trigger(CronTrigger.from_crontab("0 0 1-7 * 0", timezone="UTC"))
    assert [each.strftime("%a %d %b") for each in some(timetable, 2)] == ["Mon 05 Jan", "Mon 02 Feb"]
    third = Timetable.from_trigger(CronTrigger(day="3rd fri, last", hour=5, timezone=UTC))
    assert [each.strftime("%a %d %b") for each in some(third, 3)] == ["Fri 16 Jan", "Sat 31 Jan", "Fri 20 Feb"]
    week = Timetable.from_trigger(CronTrigger(week=53, day_of_week="sun", timezone=UTC))
    assert some(week, 1) == [datetime(2027, 1, 3, tzinfo=UTC)]


def test_cron_fields_with_bounds_and_a_year_end() -> None:
    trigger = CronTrigger(
        year=2026, month="jan-feb", day=31, start_date="2026-01-02", end_date="2026-12-31", timezone=UTC
    )
    timetable = Timetable.from_trigger(trigger)
    assert some(timetable, 5) == [datetime(2026, 1, 31, tzinfo=UTC)]
    assert timetable.first(datetime(2050, 1, 1, tzinfo=UTC)) is None
    assert Timetable.from_document(timetable.to_document()) == timetable


def test_a_date_that_never_comes_is_refused() -> None:
    with pytest.raises(InvalidTrigger, match="never fire"):
        Timetable.from_trigger(CronTrigger(month=2, day=30, timezone=UTC))


def test_going_back_owes_nothing_twice() -> None:
    # bare, asked five minutes in the past after a firing at noon, this returns noon again
    timetable = Timetable.from_trigger(CronTrigger(hour=12, timezone=UTC))
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert timetable.after(noon) == noon + timedelta(days=1)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([hours(2), hours(3)], [START, START + timedelta(hours=6), START + timedelta(hours=12)]),
        (
            [CronTrigger(day_of_week="mon", hour=9, timezone=UTC), CronTrigger(day="1-7", hour=9, timezone=UTC)],
            [datetime(2026, month, day, 9, tzinfo=UTC) for month, day in ((1, 5), (2, 2), (3, 2))],
        ),
        (
            [
                CalendarIntervalTrigger(weeks=1, start_date=date(2025, 12, 1), timezone=UTC),
                CronTrigger(hour=0, timezone=UTC),
            ],
            [datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 12, tzinfo=UTC)],
        ),
    ],
)
def test_and_names_what_all_parts_name(parts: list[BaseTrigger], expected: list[datetime]) -> None:
    timetable = Timetable.from_trigger(AndTrigger(parts))
    assert some(timetable, len(expected)) == expected
    span = timetable.span(expected[0], expected[-1] + timedelta(minutes=1))
    assert (span.through, span.count, span.exact) == (expected[-1], len(expected), True)


def test_and_that_never_meets_is_stuck_within_its_bounds() -> None:
    apart = AndTrigger([hours(2), hours(2, start=START + timedelta(hours=1))])
    with pytest.raises(TriggerStuck, match="500 steps"):
        Timetable.from_trigger(apart).within(Limits(steps=500)).first(START)
    ticks = iter(range(10**6))
    slow = Limits(steps=10**9, seconds=30, monotonic=lambda: float(next(ticks)))
    with pytest.raises(TriggerStuck, match="30 s"):
        Timetable.from_trigger(apart).within(slow).first(START)
    with pytest.raises(TriggerStuck):
        Timetable.from_trigger(apart).span(START, START + timedelta(days=1))


def test_a_process_that_was_frozen_takes_no_healthy_trigger_for_stuck() -> None:
    ticks = iter([0.0, 3600.0, 7200.0])
    limits = Limits(monotonic=lambda: next(ticks))
    assert Timetable.from_trigger(hours(1)).within(limits).after(START) == START + timedelta(hours=1)


def test_or_keeps_the_phase_of_each_part() -> None:
    # bare, each part is counted from the last firing of any
    timetable = Timetable.from_trigger(OrTrigger([hours(2), hours(3)]))
    assert [(each - START) // timedelta(hours=1) for each in some(timetable, 6)] == [0, 2, 3, 4, 6, 8]
    span = timetable.span(START, START + timedelta(hours=9))
    assert (span.through, span.count, span.exact) == (START + timedelta(hours=9), 7, True)


def test_counting_parts_stops_at_a_bound_and_says_so() -> None:
    timetable = Timetable.from_trigger(OrTrigger([IntervalTrigger(seconds=1, start_date=START, timezone=UTC)]))
    span = timetable.span(START, START + timedelta(days=7))
    assert span.through == START + timedelta(days=7)
    assert not span.exact
    assert 1000 < span.count < 604_801


def test_an_empty_or_too_deep_combination_is_refused() -> None:
    with pytest.raises(InvalidTrigger, match="1 to 16 parts"):
        Timetable.from_trigger(AndTrigger([]))
    deep: BaseTrigger = hours(1)
    for _ in range(6):
        deep = OrTrigger([deep])
    with pytest.raises(InvalidTrigger, match="4 deep"):
        Timetable.from_trigger(deep)


class Custom(BaseTrigger):  # type: ignore[misc]
    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        raise AssertionError("never asked")


class Inherited(CronTrigger):  # type: ignore[misc]
    pass


@pytest.mark.parametrize("trigger", [Custom(), Inherited(timezone=UTC), OrTrigger([Custom()]), None, "cron"])
def test_other_classes_are_refused_unasked(trigger: Any) -> None:
    with pytest.raises(InvalidTrigger, match="is not one of APScheduler's triggers"):
        Timetable.from_trigger(trigger)


def test_a_damaged_trigger_is_refused() -> None:
    with pytest.raises(InvalidTrigger, match="IntervalTrigger cannot be used"):
        Timetable.from_trigger(IntervalTrigger.__new__(IntervalTrigger))
    calendar = CalendarIntervalTrigger(days=1, timezone=UTC)
    calendar.days = -1
    with pytest.raises(InvalidTrigger, match="whole numbers"):
        Timetable.from_trigger(calendar)


def test_the_unix_trigger_speaks_apschedulers_language() -> None:
    trigger = UnixCronTrigger("30 2 * * SUN", "Europe/Berlin")
    copy = pickle.loads(pickle.dumps(trigger))
    gap = copy.get_next_fire_time(None, datetime(2026, 3, 28, tzinfo=UTC))
    assert gap.isoformat() == "2026-03-29T03:00:00+02:00"
    assert copy.get_next_fire_time(gap, gap).isoformat() == "2026-04-05T02:30:00+02:00"
    assert Timetable.from_trigger(copy) == Timetable.from_spec(
        {"cron": "30 2 * * 0", "timezone": "Europe/Berlin"}, now=START
    )
    nested = pickle.loads(pickle.dumps(OrTrigger([trigger, hours(1)])))
    assert some(Timetable.from_trigger(nested), 1) == [START]
    with pytest.raises(InvalidTrigger, match="no time zone"):
        UnixCronTrigger("0 0 * * *", "Mars/Base")
