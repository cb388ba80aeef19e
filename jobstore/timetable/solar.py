"""Solar events at a place: sunrise, sunset, dawn, dusk and noon, from the optional package ``astral``."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from importlib import import_module
from typing import Any

from jobstore.timetable.durations import duration_text, duration_words
from jobstore.timetable.limits import Meter
from jobstore.timetable.rule import Document, Rule
from jobstore.timetable.zones import Zone, zone_text

MISSING = "solar events need the package `astral`: pip install 'horarium[solar]' on every node"

_ZERO = timedelta(0)
_DAY = timedelta(days=1)
_SEARCH = 400
_FIRST, _LAST = date(1900, 1, 2), date(2199, 12, 30)
# astral's function, and how many degrees the sun is below the horizon
EVENTS: dict[str, tuple[str, float | None]] = {
    "dawn_astronomical": ("dawn", 18.0),
    "dawn_nautical": ("dawn", 12.0),
    "dawn_civil": ("dawn", 6.0),
    "sunrise": ("sunrise", None),
    "solar_noon": ("noon", None),
    "sunset": ("sunset", None),
    "dusk_civil": ("dusk", 6.0),
    "dusk_nautical": ("dusk", 12.0),
    "dusk_astronomical": ("dusk", 18.0),
}


@dataclass(frozen=True, slots=True)
class Solar(Rule):
    """A solar event of every day that has it, to the second, moved by ``offset``; ``zone`` is for showing it.

    Where the sun does not rise or set that day nothing comes.  From 1900 to 2199.
    """

    event: str
    latitude: float
    longitude: float
    offset: timedelta
    zone: Zone

    @classmethod
    def of(cls, event: object, latitude: object, longitude: object, offset: timedelta, zone: Zone) -> "Solar":
        """Return the rule (raises ValueError: an unknown event or place, or the package is not installed)."""
        if not isinstance(event, str) or event not in EVENTS:
            raise ValueError(f"solar is one of {', '.join(EVENTS)}, not {event!r:.40}")
        _library()
        return cls(event, _degrees("latitude", latitude, 90), _degrees("longitude", longitude, 180), offset, zone)

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the first event later than ``instant``; at most 400 days are looked at."""
        day = max(self._day(instant) - _DAY, _FIRST)
        for _ in range(_SEARCH):
            meter.step()
            if day > _LAST:
                return None
            found = self._instant(day)
            if found is not None and found > instant:
                return found
            day += _DAY
        return None

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        """Return the last event not later than ``instant``."""
        day = min(self._day(instant) + _DAY, _LAST)
        for _ in range(_SEARCH):
            meter.step()
            if day < _FIRST:
                return None
            found = self._instant(day)
            if found is not None and found <= instant:
                return found
            day -= _DAY
        return None

    def document(self) -> Document:
        """Return event, place, offset if any, and zone."""
        found: Document = {"solar": self.event, "latitude": self.latitude, "longitude": self.longitude}
        if self.offset:
            sign = "-" if self.offset < _ZERO else ""
            found["offset"] = sign + duration_text(abs(self.offset))
        return found | {"timezone": zone_text(self.zone)}

    def words(self) -> str:
        """Return "30 minutes before sunset at 52.5, 13.4, Europe/Berlin"."""
        moved = ""
        if self.offset:
            length = duration_words(abs(self.offset))
            length = length if length[0].isdigit() else f"1 {length}"
            moved = f"{length} {'before' if self.offset < _ZERO else 'after'} "
        event = self.event.replace("_", " ")
        return f"{moved}{event} at {self.latitude:g}, {self.longitude:g}, {zone_text(self.zone)}"

    def _day(self, instant: datetime) -> date:
        return (instant - self.offset).astimezone(_solar_zone(self.longitude)).date()

    def _instant(self, day: date) -> datetime | None:
        found = _event(self.event, self.latitude, self.longitude, day)
        return None if found is None else found + self.offset


def _solar_zone(longitude: float) -> timezone:
    """Return a zone in which the sun's noon is near 12:00, so that every event has one date of its own."""
    return timezone(timedelta(hours=round(longitude / 15)))


@lru_cache(maxsize=16_384)
def _event(event: str, latitude: float, longitude: float, day: date) -> datetime | None:
    sun, observer = _library()
    name, degrees = EVENTS[event]
    find: Callable[..., datetime] = getattr(sun, name)
    more: dict[str, Any] = {} if degrees is None else {"depression": degrees}
    try:
        found = find(observer(latitude, longitude), date=day, tzinfo=_solar_zone(longitude), **more)
    except ValueError:
        # the sun does not reach that height on this day
        return None
    return found.astimezone(UTC).replace(microsecond=0)


@lru_cache(maxsize=1)
def _library() -> tuple[Any, Any]:
    try:
        return import_module("astral.sun"), import_module("astral").Observer
    except ImportError as fault:
        raise ValueError(MISSING) from fault


def _degrees(name: str, value: object, most: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
        raise ValueError(f"{name} is a number of degrees from -{most} to {most}, not {value!r:.40}")
    return float(value)
