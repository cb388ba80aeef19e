"""What people write under ``except`` and as holidays, read into windows."""

import re
from collections.abc import Iterable, Mapping
from datetime import date, time

from jobstore.timetable.calendars import check_date
from jobstore.timetable.holiday import Holidays
from jobstore.timetable.moments import read_date
from jobstore.timetable.shift import BusinessDays
from jobstore.timetable.windows import WEEKDAYS, Closed, ClosedDays, Dates, Range, Weekly

Calendars = Mapping[str, Iterable[object]]

_MOST_ENTRIES = 50
_MOST_DATES = 5_000
_HOLIDAYS = re.compile(r"holidays:([A-Za-z]{2,3})(?:-(.{1,60}))?")
_CLOCK = re.compile(r"\d\d:\d\d(:\d\d)?")
_NAME = re.compile(r"[\w .:-]{1,60}")
_FULL_NAMES = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
_HOW = (
    "write a date, {from, to}, {weekly: {days: [sat], from: 22:00, to: 06:00}}, weekends, holidays:DE, "
    "{country, subdivision} or calendar:NAME"
)


def read_closed(value: object, calendars: Calendars) -> tuple[Closed, ...]:
    """Return what a list of exclusions keeps out; ``calendars`` are the tenant's own, by name.

    Raises:
        ValueError: An entry is malformed, or names a calendar that does not exist.
    """
    entries = value if isinstance(value, list | tuple) else [value]
    if not 1 <= len(entries) <= _MOST_ENTRIES:
        raise ValueError(f"give 1 to {_MOST_ENTRIES} entries, not {len(entries)}")
    single = sorted({check_date(read_date(each)) for each in entries if _is_date(each)})
    others = [_entry(each, calendars) for each in entries if not _is_date(each)]
    return tuple(([Dates(tuple(single))] if single else []) + others)


def read_shift(value: object, calendars: Calendars) -> BusinessDays:
    """Return the business days that ``shift`` means (raises ValueError).

    A direction, or a mapping of ``to``, ``weekend`` (Saturday and Sunday unless given) and ``holidays``.
    """
    parts = {"to": value} if isinstance(value, str) else value
    if not isinstance(parts, Mapping) or "to" not in parts or set(parts) - {"to", "weekend", "holidays"}:
        raise ValueError("write next, previous, nearest or {to: next, weekend: [sat, sun], holidays: holidays:DE}")
    to = parts["to"]
    if to not in ("next", "previous", "nearest"):
        raise ValueError(f"to is next, previous or nearest, not {to!r:.40}")
    weekend = _weekdays(parts.get("weekend", ["sat", "sun"]))
    if len(weekend) == len(WEEKDAYS):
        raise ValueError("a week needs a day that is not weekend")
    holidays = read_closed(parts["holidays"], calendars) if parts.get("holidays") else ()
    if not all(isinstance(each, ClosedDays) for each in holidays):
        raise ValueError("holidays are whole days: dates, ranges, countries and calendars")
    return BusinessDays(to, weekend, tuple(each for each in holidays if isinstance(each, ClosedDays)))


def _is_date(entry: object) -> bool:
    return isinstance(entry, date) or (isinstance(entry, str) and entry[:1].isdigit())


def _entry(entry: object, calendars: Calendars) -> Closed:
    if isinstance(entry, str):
        return _named(entry, calendars)
    if isinstance(entry, Mapping):
        keys = set(entry)
        if keys == {"from", "to"}:
            first, last = (check_date(read_date(entry[key])) for key in ("from", "to"))
            if last < first:
                raise ValueError(f"{last} lies before {first}")
            return Range(first, last)
        if keys == {"weekly"}:
            return _weekly(entry["weekly"])
        if keys in ({"country"}, {"country", "subdivision"}):
            return Holidays.of(_text(entry["country"]).upper(), entry.get("subdivision"))
        if keys == {"calendar"}:
            return _named(f"calendar:{entry['calendar']}", calendars)
        if keys in ({"dates"}, {"calendar", "dates"}):
            return _dates(entry["dates"], entry.get("calendar"))
    raise ValueError(f"{entry!r:.60} is no exclusion: {_HOW}")


def _named(text: str, calendars: Calendars) -> Closed:
    if text == "weekends":
        return Weekly(frozenset({0, 6}))
    if found := _HOLIDAYS.fullmatch(text):
        return Holidays.of(found[1].upper(), found[2])
    kind, _, name = text.partition(":")
    if kind != "calendar":
        raise ValueError(f"{text[:60]!r} is no exclusion: {_HOW}")
    if name not in calendars:
        raise ValueError(f"there is no calendar {name[:60]!r}: there are {', '.join(sorted(calendars)) or 'none'}")
    return _dates(list(calendars[name]), name)


def _dates(value: object, name: object) -> Dates:
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_DATES:
        raise ValueError(f"dates are a list of 1 to {_MOST_DATES}")
    if name is not None and (not isinstance(name, str) or _NAME.fullmatch(name) is None):
        raise ValueError(f"{name!r:.60} does not name a calendar")
    return Dates(tuple(sorted({check_date(read_date(each)) for each in value})), name)


def _weekly(value: object) -> Weekly:
    if not isinstance(value, Mapping) or "days" not in value or set(value) - {"days", "from", "to"}:
        raise ValueError("weekly is {days: [sat, sun], from: 22:00, to: 06:00}, whole days without from and to")
    if ("from" in value) != ("to" in value):
        raise ValueError("a weekly window has both from and to, or neither")
    return Weekly(_weekdays(value["days"]), _clock(value.get("from", "00:00")), _clock(value.get("to", "00:00")))


def _weekdays(value: object) -> frozenset[int]:
    days = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(days, list | tuple) or not days:
        raise ValueError(f"name weekdays such as [sat, sun], not {value!r:.60}")
    found = set()
    for day in days:
        name = day.lower() if isinstance(day, str) else ""
        if name[:3] not in WEEKDAYS or name not in {name[:3]} | _FULL_NAMES:
            raise ValueError(f"{day!r:.40} is not a weekday: use sun, mon, tue, wed, thu, fri, sat")
        found.add(WEEKDAYS.index(name[:3]))
    return frozenset(found)


def _clock(value: object) -> time:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 86_400:
        # YAML reads 22:00 as a number in base sixty, and 22:00:30 likewise
        minutes, second = (value, 0) if value < 1_440 else divmod(value, 60)
        return time(minutes // 60, minutes % 60, second)
    if not isinstance(value, str) or _CLOCK.fullmatch(value) is None:
        raise ValueError(f"{value!r:.40} is not a time of day: write '22:00'")
    return time.fromisoformat(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a text, not {value!r:.40}")
    return value
