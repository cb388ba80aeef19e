"""Solar events: near what an almanac says, one a day at most, in order wherever the place is."""

import json
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from jobstore.errors import InvalidTrigger, Unreadable
from jobstore.timetable import Timetable, solar

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BERLIN = {"latitude": 52.52, "longitude": 13.405, "timezone": "Europe/Berlin"}


def made(spec: dict[str, object]) -> Timetable:
    timetable = Timetable.from_spec(spec, now=NOW)
    document = json.loads(json.dumps(timetable.to_document()))
    assert Timetable.from_document(document) == timetable
    assert Timetable.from_document(document).to_document() == document
    return timetable


@pytest.mark.parametrize(
    ("event", "almanac"),
    [("sunrise", "2026-06-21T02:43"), ("solar_noon", "2026-06-21T11:08"), ("sunset", "2026-06-21T19:33")],
)
def test_an_event_comes_within_two_minutes_of_the_almanac(event: str, almanac: str) -> None:
    expected = datetime.fromisoformat(almanac).replace(tzinfo=UTC)
    found = made({"solar": event, **BERLIN}).first(datetime(2026, 6, 21, tzinfo=UTC))
    assert found is not None
    assert abs(found - expected) < timedelta(minutes=2)


def test_an_offset_moves_the_event() -> None:
    plain, moved = made({"solar": "sunset", **BERLIN}), made({"solar": "sunset", "offset": "-30m", **BERLIN})
    sunset = plain.first(NOW)
    assert sunset is not None
    assert moved.first(NOW) == sunset - timedelta(minutes=30)
    assert moved.describe() == "30 minutes before sunset at 52.52, 13.405, Europe/Berlin"


@pytest.mark.parametrize("event", list(solar.EVENTS))
@pytest.mark.parametrize("longitude", [-180, -122.4, 0, 13.4, 179.9])
@pytest.mark.parametrize("latitude", [-77.8, 0, 66.0, 69.6])
def test_events_are_in_order_and_every_question_agrees(event: str, longitude: float, latitude: float) -> None:
    timetable = made({"solar": event, "latitude": latitude, "longitude": longitude})
    walk, instant = [], timetable.first(NOW)
    while instant is not None and instant < NOW + timedelta(days=400):
        walk.append(instant)
        instant = timetable.after(instant)
    assert len(walk) > 60
    assert all(timedelta(hours=20) < later - earlier for earlier, later in pairwise(walk))
    for index in range(0, len(walk), 37):
        span = timetable.span(walk[0], walk[index] + timedelta(hours=5))
        assert (span.through, span.count, span.exact) == (walk[index], index + 1, True)


def test_a_polar_night_is_passed_over() -> None:
    tromso = made({"solar": "sunrise", "latitude": 69.65, "longitude": 18.96, "timezone": "Europe/Oslo"})
    found = tromso.first(datetime(2026, 12, 5, tzinfo=UTC))
    assert found is not None
    assert datetime(2027, 1, 10, tzinfo=UTC) < found < datetime(2027, 1, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"solar": "moonrise", **BERLIN}, "solar is one of dawn_astronomical"),
        ({"solar": "sunset"}, "latitude is a number of degrees from -90 to 90, not None"),
        ({"solar": "sunset", "latitude": 91, "longitude": 0}, "latitude is a number"),
        ({"solar": "sunset", "latitude": 0, "longitude": float("nan")}, "longitude is a number"),
        ({"solar": "sunset", **BERLIN, "offset": "13h"}, "an offset is at most 12 hours"),
        ({"solar": "sunset", **BERLIN, "offset": "soon"}, "offset: 'soon' is not a length of time"),
    ],
)
def test_a_wrong_place_or_event_is_refused(spec: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidTrigger) as refusal:
        made(spec)
    assert any(reason in fault for fault in refusal.value.faults), refusal.value.faults


def test_without_the_package_solar_events_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    # one that was not read before: rules are remembered
    document = {**made({"solar": "sunset", **BERLIN}).to_document(), "latitude": 52.0}
    solar._library.cache_clear()
    monkeypatch.setitem(sys.modules, "astral", None)
    monkeypatch.setitem(sys.modules, "astral.sun", None)
    try:
        with pytest.raises(InvalidTrigger, match=r"horarium\[solar\]"):
            Timetable.from_spec({"solar": "sunset", **BERLIN}, now=NOW)
        with pytest.raises(Unreadable, match=r"horarium\[solar\]"):
            Timetable.from_document(document)
    finally:
        solar._library.cache_clear()
