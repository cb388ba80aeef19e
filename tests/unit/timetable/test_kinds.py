"""Intervals, single instants and calendar intervals; and what a specification may not say."""

import math
from datetime import UTC, date, datetime, timedelta

import pytest
import yaml

from jobstore.errors import InvalidTrigger
from jobstore.timetable import Limits, Timetable

NOW = datetime(2026, 3, 28, 12, 0, 0, 987_654, tzinfo=UTC)
WHOLE = NOW.replace(microsecond=0)


def made(spec: object, zone: str = "UTC") -> Timetable:
    return Timetable.from_spec(spec, zone=zone, now=NOW)  # type: ignore[arg-type]


def days(timetable: Timetable, start: datetime, count: int) -> list[str]:
    found, instant = [], timetable.first(start)
    while instant is not None and len(found) < count:
        found.append(instant.strftime("%Y-%m-%d"))
        instant = timetable.after(instant)
    return found


@pytest.mark.parametrize(
    ("written", "length", "words"),
    [
        ("5s", timedelta(seconds=5), "every 5 seconds"),
        ("1m30s", timedelta(seconds=90), "every 1 minute 30 seconds"),
        ("2h", timedelta(hours=2), "every 2 hours"),
        ("1.5h", timedelta(minutes=90), "every 1 hour 30 minutes"),
        (" 1H 30M ", timedelta(minutes=90), "every 1 hour 30 minutes"),
        ("1w", timedelta(days=7), "every 7 days"),
        ("250ms", timedelta(milliseconds=250), "every 250 milliseconds"),
        (1, timedelta(seconds=1), "every second"),
        (0.1, timedelta(milliseconds=100), "every 100 milliseconds"),
        (timedelta(days=1), timedelta(days=1), "every day"),
    ],
)
def test_an_interval_begins_one_length_after_now(written: object, length: timedelta, words: str) -> None:
    timetable = made({"every": written})
    assert timetable.first(NOW) == WHOLE + -(-(NOW - WHOLE) // length) * length
    assert timetable.after(WHOLE) == WHOLE + length
    assert timetable.describe() == words


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (0, "longer than nothing"),
        (-5, "longer than nothing"),
        ("0s", "longer than nothing"),
        (math.nan, "not a length of time"),
        (math.inf, "not a length of time"),
        (1e300, "too long"),
        (10**400, "too long"),
        ("999999999999w", "too long"),
        ("36526d", "at most 36525 days"),
        (0.0004, "whole number of milliseconds"),
        (1 / 3, "whole number of milliseconds"),
        ("5", "write a length such as"),
        ("-5s", "write a length such as"),
        ("5s5s", "names a unit twice"),
        ("1mo", "use `calendar`"),
        ("9" * 5000 + "s", "not a length of time"),
        (True, "not a length of time"),
        (None, "not a length of time"),
        ([5], "not a length of time"),
    ],
)
def test_an_interval_that_cannot_be_is_refused_with_the_reason(written: object, reason: str) -> None:
    with pytest.raises(InvalidTrigger, match=reason):
        made({"every": written})


def test_an_interval_keeps_the_phase_of_its_start_and_ends_inclusively() -> None:
    timetable = made({"every": "7s", "start": "2026-03-28T12:00:01Z", "end": "2026-03-28T12:00:15Z"})
    assert timetable.first(datetime(1970, 1, 1, tzinfo=UTC)) == WHOLE + timedelta(seconds=1)
    assert timetable.after(WHOLE + timedelta(seconds=2)) == WHOLE + timedelta(seconds=8)
    assert timetable.after(WHOLE + timedelta(seconds=8)) == WHOLE + timedelta(seconds=15)
    assert timetable.after(WHOLE + timedelta(seconds=15)) is None


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize(
    ("spec", "count"),
    [({"every": 1}, 604_801), ({"cron": "* * * * * *"}, 604_801), ({"cron": "* * * * *"}, 10_081)],
)
def test_a_week_of_seconds_is_spanned_without_a_step_for_each(spec: dict[str, object], count: int, zone: str) -> None:
    timetable = made(spec, zone).within(Limits(steps=4))
    span = timetable.span(WHOLE, WHOLE + timedelta(days=7, milliseconds=300))
    assert (span.through, span.count, span.exact) == (WHOLE + timedelta(days=7), count, True)
    assert span.following is not None
    assert span.following > span.through


def test_a_single_instant_comes_once() -> None:
    timetable = made({"at": "2026-03-29T10:00:00.123456+02:00"})
    at = datetime(2026, 3, 29, 8, 0, 0, 123_000, tzinfo=UTC)
    assert timetable.first(NOW) == at
    assert timetable.first(at) == at
    assert timetable.after(at) is None
    assert timetable.span(at, at + timedelta(days=900)).following is None
    assert timetable.describe() == "once, at 2026-03-29 08:00:00.123000, UTC"


def test_a_single_instant_may_lie_in_the_past() -> None:
    timetable = made({"at": "2020-01-01T00:00"})
    assert timetable.first(NOW) is None
    assert timetable.first(datetime(2019, 1, 1, tzinfo=UTC)) == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("step", "start", "expected"),
    [
        ({"months": 1}, "2026-01-31", ["2026-01-31", "2026-03-31", "2026-05-31", "2026-07-31", "2026-08-31"]),
        ({"years": 1}, "2024-02-29", ["2024-02-29", "2028-02-29", "2032-02-29"]),
        ({"weeks": 2, "days": 1}, "2026-01-01", ["2026-01-01", "2026-01-16", "2026-01-31"]),
        # months first, then days, each time from the date before
        ({"months": 1, "days": 1}, "2026-01-30", ["2026-01-30", "2026-03-31", "2026-06-01", "2026-07-02"]),
        ({"years": 100}, "2026-12-31", ["2026-12-31", "2126-12-31"]),
    ],
)
def test_a_calendar_interval_keeps_its_day(step: dict[str, int], start: str, expected: list[str]) -> None:
    timetable = made({"calendar": step, "start_date": start})
    assert days(timetable, datetime(1999, 1, 1, tzinfo=UTC), len(expected)) == expected
    # asked from the middle it names the same dates, and backwards too
    last = datetime.fromisoformat(expected[-1]).replace(tzinfo=UTC)
    assert days(timetable, last - timedelta(hours=1), 1) == expected[-1:]
    span = timetable.span(datetime.fromisoformat(expected[0]).replace(tzinfo=UTC), last + timedelta(hours=5))
    assert (span.through, span.count, span.exact) == (last, len(expected), True)


def test_a_calendar_without_start_date_counts_from_today_in_its_zone() -> None:
    timetable = made({"calendar": {"days": 2, "hour": 1}, "timezone": "Pacific/Auckland"})
    assert timetable.to_document()["start_date"] == "2026-03-29"


def test_a_calendar_ends_with_its_end_date() -> None:
    spec = {"calendar": {"days": 1, "hour": 5}, "start_date": date(2026, 3, 1), "end_date": "2026-03-03"}
    assert days(made(spec), NOW - timedelta(days=90), 9) == ["2026-03-01", "2026-03-02", "2026-03-03"]


@pytest.mark.parametrize(
    ("spec", "reasons"),
    [
        (5, ["a trigger is a mapping"]),
        ({}, ["a trigger needs one of cron:"]),
        ({"evry": "5s"}, ["needs one of", "'evry' is not a key here: did you mean every?"]),
        ({"every": "5s", "at": "2026-01-01"}, ["every and at: give only one"]),
        ({"cron": "0 0 * * *", "timzone": "UTC"}, ["did you mean timezone?"]),
        ({"every": "5s", "dialect": "unix"}, ["'dialect' is not a key here"]),
        ({"cron": "0 0 * * *", True: 1}, ["'True' is not a key here"]),
        ({"cron": "0 0 * * *", "dialect": "solaris"}, ["dialect: 'solaris' is not known, use unix, apscheduler"]),
        ({"cron": "0 0 * * *", "dialect": "quartz"}, ["cron: '0 0 * * *' has 5 fields: a quartz expression has six"]),
        ({"cron": 5}, ["cron: a cron expression is a text such as '*/5 * * * *', not 5"]),
        ({"cron": "@daily", "timezone": "europe/berln"}, ["did you mean Europe/Berlin?"]),
        ({"cron": "@daily", "timezone": "Berlin"}, ["did you mean Europe/Berlin?"]),
        ({"cron": "@daily", "timezone": "/etc/localtime"}, ["there is no time zone '/etc/localtime'"]),
        ({"cron": "@daily", "timezone": "../zoneinfo/UTC"}, ["there is no time zone"]),
        ({"cron": "@daily", "timezone": "posix/UTC"}, ["there is no time zone"]),
        ({"cron": "@daily", "timezone": "+02:00"}, ["there is no time zone"]),
        ({"cron": "@daily", "timezone": 2}, ["timezone: write a name such as"]),
        ({"every": "5s", "start": "tomorrow"}, ["start: 'tomorrow' is not an instant: write it as"]),
        ({"every": "5s", "start": 1_700_000_000}, ["start: 1700000000 is not an instant"]),
        ({"at": "0001-01-01T00:00"}, ["beyond the calendar"]),
        ({"at": "9999-12-31T23:59:59-14:00"}, ["beyond the calendar"]),
        ({"every": "5s", "start": "2026-02-01", "end": "2026-01-01"}, ["end lies before start"]),
        ({"at": "2026-02-01", "end": "2026-01-01"}, ["at lies outside start and end"]),
        ({"cron": "0 0 29 2 *", "start": "2026-01-01", "end": "2027-12-31"}, ["the trigger never fires"]),
        ({"calendar": {"month": 1}}, ["did you mean months?", "must be at least 1"]),
        ({"calendar": {"months": -1}}, ["whole numbers from 0"]),
        ({"calendar": {"days": 1, "hour": 24}}, ["hour is a whole number from 0 to 23, not 24"]),
        ({"calendar": {"days": 1.5}}, ["whole numbers"]),
        ({"calendar": "monthly"}, ["give a mapping"]),
        ({"calendar": {"days": 1}, "start_date": "2026-02-30"}, ["start_date: '2026-02-30' is not a date"]),
        ({"calendar": {"days": 1}, "start_date": "0001-01-01"}, ["start_date: 0001-01-01 is out of range"]),
        ({"calendar": {"days": 1}, "start_date": "2026-02-02", "end_date": "2026-02-01"}, ["end_date lies before"]),
        # several at once
        (
            {"every": 0, "timezone": "Nowhere", "end": "x", "stop": 1},
            ["'stop' is not a key", "no time zone 'Nowhere'", "end: 'x'", "every: an interval must"],
        ),
    ],
)
def test_a_wrong_specification_is_refused_with_every_reason(spec: object, reasons: list[str]) -> None:
    with pytest.raises(InvalidTrigger) as refusal:
        made(spec)
    for reason in reasons:
        assert any(reason in fault for fault in refusal.value.faults), refusal.value.faults


def test_yaml_and_json_say_the_same() -> None:
    text = "{every: 30, start: 2026-03-29 02:30:00, end: 2026-03-30, timezone: Europe/Berlin}"
    from_yaml = made(yaml.safe_load(text))
    from_json = made({"every": 30.0, "start": "2026-03-29T01:00Z", "end": "2026-03-30", "timezone": "Europe/Berlin"})
    assert from_yaml == from_json
    assert from_yaml.to_document()["end"] == "2026-03-30T21:59:59.999Z"


def test_the_zone_given_beside_a_specification_is_its_default() -> None:
    assert made({"cron": "@daily"}, zone="Asia/Tokyo") == made({"cron": "@daily", "timezone": "Asia/Tokyo"})


def test_an_applied_file_stays_valid_after_its_end() -> None:
    assert made({"every": "5s", "end": "2020-01-01"}).first(NOW) is None


def test_naive_instants_are_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        made({"every": 1}).first(datetime(2026, 1, 1))


@pytest.mark.parametrize(
    "spec",
    [{"every": 1}, {"cron": "0 0 * * *", "timezone": "Asia/Tokyo"}, {"at": "2026-01-01"}, {"calendar": {"days": 1}}],
)
def test_the_ends_of_time_are_answered(spec: dict[str, object]) -> None:
    timetable = made(spec)
    assert timetable.first(datetime.min.replace(tzinfo=UTC)) is not None
    assert timetable.after(datetime.max.replace(tzinfo=UTC)) is None
