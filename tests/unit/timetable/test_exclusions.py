"""What is kept out, and what moves to a business day."""

import json
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
import yaml

from jobstore.errors import InvalidTrigger, Unreadable
from jobstore.timetable import Timetable, holiday, preview

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BERLIN = "Europe/Berlin"
CALENDARS = {"shutdown": ["2026-08-03", date(2026, 8, 4)]}


def made(spec: dict[str, object]) -> Timetable:
    timetable = Timetable.from_spec(spec, now=NOW, calendars=CALENDARS)
    document = json.loads(json.dumps(timetable.to_document()))
    assert Timetable.from_document(document) == timetable
    assert Timetable.from_document(document).to_document() == document
    # what is stored says the same when it is written again, without the calendars
    body = {key: value for key, value in document.items() if key != "v"}
    assert Timetable.from_spec(body, now=NOW) == timetable
    return timetable


def listed(timetable: Timetable, start: str, end: str, form: str = "%a %d %H:%M") -> list[str]:
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    found, instant = [], timetable.first(first)
    while instant is not None and instant <= last:
        found.append(instant)
        instant = timetable.after(instant)
    if found:
        span = timetable.span(found[0], last)
        assert (span.through, span.count, span.following) == (found[-1], len(found), instant)
    return [each.strftime(form) for each in found]


@pytest.mark.parametrize(
    ("kept_out", "expected"),
    [
        (["2026-12-24"], [23, 25, 26, 27, 28, 29]),
        (["2026-12-24", date(2026, 12, 26)], [23, 25, 27, 28, 29]),
        ([{"from": "2026-12-24", "to": "2026-12-28"}], [23, 29]),
        (["weekends"], [23, 24, 25, 28, 29]),
        ([{"weekly": {"days": "wednesday, thu"}}], [25, 26, 27, 28, 29]),
        (["holidays:DE"], [23, 24, 27, 28, 29]),
        ([{"country": "de"}, "weekends"], [23, 24, 28, 29]),
        (["holidays:US"], [23, 24, 26, 27, 28, 29]),
        ([{"dates": ["2026-12-27"]}, {"dates": ["2026-12-29"], "calendar": "own"}], [23, 24, 25, 26, 28]),
        # the window begins on Wednesday evening and ends on Thursday at 09:00, exclusive
        ([{"weekly": {"days": ["wed"], "from": "20:00", "to": "09:00"}}], [23, 24, 25, 26, 27, 28, 29]),
        ([{"weekly": {"days": ["wed"], "from": "20:00", "to": "09:01"}}], [23, 25, 26, 27, 28, 29]),
    ],
)
def test_what_is_kept_out_does_not_fire(kept_out: list[object], expected: list[int]) -> None:
    timetable = made({"cron": "0 9 * * *", "except": kept_out, "timezone": BERLIN})
    assert [int(each) for each in listed(timetable, "2026-12-23", "2026-12-29T12:00", "%d")] == expected


def test_a_subdivision_has_holidays_of_its_own() -> None:
    everywhere, bavaria = (
        made({"cron": "0 9 * 1 *", "except": [country], "start": "2026-01-01"})
        for country in ("holidays:DE", "holidays:DE-BY")
    )
    assert listed(everywhere, "2026-01-05", "2026-01-07", "%d") == ["05", "06"]
    assert listed(bavaria, "2026-01-05", "2026-01-07", "%d") == ["05"]
    assert bavaria.describe() == "at 09:00 in January, UTC, except holidays of DE-BY, from 2026-01-01T00:00:00.000Z"


def test_a_tenants_own_calendar_is_copied_into_the_document() -> None:
    timetable = made({"every": "1d", "start": "2026-08-01T05:00Z", "except": "calendar:shutdown"})
    assert timetable.to_document()["except"] == [{"calendar": "shutdown", "dates": ["2026-08-03", "2026-08-04"]}]
    assert listed(timetable, "2026-08-01", "2026-08-06", "%d") == ["01", "02", "05"]


def test_a_weekly_window_is_leapt_over_and_not_walked_through() -> None:
    spec = {"cron": "* * * * * *", "timezone": BERLIN, "except": [{"weekly": {"days": ["sat", "sun"]}}]}
    timetable = made(spec)
    assert timetable.after(datetime(2026, 3, 27, 22, 59, 59, tzinfo=UTC)) == datetime(2026, 3, 29, 22, tzinfo=UTC)
    span = timetable.span(datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC))
    assert span.through == datetime(2026, 3, 27, 22, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        # the clock shows 02:00 to 03:00 twice, and so the end of the window
        (("01:00", "02:30"), ["00:30", "00:45", "01:30", "01:45", "02:00"]),
        (("02:15", "02:30"), ["23:00", "00:00", "00:30", "01:00", "01:30"]),
    ],
)
def test_a_window_in_an_overlap_is_kept_out_in_both_passes(window: tuple[str, str], expected: list[str]) -> None:
    weekly = {"days": ["sun"], "from": window[0], "to": window[1]}
    timetable = made({"cron": "*/15 * * * *", "timezone": BERLIN, "except": [{"weekly": weekly}]})
    found = listed(timetable, "2026-10-24T22:45", "2026-10-25T02:00", "%H:%M")
    assert set(expected) <= set(found)
    assert not {"00:15", "01:15"} & set(found)


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        # 15 August 2026 is a Saturday, 15 November a Sunday
        ("next", ["Wed 15 Jul", "Mon 17 Aug", "Tue 15 Sep", "Thu 15 Oct", "Mon 16 Nov"]),
        ("previous", ["Wed 15 Jul", "Fri 14 Aug", "Tue 15 Sep", "Thu 15 Oct", "Fri 13 Nov"]),
        ("nearest", ["Wed 15 Jul", "Fri 14 Aug", "Tue 15 Sep", "Thu 15 Oct", "Mon 16 Nov"]),
        ({"to": "next", "holidays": ["2026-08-17", "2026-09-15"]}, ["Wed 15 Jul", "Tue 18 Aug", "Wed 16 Sep", "Thu 15 Oct", "Mon 16 Nov"]),
        ({"to": "next", "weekend": ["fri", "sat"]}, ["Wed 15 Jul", "Sun 16 Aug", "Tue 15 Sep", "Thu 15 Oct", "Sun 15 Nov"]),
    ],
)  # fmt: skip
def test_instants_move_to_business_days(shift: object, expected: list[str]) -> None:
    timetable = made({"cron": "0 9 15 * *", "shift": shift, "timezone": BERLIN})
    assert listed(timetable, "2026-07-01", "2026-11-20", "%a %d %b") == expected


def test_two_that_move_to_one_instant_are_one_and_later_times_stay_in_order() -> None:
    timetable = made({"cron": "0 9,10 * * sat,sun,mon", "shift": "next"})
    assert listed(timetable, "2026-01-01", "2026-01-12T23:00") == [
        "Mon 05 09:00",
        "Mon 05 10:00",
        "Mon 12 09:00",
        "Mon 12 10:00",
    ]
    # Saturday at 10:00 and Sunday at 09:00 change places
    mixed = made({"any": [{"cron": "0 10 * * sat"}, {"cron": "0 9 * * sun"}], "shift": "next"})
    assert listed(mixed, "2026-01-01", "2026-01-06") == ["Mon 05 09:00", "Mon 05 10:00"]


def test_exclusions_judge_where_an_instant_was_moved_to() -> None:
    timetable = made({"cron": "0 9 15 * *", "shift": "next", "except": ["2026-08-17"]})
    assert listed(timetable, "2026-07-16", "2026-09-30", "%d %b") == ["15 Sep"]


def test_a_preview_shows_what_is_skipped_and_moved() -> None:
    timetable = made({"cron": "0 9 24-26 12 *", "timezone": BERLIN, "except": ["holidays:DE", "2026-12-24"]})
    rows = preview(timetable, datetime(2026, 12, 1, tzinfo=UTC), 1)
    assert [(each.local[:14], each.marks, each.skipped) for each in rows] == [
        ("Thu 2026-12-24", ("excluded",), True),
        ("Fri 2026-12-25", ("holiday_skipped",), True),
        ("Sat 2026-12-26", ("holiday_skipped",), True),
        ("Fri 2027-12-24", (), False),
    ]
    moved = preview(made({"cron": "0 9 15 8 *", "shift": "next"}), NOW, 2)
    assert [(each.local, each.marks) for each in moved] == [
        ("Mon 2026-08-17 09:00:00 +00:00", ("shifted",)),
        ("Mon 2027-08-16 09:00:00 +00:00", ("shifted",)),
    ]


def test_a_preview_names_the_dates_that_a_clock_change_touches() -> None:
    def rows(dst: dict[str, str], start: datetime) -> list[tuple[str, tuple[str, ...], bool]]:
        timetable = made({"cron": "30 2 * * *", "timezone": BERLIN, "dst": dst})
        return [(each.local[4:], tuple(each.marks), each.skipped) for each in preview(timetable, start, 2)]

    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert rows({"gap": "after"}, spring) == [
        ("2026-03-29 03:00:00 +02:00", ("dst_gap",), False),
        ("2026-03-30 02:30:00 +02:00", (), False),
    ]
    assert rows({"gap": "skip"}, spring) == [
        ("2026-03-29 03:00:00 +02:00", ("dst_gap",), True),
        ("2026-03-30 02:30:00 +02:00", (), False),
        ("2026-03-31 02:30:00 +02:00", (), False),
    ]
    assert rows({"overlap": "both"}, autumn) == [
        ("2026-10-25 02:30:00 +02:00", ("dst_overlap",), False),
        ("2026-10-25 02:30:00 +01:00", ("dst_overlap",), False),
    ]


def test_yaml_writes_times_as_it_likes() -> None:
    text = "{cron: '*/30 * * * *', except: [{weekly: {days: [mon], from: 22:00, to: 06:00}}, 2026-12-24]}"
    window = made(yaml.safe_load(text)).to_document()["except"]
    assert window == [{"dates": ["2026-12-24"]}, {"weekly": {"days": ["mon"], "from": "22:00:00", "to": "06:00:00"}}]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"except": []}, "except: give 1 to 50 entries"),
        ({"except": ["2026-02-30"]}, "except: '2026-02-30' is not a date"),
        ({"except": ["sometimes"]}, "'sometimes' is no exclusion: write a date"),
        ({"except": [5]}, "5 is no exclusion"),
        ({"except": [{"from": "2026-02-02", "to": "2026-02-01"}]}, "2026-02-01 lies before 2026-02-02"),
        ({"except": [{"from": "2026-02-02"}]}, "is no exclusion"),
        ({"except": [{"weekly": {"days": ["funday"]}}]}, "'funday' is not a weekday"),
        ({"except": [{"weekly": {"days": ["sat"], "from": "22:00"}}]}, "both from and to"),
        ({"except": [{"weekly": {"days": ["sat"], "from": "25:00", "to": "26:00"}}]}, "hour must be in 0..23"),
        ({"except": ["holidays:XX"]}, "no holidays are known for the country 'XX'"),
        ({"except": ["holidays:DE-QQ"]}, "DE has no subdivision 'QQ': there are BB, BE"),
        ({"except": ["calendar:nowhere"]}, "there is no calendar 'nowhere': there are shutdown"),
        ({"except": [{"dates": "2026-01-01"}]}, "dates are a list"),
        (
            {"except": ["weekends", {"weekly": {"days": "mon tue wed thu fri"}}]},
            "everything that is to come is kept out",
        ),
        ({"shift": "forward"}, "shift: to is next, previous or nearest"),
        ({"shift": {"weekend": ["sat"]}}, "shift: write next, previous"),
        ({"shift": {"to": "next", "weekend": "mon tue wed thu fri sat sun"}}, "a day that is not weekend"),
        ({"shift": {"to": "next", "holidays": [{"weekly": {"days": ["mon"]}}]}}, "holidays are whole days"),
        ({"cron": "* * * * *", "shift": "next"}, "shift is for what fires a few times a day"),
    ],
)
def test_a_wrong_exclusion_is_refused_with_the_reason(more: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidTrigger) as refusal:
        Timetable.from_spec({"cron": "0 9 * * *", **more}, now=NOW, calendars=CALENDARS)
    assert any(reason in fault for fault in refusal.value.faults), refusal.value.faults


def test_without_the_package_holidays_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"cron": "0 9 * * *", "except": ["holidays:DE"]}
    # one that was not read before: rules are remembered
    document = {**made(spec).to_document(), "cron": "7 9 * * *"}
    holiday._library.cache_clear()
    monkeypatch.setitem(sys.modules, "holidays", None)
    try:
        with pytest.raises(InvalidTrigger, match=r"horarium\[calendars\]"):
            Timetable.from_spec(spec, now=NOW)
        with pytest.raises(Unreadable, match=r"horarium\[calendars\]"):
            Timetable.from_document(document)
        # and what needs none works
        Timetable.from_spec({"cron": "0 9 * * *", "except": ["weekends"]}, now=NOW)
    finally:
        holiday._library.cache_clear()


def test_a_closure_of_months_moves_nothing_beyond_it() -> None:
    shift = {"to": "next", "holidays": [{"from": "2026-02-01", "to": "2026-08-31"}]}
    timetable = made({"cron": "0 9 15 * *", "shift": shift})
    assert listed(timetable, "2026-01-01", "2026-10-30", "%d %b")[:1] == ["15 Jan"]
    assert timetable.after(datetime(2026, 1, 16, tzinfo=UTC)) is not None
    assert timetable.first(datetime(2026, 9, 1, tzinfo=UTC)) == datetime(2026, 9, 1, 9, tzinfo=UTC)
    assert timedelta(0) < timetable.span(NOW, datetime(2027, 1, 1, tzinfo=UTC)).through - NOW
