"""What a timetable may choose: gaps and overlaps, short months, how many times."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from jobstore.errors import InvalidTrigger, Unreadable
from jobstore.timetable import Timetable, preview

BERLIN, LORD_HOWE = "Europe/Berlin", "Australia/Lord_Howe"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
GAP, OVERLAP = ("2026-03-28", "2026-03-30T12:00"), ("2026-10-24", "2026-10-26T12:00")
DAILY = {"cron": "30 2 * * *"}
CALENDAR = {"calendar": {"days": 1, "hour": 2, "minute": 30}, "start_date": "2026-01-01"}
RULE = {"rrule": "FREQ=DAILY", "start": "2026-01-01T02:30"}


def listed(timetable: Timetable, start: str, end: str, form: str = "%d %H:%M") -> list[str]:
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    found, instant = [], timetable.first(first)
    while instant is not None and instant <= last:
        found.append(instant)
        instant = timetable.after(instant)
    if found:
        span = timetable.span(found[0], last)
        assert (span.through, span.count, span.exact, span.following) == (found[-1], len(found), True, instant)
    return [each.strftime(form) for each in found]


def made(spec: dict[str, object]) -> Timetable:
    timetable = Timetable.from_spec(spec, now=NOW)
    document = json.loads(json.dumps(timetable.to_document()))
    assert Timetable.from_document(document) == timetable
    assert Timetable.from_document(document).to_document() == document
    return timetable


@pytest.mark.parametrize("kind", [DAILY, CALENDAR, RULE])
@pytest.mark.parametrize(
    ("dst", "period", "expected"),
    [
        ({"gap": "after"}, GAP, ["28 01:30", "29 01:00", "30 00:30"]),
        ({"gap": "skip"}, GAP, ["28 01:30", "30 00:30"]),
        ({"overlap": "first"}, OVERLAP, ["24 00:30", "25 00:30", "26 01:30"]),
        ({"overlap": "second"}, OVERLAP, ["24 00:30", "25 01:30", "26 01:30"]),
        ({"overlap": "both"}, OVERLAP, ["24 00:30", "25 00:30", "25 01:30", "26 01:30"]),
    ],
)
def test_a_wall_clock_time_follows_its_policy(
    kind: dict[str, object], dst: object, period: tuple[str, str], expected: list[str]
) -> None:
    assert listed(made({**kind, "dst": dst, "timezone": BERLIN}), *period) == expected


@pytest.mark.parametrize("overlap", ["first", "second", "both"])
@pytest.mark.parametrize("gap", ["after", "skip"])
def test_an_interval_like_pattern_follows_real_time_whatever_the_policy(gap: str, overlap: str) -> None:
    spec = {"cron": "*/30 * * * *", "timezone": LORD_HOWE, "dst": {"gap": gap, "overlap": overlap}}
    instants = listed(made(spec), "2026-04-04T14:00", "2026-04-04T16:00")
    assert instants == ["04 14:00", "04 14:30", "04 15:00", "04 15:30", "04 16:00"]


@pytest.mark.parametrize("overlap", ["second", "both"])
def test_spans_that_end_or_begin_in_any_minute_of_an_overlap_agree_with_iterating(overlap: str) -> None:
    timetable = made({"cron": "0,40 1,2 * * *", "timezone": BERLIN, "dst": {"overlap": overlap}})
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    walk, instant = [], timetable.first(start)
    while instant is not None and instant < start + timedelta(days=1):
        walk.append(instant)
        instant = timetable.after(instant)
    for first in range(0, 300, 7):
        for length in range(0, 200, 13):
            head = start + timedelta(minutes=first)
            now = head + timedelta(minutes=length)
            span = timetable.span(head, now)
            expected = {head, *(each for each in walk if head <= each <= now)}
            assert (span.through, span.count) == (max(expected), len(expected))


@pytest.mark.parametrize(
    ("calendar", "start", "expected"),
    [
        ({"months": 1}, "2026-01-31", ["31 Jan", "28 Feb", "31 Mar", "30 Apr", "31 May"]),
        ({"months": 1}, "2027-12-30", ["30 Dec", "30 Jan", "29 Feb", "30 Mar"]),
        ({"years": 1}, "2028-02-29", ["29 Feb", "28 Feb", "28 Feb", "28 Feb", "29 Feb"]),
        # every date is counted from the first: months, clamped, then days
        ({"months": 1, "days": 1}, "2026-01-30", ["30 Jan", "01 Mar", "01 Apr", "03 May"]),
    ],
)
def test_clamp_keeps_the_anchor(calendar: dict[str, int], start: str, expected: list[str]) -> None:
    timetable = made({"calendar": {**calendar, "clamp": True}, "start_date": start})
    assert listed(timetable, start, "2099-01-01", "%d %b")[: len(expected)] == expected
    assert "or the last day of a shorter month" in timetable.describe()
    later = datetime(2090, 1, 1, tzinfo=UTC)
    following = timetable.first(later)
    assert following is not None
    assert timetable.span(following, following + timedelta(days=1)).through == following


def test_a_clamped_day_is_marked() -> None:
    timetable = made({"calendar": {"months": 1, "clamp": True}, "start_date": "2026-01-31"})
    assert [(each.local[4:14], each.marks) for each in preview(timetable, NOW, 3)] == [
        ("2026-01-31", ()),
        ("2026-02-28", ("clamped",)),
        ("2026-03-31", ()),
    ]


@pytest.mark.parametrize(
    "spec",
    [{"cron": "0 0 * * *"}, {"every": "1d"}, CALENDAR, RULE, {"any": [DAILY, {"every": "5h"}]}],
)
def test_a_timetable_of_so_many_firings_ends(spec: dict[str, object]) -> None:
    plain, limited = made(spec), made({**spec, "max_firings": 3})
    start = max(NOW, plain.first(NOW) or NOW)
    all_of_them = listed(limited, "2026-01-01", "2027-01-01")
    assert all_of_them == listed(plain, "2026-01-01", "2026-03-01")[:3]
    assert limited.describe().endswith(", 3 times at most")
    assert limited.span(start, datetime(2050, 1, 1, tzinfo=UTC)).following is None


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({**DAILY, "dst": {"gap": "before"}}, "dst: gap is after or skip"),
        ({**DAILY, "dst": {"overlap": "third"}}, "dst: overlap is first, second or both"),
        ({**DAILY, "dst": "skip"}, "dst: write {gap"),
        ({**DAILY, "dst": {}}, "dst: write {gap"),
        ({**DAILY, "dst": {"gaps": "skip"}}, "dst: write {gap"),
        ({"every": "1d", "dst": {"gap": "skip"}}, "'dst' is not a key here"),
        ({**DAILY, "max_firings": 0}, "max_firings is a whole number from 1 to 1000"),
        ({**DAILY, "max_firings": True}, "max_firings is a whole number"),
        ({"calendar": {"months": 1, "clamp": "yes"}}, "clamp is true or false"),
        ({"any": []}, "any: give a list of 1 to 16 triggers"),
        ({"any": [DAILY, {"cron": "x"}, 5]}, "any[1]: cron: 'x' has 1 fields"),
        ({"any": [DAILY, {"cron": "x"}, 5]}, "any[2]: a trigger is a mapping"),
        ({"any": [{"any": [{"any": [{"any": [{"any": [DAILY]}]}]}]}]}, "at most 4 deep"),
        (
            {"all": [{"every": "2h", "start": "2026-01-01"}, {"every": "2h", "start": "2026-01-01T01:00"}]},
            "never fires",
        ),
    ],
)
def test_a_wrong_choice_is_refused_with_its_place(spec: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidTrigger) as refusal:
        Timetable.from_spec(spec, now=NOW)
    assert any(reason in fault for fault in refusal.value.faults), refusal.value.faults


def test_a_union_names_what_any_part_names_in_the_zone_of_the_whole() -> None:
    parts = [{"cron": "0 9 * * MON"}, {"cron": "0 9 1 * *", "timezone": "Asia/Tokyo"}]
    timetable = made({"any": parts, "timezone": BERLIN, "end": "2026-02-15"})
    assert listed(timetable, "2026-01-25", "2027-01-01", "%a %d %H:%M") == [
        "Mon 26 08:00",
        "Sun 01 00:00",
        "Mon 02 08:00",
        "Mon 09 08:00",
    ]


def test_calendars_stored_before_policies_stay_readable() -> None:
    document = made(CALENDAR).to_document()
    assert "dst" not in document
    assert Timetable.from_document({**document, "gap": "after"}) == made(CALENDAR)
    assert Timetable.from_document({**document, "gap": "skip"}) == made({**CALENDAR, "dst": {"gap": "skip"}})
    with pytest.raises(Unreadable):
        Timetable.from_document({**document, "gap": "never"})
