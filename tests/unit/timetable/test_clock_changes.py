"""Gaps and overlaps: fixed times come once, interval-like patterns follow real time."""

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.cron import CronTrigger

from jobstore.timetable import Limits, Timetable

BERLIN, CAIRO, LORD_HOWE = "Europe/Berlin", "Africa/Cairo", "Australia/Lord_Howe"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def listed(timetable: Timetable, start: str, end: str) -> list[str]:
    """The UTC instants of [start, end], as "DD HH:MM"."""
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    found, instant = [], timetable.first(first)
    while instant is not None and instant <= last:
        found.append(instant)
        instant = timetable.after(instant)
    if found:
        span = timetable.span(found[0], last)
        assert (span.through, span.count, span.exact, span.following) == (found[-1], len(found), True, instant)
    return [each.strftime("%d %H:%M") for each in found]


CASES = [
    # zone, unix, APScheduler's fields, from, to (UTC), instants
    (BERLIN, "30 2 * * *", {"hour": 2, "minute": 30}, "2026-03-28", "2026-03-30", ["28 01:30", "29 01:00"]),
    (BERLIN, "30 2 * * *", {"hour": 2, "minute": 30}, "2026-10-24", "2026-10-26", ["24 00:30", "25 00:30"]),
    # several times in one gap are one instant, and the time just after it is not a second one
    (BERLIN, "0,30 2,3 29 3 *", None, "2026-03-28", "2026-03-30", ["29 01:00", "29 01:30"]),
    (BERLIN, "0 * * * *", {"minute": 0}, "2026-03-29", "2026-03-29T02:00", ["29 00:00", "29 01:00", "29 02:00"]),
    (
        BERLIN,
        "*/20 * * * *",
        {"minute": "*/20"},
        "2026-10-24T23:40",
        "2026-10-25T02:00",
        ["24 23:40", *(f"25 0{hour}:{minute}" for hour in (0, 1) for minute in ("00", "20", "40")), "25 02:00"],
    ),
    # naming every hour is hourly too
    (BERLIN, "0 0-23 * * *", {"hour": "0-23"}, "2026-10-25", "2026-10-25T02:00", ["25 00:00", "25 01:00", "25 02:00"]),
    (CAIRO, "0 0 * * *", {"hour": 0}, "2026-04-22T12:00", "2026-04-25", ["22 22:00", "23 22:00", "24 21:00"]),
    ("Asia/Beirut", "0 0 * * *", {"hour": 0}, "2026-03-28", "2026-03-30", ["28 22:00", "29 21:00"]),
    # half an hour: gap 02:00-02:30 in October, overlap 01:30-02:00 in April
    (LORD_HOWE, "15 2 * * *", {"hour": 2, "minute": 15}, "2026-10-03", "2026-10-05", ["03 15:30", "04 15:15"]),
    (LORD_HOWE, "45 1 * * *", {"hour": 1, "minute": 45}, "2026-04-04", "2026-04-06", ["04 14:45", "05 15:15"]),
    (
        LORD_HOWE,
        "*/15 * * * *",
        {"minute": "*/15"},
        "2026-04-04T14:30",
        "2026-04-04T15:30",
        ["04 14:30", "04 14:45", "04 15:00", "04 15:15", "04 15:30"],
    ),
    # cronsim by itself walks past 02:00 here
    (LORD_HOWE, "0 */2 * * *", {"hour": "*/2"}, "2026-04-04T12:00", "2026-04-04T18:00", ["04 13:00", "04 15:30", "04 17:30"]),
    ("Asia/Kathmandu", "0 0 * * *", {"hour": 0}, "2026-05-01", "2026-05-02", ["01 18:15"]),
    ("America/Sao_Paulo", "0 0 * * *", {"hour": 0}, "2026-01-01", "2026-01-02", ["01 03:00"]),
    # in 2018 Brazil still changed its clocks, at midnight
    ("America/Sao_Paulo", "0 0 * * *", {"hour": 0}, "2018-11-03", "2018-11-05", ["03 03:00", "04 03:00"]),
    # a whole day left out
    ("Pacific/Apia", "0 12 * * *", {"hour": 12}, "2011-12-29", "2011-12-31", ["29 22:00", "30 10:00", "30 22:00"]),
    # stock stands still in the 23-hour Sunday and loses the Monday
    ("US/Central", "0 0 * * 0-4", {"hour": 0, "day_of_week": "sun,mon-thu"}, "2021-03-12", "2021-03-16", ["14 06:00", "15 05:00"]),
    # leap day and year's end
    ("UTC", "0 0 29 2 *", {"month": 2, "day": 29}, "2026-01-01", "2030-01-01", ["29 00:00"]),
    (BERLIN, "0 0 1 1 *", {"month": 1, "day": 1}, "2026-12-01", "2027-02-01", ["31 23:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "unix", "fields", "start", "end", "expected"), CASES)
def test_a_unix_expression_keeps_the_rule(
    zone: str, unix: str, fields: object, start: str, end: str, expected: list[str]
) -> None:
    timetable = Timetable.from_spec({"cron": unix, "timezone": zone}, now=NOW)
    assert listed(timetable, start, end) == expected


@pytest.mark.parametrize(("zone", "unix", "fields", "start", "end", "expected"), [case for case in CASES if case[2]])
def test_a_stock_cron_trigger_keeps_the_same_rule(
    zone: str, unix: str, fields: dict[str, object], start: str, end: str, expected: list[str]
) -> None:
    timetable = Timetable.from_trigger(CronTrigger(**fields, timezone=zone))
    assert listed(timetable, start, end) == expected


@pytest.mark.parametrize("pattern", ["30 2 * * *", "*/30 * * * *", "0 */4 * * *", "*/30 2 * * *"])
@pytest.mark.parametrize("day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
def test_asking_from_any_second_of_a_change_moves_forward(pattern: str, day: datetime) -> None:
    timetable = Timetable.from_spec({"cron": pattern, "timezone": BERLIN}, now=NOW)
    known = []
    instant = timetable.first(day - timedelta(hours=3))
    while instant is not None and instant < day + timedelta(days=3):
        known.append(instant)
        instant = timetable.after(instant)
    for minute in range(0, 240, 7):
        asked = day + timedelta(minutes=minute, seconds=13)
        assert timetable.after(asked) == next(each for each in known if each > asked)


def test_a_local_instant_in_a_gap_is_just_after_it_and_in_an_overlap_the_first() -> None:
    gap = Timetable.from_spec({"at": "2026-03-29T02:30", "timezone": BERLIN}, now=NOW)
    overlap = Timetable.from_spec({"at": "2026-10-25T02:30", "timezone": BERLIN}, now=NOW)
    assert gap.first(NOW) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert overlap.first(NOW) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_an_interval_is_elapsed_time() -> None:
    timetable = Timetable.from_spec({"every": "1d", "start": "2026-03-28T09:00", "timezone": BERLIN}, now=NOW)
    assert listed(timetable, "2026-03-28", "2026-03-30") == ["28 08:00", "29 08:00"]


def test_a_daily_calendar_follows_the_wall_clock_and_comes_just_after_a_gap() -> None:
    spec = {"calendar": {"days": 1, "hour": 2, "minute": 30}, "start_date": "2026-03-28", "timezone": BERLIN}
    timetable = Timetable.from_spec(spec, now=NOW)
    assert listed(timetable, "2026-03-28", "2026-03-30T12:00") == ["28 01:30", "29 01:00", "30 00:30"]


def test_a_stock_calendar_leaves_out_the_gap_and_nothing_else() -> None:
    # stock goes on from the normalised 1 April and loses 31 March
    trigger = CalendarIntervalTrigger(
        days=1, hour=23, minute=30, start_date="2024-03-29", end_date="2024-04-01", timezone="America/Nuuk"
    )
    timetable = Timetable.from_trigger(trigger)
    local = [
        instant.astimezone(trigger.timezone).date().day
        for instant in every(timetable, datetime(2024, 3, 1, tzinfo=UTC))
    ]
    assert local == [29, 31, 1]


def every(timetable: Timetable, start: datetime) -> list[datetime]:
    found, instant = [], timetable.first(start)
    while instant is not None:
        found.append(instant)
        instant = timetable.after(instant)
    return found


@pytest.mark.parametrize("pattern", ["30 2 * * *", "0,40 2 * * *", "*/20 * * * *", "0 */2 * * *", "*/25 2 * * *"])
@pytest.mark.parametrize("day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
def test_a_span_that_ends_in_any_minute_of_a_change_is_what_iterating_finds(pattern: str, day: datetime) -> None:
    timetable = Timetable.from_spec({"cron": pattern, "timezone": BERLIN}, now=NOW)
    head = timetable.first(day - timedelta(days=1))
    assert head is not None
    walk = [head]
    for minute in range(240):
        now = day + timedelta(minutes=minute)
        while (following := timetable.after(walk[-1])) is not None and following <= now:
            walk.append(following)
        span = timetable.span(head, now)
        assert (span.through, span.count, span.following) == (walk[-1], len(walk), following)


@pytest.mark.parametrize("pattern", ["0,40 2 * * *", "*/20 * * * *"])
def test_a_head_that_is_no_longer_named_counts_as_one(pattern: str) -> None:
    timetable = Timetable.from_spec({"cron": pattern, "timezone": BERLIN}, now=NOW)
    now = datetime(2026, 10, 26, 12, tzinfo=UTC)
    named = every_until(timetable, datetime(2026, 10, 25, tzinfo=UTC), now)
    for minute in range(0, 120, 5):
        # 02:00 to 02:55 local, twice
        head = datetime(2026, 10, 25, tzinfo=UTC) + timedelta(minutes=minute)
        span = timetable.span(head, now)
        assert span.count == len({head, *(instant for instant in named if instant >= head)})


def test_an_overlap_is_leapt_over() -> None:
    # 3,600 seconds of the second pass are not walked through one by one
    timetable = Timetable.from_spec({"cron": "0-59 0-59 2 * * *", "timezone": BERLIN}, now=NOW).within(Limits(steps=3))
    assert timetable.after(datetime(2026, 10, 25, 1, 5, tzinfo=UTC)) == datetime(2026, 10, 26, 1, 0, tzinfo=UTC)
    every_second = Timetable.from_spec({"cron": "* * 2 * * *", "timezone": BERLIN}, now=NOW).within(Limits(steps=3))
    assert every_second.after(datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)) == datetime(2026, 3, 30, 0, 0, tzinfo=UTC)


def every_until(timetable: Timetable, start: datetime, end: datetime) -> list[datetime]:
    found, instant = [], timetable.first(start)
    while instant is not None and instant <= end:
        found.append(instant)
        instant = timetable.after(instant)
    return found
