"""One hundred cron expressions, each asked of this project and of three others."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from celery import Celery
from celery.schedules import crontab
from croniter import croniter

from jobstore.errors import InvalidTrigger
from jobstore.timetable import Timetable

PEERS = {"apscheduler": "APScheduler `from_crontab`", "celery": "Celery `crontab`", "croniter": "croniter"}

_PLAIN = [
    "* * * * *", "*/15 * * * *", "0 * * * *", "0 9 * * *", "0 9 * * 1-5", "0 9 * * MON-FRI", "0 9 * * 0", "0 9 * * 7",
    "0 9 * * SUN", "0 9 * * 5-7", "0 9 * * FRI-SUN", "0 9 * * 6,0", "0 9 13 * 5", "0 9 1,15 * 1", "0 9 */2 * 5", "0 9 1 * *",
    "0 0 31 * *", "0 0 29 2 *", "0 0 30 2 *", "0 0 31 2,4 *", "0 0 L * *", "0 0 L-2 * *", "0 0 LW * *", "0 0 15W * *",
    "0 0 1W * *", "0 0 * * 5L", "0 0 * * L5", "0 0 * * FRI#2", "0 0 * * 1#1", "0 0 ? * 1", "0 0 * JAN *", "0 0 1 */3 *",
    "0 22-2 * * *", "5/10 * * * *", "59/15 * * * *", "10-50/20 * * * *", "*/90 * * * *", "*/7 * * * *", "5-5 * * * *",
    "00 09 * * *", "@daily", "@hourly", "@weekly", "@reboot", "0 0 0 1 1 *", "61 * * * *", "* * * *", "0 24 * * *",
]  # fmt: skip
_CHANGES = [
    ("Europe/Berlin", "2026-03-28T22:00", "30 2 * * *"),
    ("Europe/Berlin", "2026-10-24T22:00", "30 2 * * *"),
    ("America/New_York", "2026-03-08T05:00", "30 2 * * *"),
    ("America/New_York", "2026-11-01T04:00", "30 1 * * *"),
    ("Africa/Cairo", "2026-04-23T12:00", "0 0 * * *"),
    ("Africa/Cairo", "2026-10-29T12:00", "30 23 * * *"),
    ("Asia/Beirut", "2026-03-28T12:00", "0 0 * * *"),
    ("America/Santiago", "2026-09-05T12:00", "0 0 * * *"),
    ("Australia/Lord_Howe", "2026-10-03T12:00", "15 2 * * *"),
    ("Australia/Lord_Howe", "2026-04-04T12:00", "45 1 * * *"),
    ("Antarctica/Troll", "2026-03-29T00:00", "30 1 * * *"),
    ("Africa/Casablanca", "2026-03-22T00:00", "30 2 * * *"),
    ("Asia/Kathmandu", "2026-05-01T00:00", "0 0 * * *"),
]
_FREQUENT = ["*/30 * * * *", "0 * * * *", "*/30 1-3 * * *"]


def _cases() -> list[tuple[str, str, str]]:
    found = [(expression, "UTC", "2026-01-30T12:00") for expression in _PLAIN]
    for zone, start, fixed in _CHANGES:
        found += [(expression, zone, start) for expression in (fixed, *_FREQUENT)]
    return found


CASES = _cases()
"""Expression, zone, and the instant (UTC) after which the next are asked for."""


def answer(who: str, expression: str, zone: str, start: str) -> str:
    """Return the instants that somebody names next, in local time, or that it is refused."""
    instant = datetime.fromisoformat(start).replace(tzinfo=UTC)
    wanted = 2 if zone == "UTC" or not expression.startswith("*") else 3
    if zone != "UTC" and expression.startswith(("*/30", "0 *")):
        # what is frequent is asked at the change itself
        instant = _change(instant, zone) - timedelta(minutes=45)
        wanted = 4
    found = []
    try:
        ask = {"horarium": _horarium, "apscheduler": _apscheduler, "celery": _celery, "croniter": _croniter}[who]
        for _ in range(wanted):
            following = ask(expression, zone, instant)
            if following is None:
                return ", ".join(found) or "never, without a word"
            if following <= instant:
                return ", ".join([*found, "stands still"])
            instant = following
            found.append(
                instant.astimezone(ZoneInfo(zone)).strftime("%d %b %H:%M %z" if zone != "UTC" else "%d %b %Y %H:%M")
            )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        return "refused" if not found else f"{', '.join(found)}, then {type(error).__name__}"
    return ", ".join(found)


def _change(instant: datetime, zone: str) -> datetime:
    offset = instant.astimezone(ZoneInfo(zone)).utcoffset()
    for _ in range(48 * 60):
        if instant.astimezone(ZoneInfo(zone)).utcoffset() != offset:
            break
        instant += timedelta(minutes=1)
    return instant


def _horarium(expression: str, zone: str, instant: datetime) -> datetime | None:
    try:
        return Timetable.from_spec({"cron": expression, "timezone": zone}, now=instant).after(instant)
    except InvalidTrigger as refusal:
        raise ValueError(str(refusal)) from refusal


def _apscheduler(expression: str, zone: str, instant: datetime) -> datetime | None:
    trigger = CronTrigger.from_crontab(expression, timezone=zone)
    # as a scheduler asks right after a firing; to ask for the first, there is none before
    found = trigger.get_next_fire_time(instant.astimezone(ZoneInfo(zone)), instant + timedelta(microseconds=1))
    return None if found is None else found.astimezone(UTC)


def _celery(expression: str, zone: str, instant: datetime) -> datetime | None:
    minute, hour, day, month, weekday = expression.split()
    app = Celery(set_as_current=False)
    app.conf.timezone = zone
    now = instant.astimezone(ZoneInfo(zone))
    schedule = crontab(minute, hour, weekday, day, month, nowfun=lambda: now, app=app)
    found = instant + schedule.remaining_estimate(now)
    return found.replace(second=0, microsecond=0)


def _croniter(expression: str, zone: str, instant: datetime) -> datetime | None:
    walk = croniter(expression, instant.astimezone(ZoneInfo(zone)), ret_type=datetime)
    return walk.get_next(datetime).astimezone(UTC)
