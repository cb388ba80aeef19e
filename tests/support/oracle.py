"""A slow, obvious reading of timetable specifications, minute by minute, that shares no code with the package.

It looks at the wall clock of a zone at every minute of a window and asks whether the specification names what it
shows.  Only specifications of whole minutes; times in an overlap are found because the wall clock shows them twice,
times in a gap because it never shows them.
"""

from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import holidays
from dateutil.rrule import rrulestr

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
MARGIN = timedelta(hours=3)
NAMES = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
MONTHS = {date(2000, number, 1).strftime("%b").upper(): number for number in range(1, 13)}
UNITS = {"d": 1440, "h": 60, "m": 1}
POSITIONS = {"1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5}

Matches = Callable[[datetime], bool]


def named(spec: Mapping[str, Any], first: datetime, last: datetime) -> list[datetime]:
    """Return the instants (UTC, whole minutes) of ``[first, last]`` that ``spec`` names, in order."""
    found = _kind(spec, first, last)
    if "shift" in spec:
        found = _shifted(spec, first, last)
    zone = ZoneInfo(spec["timezone"])
    for kept_out in spec.get("except", []):
        found = {each for each in found if not _kept_out(kept_out, each.astimezone(zone).replace(tzinfo=None, fold=0))}
    for key, inside in (("start", lambda at, bound: at >= bound), ("end", lambda at, bound: at <= bound)):
        if key in spec and "rrule" not in spec:
            bound = datetime.fromisoformat(spec[key])
            found = {each for each in found if inside(each, bound)}
    return sorted(found)


def _kind(spec: Mapping[str, Any], first: datetime, last: datetime) -> set[datetime]:
    if "any" in spec:
        return {each for part in spec["any"] for each in named({"timezone": spec["timezone"], **part}, first, last)}
    if "every" in spec:
        length, anchor = int(spec["every"][:-1]) * UNITS[spec["every"][-1]], datetime.fromisoformat(spec["start"])
        minutes = _minutes(first, last)
        return {each for each in minutes if each >= anchor and (each - anchor) // MINUTE % length == 0}
    if "cron" in spec:
        matches, like_an_interval = _cron(spec["cron"], spec.get("dialect", "unix"))
    elif "calendar" in spec:
        matches, like_an_interval = _calendar(spec, last), False
    else:
        begin = datetime.fromisoformat(spec["start"])
        rule = rrulestr(spec["rrule"], dtstart=begin)
        between = rule.between(
            *((each.replace(tzinfo=None) + side * 2 * DAY) for each, side in ((first, -1), (last, 1)))
        )
        matches = set(between).__contains__
        like_an_interval = any(word in spec["rrule"] for word in ("HOURLY", "MINUTELY"))
    dst = {"gap": "after", "overlap": "first"} | spec.get("dst", {})
    if like_an_interval:
        dst = {"gap": "skip", "overlap": "both"}
    return _on_the_wall(matches, dst, ZoneInfo(spec["timezone"]), first, last)


def _minutes(first: datetime, last: datetime) -> Iterable[datetime]:
    minute = first.replace(second=0, microsecond=0)
    while minute <= last:
        if minute >= first:
            yield minute
        minute += MINUTE


def _on_the_wall(
    matches: Matches, dst: Mapping[str, str], zone: ZoneInfo, first: datetime, last: datetime
) -> set[datetime]:
    shown: dict[datetime, list[datetime]] = {}
    found = set()
    before: datetime | None = None
    for minute in _minutes(first - MARGIN, last + MARGIN):
        wall = minute.astimezone(zone).replace(tzinfo=None, fold=0)
        shown.setdefault(wall, []).append(minute)
        missing = wall if before is None else before + MINUTE
        while missing < wall:
            # a time that the clock leaps over
            if dst["gap"] == "after" and matches(missing):
                found.add(minute)
            missing += MINUTE
        before = wall
    for wall, minutes in shown.items():
        if matches(wall):
            found.update({"first": minutes[:1], "second": minutes[-1:], "both": minutes}[dst["overlap"]])
    return {each for each in found if first <= each <= last}


def _cron(expression: Any, dialect: str) -> tuple[Matches, bool]:
    if isinstance(expression, Mapping):
        given = [str(expression.get(name, "*")) for name in ("minute", "hour", "day", "month", "day_of_week")]
    else:
        given = expression.split()
    texts = [text.upper() for text in (given[1:6] if dialect == "quartz" else given)]
    minutes, hours = _numbers(texts[0], 0, 59, {}), _numbers(texts[1], 0, 23, {})
    months = _numbers(texts[3], 1, 12, MONTHS)
    star = ("*", "0/") if dialect == "quartz" else ("*",)
    like_an_interval = any(text.startswith(star) for text in texts[:2]) or len(hours) == 24
    days = _days(texts[2], texts[4], dialect)
    known: dict[date, bool] = {}

    def matches(wall: datetime) -> bool:
        if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
            return False
        day = wall.date()
        if day not in known:
            known[day] = days(day)
        return known[day]

    return matches, like_an_interval


def _days(of_month: str, of_week: str, dialect: str) -> Callable[[date], bool]:
    def in_month(day: date) -> bool:
        return of_month in ("*", "?") or any(_is_day(term, day) for term in of_month.split(","))

    def in_week(day: date) -> bool:
        return of_week in ("*", "?") or any(_is_weekday(term, day, dialect) for term in of_week.split(","))

    starred = any(text.startswith(("*", "?")) for text in (of_month, of_week))
    if dialect == "unix" and not starred:
        return lambda day: in_month(day) or in_week(day)
    return lambda day: in_month(day) and in_week(day)


def _is_day(term: str, day: date) -> bool:
    length = monthrange(day.year, day.month)[1]
    if term in ("L", "LAST"):
        return day.day == length
    if " " in term:
        position, name = term.lower().split()
        same = [each for each in range(1, length + 1) if _weekday(day.replace(day=each)) == NAMES[name.upper()]]
        place = -1 if position == "last" else POSITIONS[position] - 1
        return place < len(same) and day.day == same[place]
    if term.endswith("W"):
        wanted = length if term == "LW" else int(term[:-1])
        working = [each for each in range(1, length + 1) if _weekday(day.replace(day=each)) in range(1, 6)]
        return wanted <= length and day.day == min(working, key=lambda each: abs(each - wanted))
    if term.startswith("L-"):
        return day.day == length - int(term[2:])
    return day.day in _numbers(term, 1, 31, {})


def _is_weekday(term: str, day: date, dialect: str) -> bool:
    first = {"unix": 0, "celery": 0, "quartz": 1, "apscheduler": -1}[dialect]
    names = {
        name: (number + first) % 7 if dialect == "apscheduler" else number + first for name, number in NAMES.items()
    }
    low = 0 if dialect == "apscheduler" else first
    high = {"unix": 7, "celery": 6, "quartz": 7, "apscheduler": 6}[dialect]
    length = monthrange(day.year, day.month)[1]
    if "#" in term or term.endswith("L"):
        text, _, nth = term.partition("#") if "#" in term else (term[:-1], "", "")
        number = names.get(text, int(text) if text.isdigit() else 0)
        if _weekday(day) != (number - first) % 7:
            return False
        return (day.day - 1) // 7 + 1 == int(nth) if nth else day.day + 7 > length
    return _weekday(day) in {(number - first) % 7 for number in _numbers(term, low, high, names)}


def _weekday(day: date) -> int:
    return day.isoweekday() % 7


def _numbers(text: str, low: int, high: int, names: Mapping[str, int]) -> set[int]:
    def number(word: str) -> int:
        return names[word] if word in names else int(word)

    found: set[int] = set()
    for term in text.split(","):
        span, _, step = term.partition("/")
        if span in ("*", "?"):
            values = list(range(low, high + 1))
        elif "-" in span:
            begin, end = (number(word) for word in span.split("-"))
            values = list(range(begin, end + 1)) if begin <= end else [*range(begin, high + 1), *range(low, end + 1)]
        else:
            values = list(range(number(span), high + 1)) if step else [number(span)]
        found.update(values[:: int(step or 1)])
    return found


def _calendar(spec: Mapping[str, Any], last: datetime) -> Matches:
    step = {"years": 0, "months": 0, "weeks": 0, "days": 0, "hour": 0, "minute": 0, "clamp": False} | spec["calendar"]
    months, days = step["years"] * 12 + step["months"], step["weeks"] * 7 + step["days"]
    begin = date.fromisoformat(spec["start_date"])
    dates, index, day = set(), 0, begin
    while day <= last.date() + 2 * DAY:
        dates.add(day)
        index += 1
        day = _clamped(begin, index * months) + index * days * DAY if step["clamp"] else _kept(day, months) + days * DAY
    clock = time(step["hour"], step["minute"])
    return lambda wall: wall.time() == clock and wall.date() in dates


def _clamped(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _kept(day: date, months: int) -> date:
    """The date so many months on; where it does not exist, as many again."""
    moved = 0
    while months:
        moved += months
        year, month = divmod(day.year * 12 + day.month - 1 + moved, 12)
        if day.day <= monthrange(year, month + 1)[1]:
            return date(year, month + 1, day.day)
    return day


def _kept_out(entry: Any, wall: datetime) -> bool:
    day = wall.date()
    if entry == "weekends":
        return day.isoweekday() > 5
    if isinstance(entry, str) and entry.startswith("holidays:"):
        return day in _holidays(entry.removeprefix("holidays:"), day.year)
    if isinstance(entry, str):
        return day == date.fromisoformat(entry)
    if "weekly" not in entry:
        return date.fromisoformat(entry["from"]) <= day <= date.fromisoformat(entry["to"])
    window = entry["weekly"]
    begin, end = (time.fromisoformat(window.get(key, "00:00")) for key in ("from", "to"))
    names = {name.upper() for name in window["days"]}
    for began in (day, day - DAY):
        until = began if end > begin else began + DAY
        inside = datetime.combine(began, begin) <= wall < datetime.combine(until, end)
        if inside and began.strftime("%a").upper() in names:
            return True
    return False


@lru_cache
def _holidays(country: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, years=year))


def _shifted(spec: Mapping[str, Any], first: datetime, last: datetime) -> set[datetime]:
    """Every instant of the days around, moved by hand to a business day at the same wall-clock time."""
    zone, shift = ZoneInfo(spec["timezone"]), spec["shift"]
    inner = {key: value for key, value in spec.items() if key not in ("shift", "except", "start", "end")}
    if "every" in spec or "rrule" in spec:
        inner["start"] = spec["start"]
    found = set()
    for source in named(inner, first - 7 * DAY, last + 7 * DAY):
        wall = source.astimezone(zone).replace(tzinfo=None, fold=0)
        target = _business_day(wall.date(), shift)
        if target == wall.date():
            found.add(source)
            continue
        moved = datetime.combine(target, wall.time())
        around = [moved.replace(tzinfo=zone).astimezone(UTC) + hours * timedelta(hours=1) for hours in (-3, 3)]
        found |= _on_the_wall(
            lambda wall, moved=moved: wall == moved,  # type: ignore[misc]
            {"gap": "after", "overlap": "first"} | spec.get("dst", {}),
            zone,
            around[0],
            around[1],
        )
    return {each for each in found if first <= each <= last}


def _business_day(day: date, shift: Any) -> date:
    to = shift if isinstance(shift, str) else shift["to"]
    closed = [] if isinstance(shift, str) else shift.get("holidays", [])

    def is_open(each: date) -> bool:
        return each.isoweekday() < 6 and not any(_kept_out(entry, datetime.combine(each, time())) for entry in closed)

    for distance in range(60):
        after, before = day + distance * DAY, day - distance * DAY
        if to != "previous" and is_open(after):
            return after
        if to != "next" and is_open(before):
            return before
    raise AssertionError(f"no business day near {day}")
