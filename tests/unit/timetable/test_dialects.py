"""Dialects are data: the same text, read by another name, is another timetable; and conversion says so."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from celery.schedules import crontab

from jobstore.errors import InvalidTrigger
from jobstore.timetable import Timetable
from jobstore.timetable.dialects import convert

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def made(expression: object, dialect: str) -> Timetable:
    return Timetable.from_spec({"cron": expression, "dialect": dialect}, now=NOW)


def names(timetable: Timetable, count: int) -> list[str]:
    found, instant = [], timetable.first(NOW)
    while instant is not None and len(found) < count:
        found.append(instant.strftime("%a %d %b %H:%M:%S"))
        instant = timetable.after(instant)
    return found


@pytest.mark.parametrize(
    ("dialect", "expression", "expected"),
    [
        ("quartz", "0 0 9 ? * 2", ["Mon 05 Jan 09:00:00", "Mon 12 Jan 09:00:00"]),
        ("quartz", "0 0 9 ? * MON-FRI", ["Thu 01 Jan 09:00:00", "Fri 02 Jan 09:00:00", "Mon 05 Jan 09:00:00"]),
        ("quartz", "0 0 9 ? * FRI-MON", ["Fri 02 Jan 09:00:00", "Sat 03 Jan 09:00:00", "Sun 04 Jan 09:00:00"]),
        ("quartz", "0 0/15 22-1 * * ?", ["Thu 01 Jan 00:00:00", "Thu 01 Jan 00:15:00"]),
        ("quartz", "/20 5 4 * * ?", ["Thu 01 Jan 04:05:00", "Thu 01 Jan 04:05:20", "Thu 01 Jan 04:05:40"]),
        ("quartz", "0 0 0 L-2 * ?", ["Thu 29 Jan 00:00:00", "Thu 26 Feb 00:00:00"]),
        ("quartz", "0 0 0 L-3W * ?", ["Wed 28 Jan 00:00:00", "Wed 25 Feb 00:00:00", "Fri 27 Mar 00:00:00"]),
        ("quartz", "0 0 0 15W * ?", ["Thu 15 Jan 00:00:00", "Mon 16 Feb 00:00:00", "Mon 16 Mar 00:00:00"]),
        ("quartz", "0 0 0 ? * L", ["Sat 03 Jan 00:00:00", "Sat 10 Jan 00:00:00"]),
        ("quartz", "0 0 0 ? * 6L", ["Fri 30 Jan 00:00:00", "Fri 27 Feb 00:00:00"]),
        ("quartz", "0 0 0 ? * 6#3", ["Fri 16 Jan 00:00:00", "Fri 20 Feb 00:00:00"]),
        ("quartz", "0 0 0 1 1 ? 2026-2027", ["Thu 01 Jan 00:00:00", "Fri 01 Jan 00:00:00"]),
        ("celery", "0 9 * * 1-5", ["Thu 01 Jan 09:00:00", "Fri 02 Jan 09:00:00", "Mon 05 Jan 09:00:00"]),
        ("celery", "0 9 * * fri-mon", ["Fri 02 Jan 09:00:00", "Sat 03 Jan 09:00:00", "Sun 04 Jan 09:00:00"]),
        # both day fields must match
        ("celery", "0 9 13 * 5", ["Fri 13 Feb 09:00:00", "Fri 13 Mar 09:00:00", "Fri 13 Nov 09:00:00"]),
        ("celery", {"minute": 0, "hour": [9, 17]}, ["Thu 01 Jan 09:00:00", "Thu 01 Jan 17:00:00"]),
        ("celery", {"minute": "*/30"}, ["Thu 01 Jan 00:00:00", "Thu 01 Jan 00:30:00"]),
        (
            "apscheduler",
            "0 9 * * 1-5",
            ["Thu 01 Jan 09:00:00", "Fri 02 Jan 09:00:00", "Sat 03 Jan 09:00:00", "Tue 06 Jan 09:00:00"],
        ),
        ("apscheduler", "0 9 13 * 4", ["Fri 13 Feb 09:00:00", "Fri 13 Mar 09:00:00"]),
        ("apscheduler", {"day": "2nd fri", "hour": 9}, ["Fri 09 Jan 09:00:00", "Fri 13 Feb 09:00:00"]),
        ("apscheduler", {"day": "last sun, 5th thu"}, ["Sun 25 Jan 00:00:00", "Thu 29 Jan 00:00:00"]),
        ("apscheduler", {"week": 2, "day_of_week": "tue"}, ["Tue 06 Jan 00:00:00", "Tue 12 Jan 00:00:00"]),
        ("apscheduler", {"second": "*/30", "year": 2026}, ["Thu 01 Jan 00:00:00", "Thu 01 Jan 00:00:30"]),
    ],
)
def test_an_expression_means_what_its_dialect_says(dialect: str, expression: object, expected: list[str]) -> None:
    timetable = made(expression, dialect)
    assert names(timetable, len(expected)) == expected
    document = json.loads(json.dumps(timetable.to_document()))
    assert document["dialect"] == dialect
    assert Timetable.from_document(document) == timetable
    assert Timetable.from_spec({key: value for key, value in document.items() if key != "v"}, now=NOW) == timetable


@pytest.mark.parametrize(
    ("dialect", "expression", "reason"),
    [
        ("quartz", "0 9 * * 1", "has 5 fields: a quartz expression has six"),
        ("quartz", "0 0 9 * * *", "exactly one of day of month and day of week is ?"),
        ("quartz", "0 0 9 ? * ?", "exactly one"),
        ("quartz", "0 0 9 ? * 0", "day of week '0': 0 is out of range"),
        ("quartz", "0 0 9 ? * 2#6", "not understood"),
        ("quartz", "0 0 0 30 2 ?", "never fires"),
        ("celery", "0 9 * * 7", "7 is out of range; allowed are 0-6"),
        ("celery", "0 9 L * *", "day of month 'L': 'L' is not a number"),
        ("celery", "0 9 * * fri#2", "not understood"),
        ("celery", "5/10 * * * *", "has no end here, write 5-59/10"),
        ("celery", "0 9 ? * *", "not understood"),
        ("celery", "@daily", "has 1 fields"),
        ("celery", {"second": 5}, "has the keywords minute, hour"),
        ("celery", {"minute": []}, "minute is a text, a number or a list"),
        ("celery", {"minute": "5 *"}, "not understood"),
        ("apscheduler", "0 0 * * FRI#2", "is not understood by APScheduler, or only in part"),
        ("apscheduler", "0 0 * * 7", "higher than the maximum"),
        ("apscheduler", "0 0 31 2 *", "never fires"),
        ("apscheduler", "0 0 L * *", "not understood"),
        ("apscheduler", "@daily", "has 1 fields"),
        ("apscheduler", {"minutes": 5}, "has the fields year, month, day"),
        ("apscheduler", {}, "at least one field"),
        ("apscheduler", {"minute": None}, "minute is a number or a text"),
    ],
)
def test_what_a_dialect_does_not_take_is_refused(dialect: str, expression: object, reason: str) -> None:
    with pytest.raises(InvalidTrigger) as refusal:
        made(expression, dialect)
    assert any(reason in fault for fault in refusal.value.faults), refusal.value.faults


@pytest.mark.parametrize(
    "expression",
    [
        "0 9 * * 1-5",
        "*/7 * * * *",
        "0 22-2 * * *",
        "5 4 1-31/10 * *",
        "0 0 * jan,mar sun-tue/2",
        "59 23 31 12 *",
        "0 0 13 * 5",
    ],
)
def test_the_celery_dialect_names_the_sets_that_celery_names(expression: str) -> None:
    theirs = crontab.from_string(expression)
    instant, bound = NOW, NOW + timedelta(days=120)
    timetable = made(expression, "celery")
    found = set()
    while (instant := timetable.after(instant)) is not None and instant < bound:  # type: ignore[assignment]
        found.add(instant)
    minutes = (NOW + timedelta(minutes=count) for count in range(1, 120 * 1440))
    assert found == {
        minute
        for minute in minutes
        if minute.minute in theirs.minute
        and minute.hour in theirs.hour
        and minute.day in theirs.day_of_month
        and minute.month in theirs.month_of_year
        and minute.isoweekday() % 7 in theirs.day_of_week
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"day_of_week": "mon-fri", "hour": "9-17/4"},
        {"day": "*/9", "month": "*/5", "hour": "*/11"},
        {"day": "last", "hour": "5/9"},
        {"week": "*/10", "hour": 3},
        {"year": "2026-2030/2", "month": "2,7", "day": "5th wed,29", "minute": "59"},
        {"day_of_week": "0,sun", "day": "1-7", "minute": 7, "second": "50/4"},
    ],
)
def test_the_apscheduler_dialect_names_what_its_trigger_names(fields: dict[str, object]) -> None:
    bare, instant = CronTrigger(**fields, timezone=UTC), NOW
    timetable = made(fields, "apscheduler")
    for _ in range(50):
        expected = bare.get_next_fire_time(instant, instant)
        assert timetable.after(instant) == expected
        if expected is None:
            break
        instant = expected


@pytest.mark.parametrize(
    ("expression", "source", "target", "written", "changes"),
    [
        ("0 9 * * 1-5", "apscheduler", "unix", "0 9 * * 2-6", ["reads it as: at 09:00 on Monday to Friday", "renumbered"]),
        ("0 9 * * 1-5", "unix", "apscheduler", "0 9 * * 0-4", ["Tuesday to Saturday", "renumbered"]),
        ("0 9 * * 1-5", "unix", "quartz", "0 0 9 ? * 2-6", ["refused by quartz", "renumbered", "seconds first"]),
        ("0 0 12 ? * 6#2", "quartz", "unix", "0 12 * * 5#2", ["reads it as", "renumbered", "no place in unix"]),
        ("0 0 12 ? * 6#2", "quartz", "apscheduler", {"day": "2nd fri", "hour": "12"}, ["renumbered"]),
        ("0 9 * * 1-5", "celery", "unix", "0 9 * * 1-5", []),
        ("*/20 * * * *", "unix", "quartz", "0 */20 * * * ?", ["seconds first"]),
        ("0 0/20 2 * * ?", "quartz", "unix", "*/20 2 * * *", ["no place in unix"]),
        ("0 0 L * *", "unix", "apscheduler", "0 0 last * *", ["refused by apscheduler"]),
        ("0 0 LW,15W * *", "unix", "quartz", "0 0 0 15W,LW * ?", ["seconds first"]),
        ({"day": "last fri,13", "hour": 0}, "apscheduler", "unix", "0 0 13 * 5L", ["refused by unix"]),
        ("0 9 */2 * 5", "unix", "celery", "0 9 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 * 5", []),
        ("0 9 */2 * 5", "celery", "unix", "0 9 */2 * 5", []),
        ("0 0 0 1 1 * 2030", "unix", "quartz", "0 0 0 1 1 ? 2030", ["refused by quartz"]),
        ("*/20,5 3 * * *", "unix", "celery", "0,5,20,40 3 * * *", ["comes once for each local time in celery"]),
    ],
)  # fmt: skip
def test_a_conversion_keeps_the_meaning_and_says_what_changes(
    expression: str, source: str, target: str, written: object, changes: list[str]
) -> None:
    found = convert(expression, source, target)
    if isinstance(written, dict):
        assert {key: value for key, value in found.expression.items() if value not in ("*", "0")} == written  # type: ignore[union-attr]
    else:
        assert found.expression == written
    for change in changes:
        assert any(change in each for each in found.changes), found.changes
    if not changes:
        assert found.changes == ()
    assert names(made(found.expression, target), 30) == names(made(expression, source), 30)


@pytest.mark.parametrize(
    ("expression", "source", "target", "reason"),
    [
        ("0 9 13 * 5", "unix", "celery", "celery cannot say day of month or day of week"),
        ("0 9 13 * 5", "unix", "apscheduler", "cannot say day of month or day of week"),
        ("0 9 13 * 5", "unix", "quartz", "quartz cannot say both day fields"),
        ("0 9 13 * 5", "celery", "unix", "unix cannot say day of month and day of week, where both must match"),
        ("0 0 15W * *", "unix", "apscheduler", "cannot say W and L-n"),
        ("0 0 L * *", "unix", "celery", "cannot say L and W"),
        ("0 0 * * 5#2", "unix", "celery", "cannot say # and L"),
        ("30 0 0 * * *", "unix", "celery", "cannot say seconds"),
        ("0 0 0 1 1 * 2030", "unix", "celery", "cannot say years"),
        ({"week": 5}, "apscheduler", "unix", "cannot say ISO weeks"),
        ("0 0 0 L-3W * ?", "quartz", "unix", "cannot say the working day nearest"),
        ("0 0 * * *", "unix", "solaris", "'solaris' is not known"),
        ("0 0 * *", "unix", "quartz", "has 4 fields"),
    ],
)
def test_what_another_dialect_cannot_say_is_refused_by_name(
    expression: str, source: str, target: str, reason: str
) -> None:
    with pytest.raises(InvalidTrigger) as refusal:
        convert(expression, source, target)
    assert reason in str(refusal.value)
