"""Random specifications, zones and windows for comparing timetables with the oracle."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import strategies as st

MINUTE = timedelta(minutes=1)
FIRST, LAST = datetime(2006, 1, 1, tzinfo=UTC), datetime(2046, 1, 1, tzinfo=UTC)
ZONES = sorted(name for name in available_timezones() if name not in ("Factory", "localtime") and "posix" not in name)
COUNTRIES = ("DE", "US", "JP", "BR")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@cache
def changes(name: str) -> tuple[datetime, ...]:
    """The minutes at which the offset of a zone changes, 2006 to 2046."""
    zone, found, day = ZoneInfo(name), [], FIRST
    offset = day.astimezone(zone).utcoffset()
    while day < LAST:
        ahead = day + timedelta(days=7)
        while (new := ahead.astimezone(zone).utcoffset()) != offset:
            low, high = day, ahead
            while high - low > MINUTE:
                middle = (low + (high - low) / 2).replace(second=0, microsecond=0)
                low, high = (middle, high) if middle.astimezone(zone).utcoffset() == offset else (low, middle)
            found.append(high)
            offset = high.astimezone(zone).utcoffset()
            day = high
            if offset == new:
                break
        day = ahead
    return tuple(found)


@st.composite
def windows(draw: st.DrawFn, hours: int = 16) -> tuple[str, datetime, datetime]:
    """A zone, and a window that is more often than not around one of its changes."""
    zone = draw(st.sampled_from(ZONES))
    moments = changes(zone)
    near = draw(st.integers(-len(moments) // 3 - 1, len(moments) - 1)) if moments else -1
    if near >= 0:
        begin = moments[near] - draw(st.integers(1, hours * 60 - 60)) * MINUTE
    else:
        begin = FIRST + draw(st.integers(0, (LAST - FIRST) // MINUTE)) * MINUTE
    return zone, begin, begin + timedelta(hours=hours)


def _terms(draw: st.DrawFn, low: int, high: int, likely: int) -> str:
    """A field of numbers that often holds what is likely to be asked for."""
    kind = draw(st.integers(0, 9))
    one = likely if kind % 2 else draw(st.integers(low, high))
    if kind < 4:
        return str(one)
    if kind < 6:
        other = draw(st.integers(low, high))
        return f"{min(one, other)}-{max(one, other)}"
    if kind == 6:
        return f"*/{draw(st.integers(1, max(1, (high - low) // 2)))}"
    if kind == 7:
        return f"{low}-{high}/{draw(st.integers(1, max(1, (high - low) // 2)))}"
    if kind == 8:
        return ",".join(str(each) for each in sorted({one, draw(st.integers(low, high)), draw(st.integers(low, high))}))
    return "*"


def _day_field(draw: st.DrawFn, wall: datetime, dialect: str) -> str:
    kind = draw(st.integers(0, 11))
    if kind < 5:
        return "*"
    if kind < 8 or dialect == "celery":
        return _terms(draw, 1, 31, wall.day)
    if dialect == "apscheduler":
        return draw(st.sampled_from(["last", "1st sun", "last sun", "2nd mon", "5th fri", f"last,{wall.day}"]))
    return draw(st.sampled_from(["L", "LW", "15W", "1W", "31W", f"{wall.day}W", "L-3", f"L,{wall.day}", "L-1,1W"]))


def _weekday_field(draw: st.DrawFn, wall: datetime, dialect: str) -> str:
    kind = draw(st.integers(0, 11))
    today = wall.isoweekday() % 7
    if kind < 5:
        return "*"
    if kind < 7:
        return draw(st.sampled_from([WEEKDAYS[today], f"{WEEKDAYS[today]}", "mon-fri", "tue,sun"]))
    low, high = {"unix": (0, 7), "celery": (0, 6), "quartz": (1, 7), "apscheduler": (0, 6)}[dialect]
    number = {"unix": today, "celery": today, "quartz": today + 1, "apscheduler": (today - 1) % 7}[dialect]
    if kind < 10 or dialect in ("celery", "apscheduler"):
        return _terms(draw, low, high, number)
    return draw(st.sampled_from([f"{number}L", f"{number}#1", f"{number}#{(wall.day - 1) // 7 + 1}", f"{number}#5"]))


@st.composite
def crons(draw: st.DrawFn, wall: datetime, dialect: str) -> dict[str, Any]:
    """A cron expression of a dialect, whole minutes, not unlikely to match around ``wall``."""
    minute = _terms(draw, 0, 59, wall.minute)
    hour = _terms(draw, 0, 23, (wall.hour + draw(st.integers(-2, 2))) % 24)
    day, weekday = _day_field(draw, wall, dialect), _weekday_field(draw, wall, dialect)
    month = draw(st.sampled_from(["*", "*", "*", str(wall.month), f"{wall.month}-12", "*/3"]))
    if dialect == "quartz":
        if day == "*" and weekday != "*":
            day = "?"
        else:
            weekday = "?"
        return {"cron": f"0 {minute} {hour} {day} {month} {weekday}", "dialect": dialect}
    if dialect == "apscheduler":
        names = ("minute", "hour", "day", "month", "day_of_week")
        fields = dict(zip(names, (minute, hour, day, month, weekday), strict=True))
        return {"cron": fields, "dialect": dialect}
    return {"cron": f"{minute} {hour} {day} {month} {weekday}", "dialect": dialect}


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """What clock changes do; nothing as often as not."""
    if draw(st.booleans()):
        return {}
    gap, overlap = draw(st.sampled_from(["after", "skip"])), draw(st.sampled_from(["first", "second", "both"]))
    return {"dst": {"gap": gap, "overlap": overlap}}


@st.composite
def calendar_intervals(draw: st.DrawFn, wall: datetime) -> dict[str, Any]:
    """A calendar interval whose dates come often."""
    step = draw(
        st.sampled_from([{"days": 1}, {"days": 2}, {"weeks": 1}, {"months": 1}, {"months": 1, "days": 1}, {"years": 1}])
    )
    clock = {
        "hour": draw(st.sampled_from([wall.hour, 0, 2, 23])),
        "minute": draw(st.sampled_from([wall.minute, 0, 30])),
    }
    start = (wall - timedelta(days=draw(st.sampled_from([0, 1, 28, 31, 59, 365, 366, 1461])))).date()
    if draw(st.booleans()):
        start = start.replace(day=draw(st.sampled_from([28, 30, 31])) if start.month in (1, 3, 5, 7, 8, 10, 12) else 1)
    return {"calendar": {**step, **clock, "clamp": draw(st.booleans())}, "start_date": start.isoformat()}


@st.composite
def rules(draw: st.DrawFn, wall: datetime) -> dict[str, Any]:
    """A recurrence rule that began within a few years."""
    day = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")[wall.weekday()]
    rule = draw(
        st.sampled_from(
            [
                "FREQ=DAILY",
                "FREQ=DAILY;INTERVAL=2",
                "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,30",
                f"FREQ=WEEKLY;BYDAY={day}",
                f"FREQ=WEEKLY;INTERVAL=3;WKST=SU;BYDAY={day},SU",
                "FREQ=MONTHLY;BYMONTHDAY=-1",
                f"FREQ=MONTHLY;BYMONTHDAY={wall.day}",
                f"FREQ=MONTHLY;BYDAY=-1{day}",
                f"FREQ=MONTHLY;BYDAY={day},SU;BYSETPOS=-1",
                f"FREQ=YEARLY;BYMONTH={wall.month};BYDAY={day}",
                f"FREQ=YEARLY;BYWEEKNO={wall.isocalendar().week};BYDAY={day}",
                "FREQ=HOURLY",
                "FREQ=HOURLY;INTERVAL=2",
                "FREQ=MINUTELY;INTERVAL=20",
            ]
        )
    )
    days = draw(st.integers(0, 60 if "LY;" not in rule and "HOUR" in rule else 900))
    if "HOURLY" in rule or "MINUTELY" in rule:
        # dateutil walks from the start
        days = min(days, 20)
    start = (wall - timedelta(days=days)).replace(second=0)
    return {"rrule": rule, "start": start.isoformat()}


@st.composite
def exclusions(draw: st.DrawFn, wall: datetime) -> list[Any]:
    """One or two things that are kept out, near ``wall``."""
    hour = f"{wall.hour:02d}"
    today = WEEKDAYS[wall.isoweekday() % 7]
    tomorrow = (wall + timedelta(days=1)).date().isoformat()
    entries = st.sampled_from(
        [
            wall.date().isoformat(),
            tomorrow,
            {"from": wall.date().isoformat(), "to": tomorrow},
            "weekends",
            f"holidays:{draw(st.sampled_from(COUNTRIES))}",
            {"weekly": {"days": [today]}},
            {"weekly": {"days": [today], "from": f"{hour}:15", "to": "23:30"}},
            {"weekly": {"days": [today, "sun"], "from": "02:30", "to": "02:15"}},
            {"weekly": {"days": ["sat", "sun"], "from": "01:30", "to": "02:30"}},
        ]
    )
    return draw(st.lists(entries, min_size=1, max_size=2, unique_by=str))
