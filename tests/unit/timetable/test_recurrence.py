"""Recurrence rules: what dateutil finds, from any point and within bounds; what RFC 5545 does not allow is refused."""

import json
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from dateutil.rrule import rrulestr

from jobstore.errors import InvalidTrigger, Unreadable
from jobstore.timetable import Limits, Timetable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = "2026-01-30T09:05:07"


def made(rule: str, **more: object) -> Timetable:
    timetable = Timetable.from_spec({"rrule": rule, "start": START, **more}, now=NOW)
    document = json.loads(json.dumps(timetable.to_document()))
    assert Timetable.from_document(document) == timetable
    assert Timetable.from_document(document).to_document() == document
    return timetable


RULES = [
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=DAILY;COUNT=5",
    "FREQ=DAILY;COUNT=7;BYHOUR=6,9,18;BYMINUTE=0,30",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR",
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,MO",
    "FREQ=MONTHLY",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=MONTHLY;BYMONTHDAY=-1,15",
    "FREQ=MONTHLY;INTERVAL=5;BYMONTHDAY=31",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
    "FREQ=YEARLY",
    "FREQ=YEARLY;BYMONTH=3,9",
    "FREQ=YEARLY;BYDAY=20MO",
    "FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=TH",
    "FREQ=YEARLY;BYYEARDAY=1,-1,200",
    "FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=YEARLY;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8;INTERVAL=4",
    "FREQ=HOURLY;INTERVAL=6",
    "FREQ=HOURLY;BYHOUR=9,10,11;BYDAY=MO",
    "FREQ=MINUTELY;INTERVAL=20;BYHOUR=8",
    "FREQ=SECONDLY;INTERVAL=30;BYMINUTE=5;BYHOUR=1",
]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_names_what_dateutil_names(rule: str) -> None:
    naive = rrulestr(rule, dtstart=datetime.fromisoformat(START))
    expected = [each.replace(tzinfo=UTC) for each in islice(naive, 40)]
    timetable = made(rule)
    found, instant = [], timetable.first(NOW)
    while instant is not None and len(found) < 40:
        found.append(instant)
        instant = timetable.after(instant)
    assert found == expected
    for index in (0, len(found) // 2, len(found) - 1):
        # backwards, and counted
        span = timetable.span(found[0], found[index] + timedelta(milliseconds=1))
        assert span.through == found[index]
        assert span.count == index + 1 or not span.exact
        assert timetable.first(found[index]) == found[index]


@pytest.mark.parametrize(
    ("rule", "year"), [("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", 2075), ("FREQ=YEARLY;INTERVAL=7", 2500)]
)
def test_a_rule_is_asked_far_from_its_start_without_a_walk(rule: str, year: int) -> None:
    far = datetime(year, 6, 1, tzinfo=UTC)
    naive = rrulestr(rule, dtstart=datetime.fromisoformat(START))
    expected = next(each for each in naive if each > far.replace(tzinfo=None))
    assert made(rule).within(Limits(steps=5)).after(far) == expected.replace(tzinfo=UTC)


def test_local_times_follow_the_zone_and_its_gaps() -> None:
    timetable = Timetable.from_spec(
        {"rrule": "FREQ=DAILY", "start": "2026-03-28T02:30", "timezone": "Europe/Berlin"}, now=NOW
    )
    first = timetable.first(NOW)
    assert first == datetime(2026, 3, 28, 1, 30, tzinfo=UTC)
    # dateutil by itself names 02:30, which does not exist
    assert timetable.after(first) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    hourly = Timetable.from_spec(
        {"rrule": "FREQ=HOURLY", "start": "2026-10-25T00:00", "timezone": "Europe/Berlin"}, now=NOW
    )
    span = hourly.span(datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 3, tzinfo=UTC))
    assert (span.count, span.exact) == (6, True)


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("20260202", "2026-02-02T09:05:07"),
        ("20260202T080507", "2026-02-01T09:05:07"),
        ("20260202T090507Z", "2026-02-02T09:05:07"),
    ],
)
def test_until_is_an_end(until: str, last: str) -> None:
    timetable = made(f"FREQ=DAILY;UNTIL={until}")
    assert "UNTIL" not in str(timetable.to_document()["rrule"])
    span = timetable.span(datetime(2026, 1, 30, 9, 5, 7, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert (span.through.isoformat()[:19], span.following) == (last, None)


def test_a_rule_without_a_start_begins_now() -> None:
    timetable = Timetable.from_spec({"rrule": "FREQ=DAILY", "timezone": "Asia/Kathmandu"}, now=NOW)
    assert timetable.to_document()["start"] == "2026-01-01T05:45:00"
    assert timetable.first(NOW) == NOW


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("", "'' is not known"),
        ("DAILY", "'DAILY' is not known"),
        ("FREQ=OFTEN", "FREQ is YEARLY"),
        ("INTERVAL=2", "FREQ is YEARLY"),
        ("FREQ=DAILY;FREQ=DAILY", "is twice"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL is a whole number from 1 to 10000"),
        ("FREQ=DAILY;COUNT=99999999", "COUNT is a whole number from 1 to 10000"),
        ("FREQ=DAILY;COUNT=1;UNTIL=20270101", "COUNT or UNTIL"),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL is written 20261231"),
        ("FREQ=DAILY;UNTIL=20200101", "never fires"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR is a whole number from 0 to 23"),
        ("FREQ=DAILY;BYSECOND=60", "BYSECOND is a whole number from 0 to 59"),
        ("FREQ=DAILY;BYMONTHDAY=0", "BYMONTHDAY is a whole number"),
        ("FREQ=DAILY;BYEASTER=0", "is not known"),
        ("FREQ=DAILY;BYDAY=1MO", "only with FREQ=MONTHLY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY does not go with FREQ=WEEKLY"),
        ("FREQ=DAILY;BYWEEKNO=1", "BYWEEKNO does not go with FREQ=DAILY"),
        ("FREQ=MONTHLY;BYSETPOS=1", "needs another BY part"),
        ("FREQ=DAILY;BYHOUR=1,2;BYSETPOS=1", "rules of one time a day"),
        ("FREQ=HOURLY;INTERVAL=5", "does not divide 24 hours: use `every`"),
        # poison for dateutil alone: these keep it busy for minutes, or for ever
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never fires"),
        ("FREQ=WEEKLY;BYMONTH=2;BYWEEKNO=1", "BYWEEKNO does not go with FREQ=WEEKLY"),
        ("FREQ=YEARLY;BYWEEKNO=30;BYMONTH=1", "never fires"),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "never fires"),
        ("FREQ=MONTHLY;INTERVAL=12;BYMONTH=7", "never fires"),
        ("FREQ=DAILY;BYMONTHDAY=" + "1," * 400 + "1", "is a text such as"),
    ],
)
def test_a_wrong_rule_is_refused_with_the_reason(rule: str, reason: str) -> None:
    with pytest.raises(InvalidTrigger) as refusal:
        made(rule)
    assert any(reason in fault for fault in refusal.value.faults), refusal.value.faults


def test_a_rule_of_every_second_of_a_year_costs_no_walk() -> None:
    hours, sixty = ",".join(map(str, range(24))), ",".join(map(str, range(60)))
    timetable = made(f"FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=31;BYHOUR={hours};BYMINUTE={sixty};BYSECOND={sixty}")
    span = timetable.within(Limits(steps=5)).span(
        datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 12, 31, 0, 0, 9, tzinfo=UTC)
    )
    assert (span.count, span.exact) == (86_410, True)


def test_a_stored_rule_is_read_strictly() -> None:
    document = made("FREQ=DAILY").to_document()
    for damage in ({"rrule": "FREQ=DAILY;UNTIL=20270101"}, {"start": None}, {"start": "soon"}, {"rrule": 5}, {"x": 1}):
        with pytest.raises(Unreadable):
            Timetable.from_document({**document, **damage})
