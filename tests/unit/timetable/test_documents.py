"""How a timetable is stored: normalised, explicit, strict."""

import json
from datetime import UTC, datetime

import bson
import pytest
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger
from apscheduler.triggers.cron import CronTrigger

from jobstore.errors import Unreadable
from jobstore.timetable import Timetable

NOW = datetime(2026, 3, 28, 12, 0, 0, 5, tzinfo=UTC)

DOCUMENTS = [
    (
        {"cron": "@daily", "timezone": "Europe/Berlin"},
        {"v": 1, "cron": "0 0 * * *", "dialect": "unix", "timezone": "Europe/Berlin"},
    ),
    (
        {"every": 90},
        {"v": 1, "every": "1m30s", "start": "2026-03-28T12:00:00.000Z", "timezone": "UTC"},
    ),
    (
        {"at": "2026-03-29T02:00:00.001999", "timezone": "Asia/Kathmandu"},
        {"v": 1, "at": "2026-03-28T20:15:00.001Z", "timezone": "Asia/Kathmandu"},
    ),
    (
        {"calendar": {"months": 1}, "start_date": "2026-01-31", "end": "2027-01-01T00:00Z"},
        {
            "v": 1,
            "calendar": {"years": 0, "months": 1, "weeks": 0, "days": 0, "hour": 0, "minute": 0, "second": 0},
            "start_date": "2026-01-31",
            "timezone": "UTC",
            "end": "2027-01-01T00:00:00.000Z",
        },
    ),
]


@pytest.mark.parametrize(("spec", "document"), DOCUMENTS)
def test_everything_is_explicit_in_the_stored_form(spec: dict[str, object], document: dict[str, object]) -> None:
    timetable = Timetable.from_spec(spec, now=NOW)
    assert timetable.to_document() == document
    assert Timetable.from_document(json.loads(json.dumps(document))) == timetable
    assert Timetable.from_document(bson.decode(bson.encode(document))) == timetable


@pytest.mark.parametrize(("spec", "document"), DOCUMENTS[:3])
def test_a_stored_form_is_a_specification_too(spec: dict[str, object], document: dict[str, object]) -> None:
    body = {key: value for key, value in document.items() if key != "v"}
    assert Timetable.from_spec(body, now=datetime(2030, 1, 1, tzinfo=UTC)).to_document() == document


@pytest.mark.parametrize(
    "damage",
    [
        {"v": 2},
        {"v": None},
        {"v": True},
        {"v": "1"},
        {"extra": 1},
        {"cron": "0 0 30 2 *"},
        {"cron": 5},
        {"cron": {"minute": "*"}},
        {"dialect": "quartz"},
        {"timezone": "Mars/Base"},
        {"timezone": "+99:99"},
        {"timezone": None},
        {"start": "2026-01-01"},
        {"start": None},
        {"end": 5},
    ],
)
def test_a_document_that_was_not_written_here_is_not_guessed_at(damage: dict[str, object]) -> None:
    whole: dict[str, object] = {"v": 1, "cron": "0 0 * * *", "dialect": "unix", "timezone": "UTC"}
    Timetable.from_document(whole)
    with pytest.raises(Unreadable):
        Timetable.from_document(whole | damage)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"v": 1},
        {"v": 1, "every": "5s", "timezone": "UTC"},
        {"v": 1, "every": "-5s", "start": "2026-01-01T00:00:00.000Z", "timezone": "UTC"},
        {"v": 1, "every": 5, "start": "2026-01-01T00:00:00.000Z", "timezone": "UTC"},
        {"v": 1, "every": "5s", "start": "2026-99-01T00:00:00.000Z", "timezone": "UTC"},
        {"v": 1, "or": []},
        {"v": 1, "or": [5]},
        {"v": 1, "and": [{"and": [{"and": [{"and": [{"and": []}]}]}]}]},
    ],
)
def test_a_damaged_document_is_unreadable(document: object) -> None:
    with pytest.raises(Unreadable):
        Timetable.from_document(document)  # type: ignore[arg-type]


def test_stock_triggers_are_stored_with_their_own_meaning() -> None:
    parts = [
        CronTrigger(day="last", hour="*/2", timezone="Europe/Berlin", end_date="2030-01-01"),
        CalendarIntervalTrigger(days=1, hour=2, start_date="2026-01-01", timezone="Europe/Berlin"),
    ]
    timetable = Timetable.from_trigger(AndTrigger(parts))
    document = json.loads(json.dumps(timetable.to_document()))
    assert Timetable.from_document(document) == timetable
    assert document["and"][0]["dialect"] == "apscheduler"
    assert document["and"][1]["dst"] == {"gap": "skip", "overlap": "first"}
    assert timetable.describe().startswith(
        "whenever these agree: every 2 hours on the last day of every month, Europe/Berlin"
    )


def test_a_document_that_was_read_is_not_taken_for_one_that_only_looks_equal() -> None:
    body = {"v": 1, "calendar": {"years": 0, "months": 1, "weeks": 0, "days": 0, "hour": 0, "minute": 0, "second": 0}}
    whole = {**body, "start_date": "2026-01-31", "timezone": "UTC"}
    clamped = {**whole, "calendar": {**body["calendar"], "clamp": True}}  # type: ignore[dict-item]
    assert Timetable.from_document(clamped) == Timetable.from_document(dict(reversed(clamped.items())))
    with pytest.raises(Unreadable):
        Timetable.from_document({**whole, "calendar": {**body["calendar"], "clamp": 1}})  # type: ignore[dict-item]
    with pytest.raises(Unreadable):
        Timetable.from_document({**whole, "calendar": {**body["calendar"], "months": 1.0}})  # type: ignore[dict-item]
