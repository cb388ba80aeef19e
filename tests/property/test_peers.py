"""Timetables beside other implementations of cron, where those keep the rule."""

import itertools
import re
from datetime import UTC, datetime, timedelta

from celery.schedules import crontab
from croniter import croniter
from cronsim import CronSim
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobstore.errors import InvalidTrigger
from jobstore.timetable import Timetable
from tests.property.specifications import FIRST, LAST, MINUTE, crons

CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much]
same = settings(deadline=None, max_examples=300, derandomize=True, database=None, suppress_health_check=CHECKS)
starts = st.integers(0, (LAST - FIRST) // MINUTE).map(lambda count: FIRST + count * MINUTE)


def made(spec: dict[str, str]) -> Timetable | None:
    try:
        return Timetable.from_spec(spec, now=FIRST)
    except InvalidTrigger:
        return None


def ten(timetable: Timetable, start: datetime) -> list[datetime]:
    found, instant = [], timetable.after(start)
    while instant is not None and len(found) < 10:
        found.append(instant)
        instant = timetable.after(instant)
    return found


@same
@given(st.data(), starts)
def test_cronsim_agrees_in_utc(data: st.DataObject, start: datetime) -> None:
    spec = data.draw(crons(start.replace(tzinfo=None), "unix"))
    timetable = made(spec)
    # cronsim knows neither the nearest working day nor days counted from the end
    if timetable is None or "W" in spec["cron"].replace("LW", "") or "L-" in spec["cron"]:
        return
    assert ten(timetable, start) == list(itertools.islice(CronSim(spec["cron"].upper(), start), 10))


@same
@given(st.data(), starts)
def test_croniter_agrees_in_utc(data: st.DataObject, start: datetime) -> None:
    spec = data.draw(crons(start.replace(tzinfo=None), "unix"))
    timetable = made(spec)
    days, weekdays = (spec["cron"].split()[index] for index in (2, 4))
    # it writes the last Friday otherwise, ORs fields that begin with a star, takes 7 for 0 only when it is alone, and
    # 5-5 for the whole field
    plain = not any(mark in days + weekdays for mark in ("L", "W", "#", "7"))
    if (
        timetable is None
        or not plain
        or re.search(r"\b(\d+)-\1\b", spec["cron"])
        or any(field.startswith("*/") for field in (days, weekdays))
    ):
        return
    assert ten(timetable, start) == _croniter(spec["cron"], start)


def _croniter(expression: str, start: datetime) -> list[datetime]:
    walk = croniter(expression, start, ret_type=datetime, max_years_between_matches=50)
    return [walk.get_next(datetime) for _ in range(10)]


@same
@given(st.data(), starts)
def test_celery_agrees_in_utc(data: st.DataObject, start: datetime) -> None:
    spec = data.draw(crons(start.replace(tzinfo=None), "celery"))
    timetable = made(spec)
    if timetable is None:
        return
    found, last = [], start
    for _ in range(10):
        theirs = _celery(spec["cron"], last)
        begin, length, _ = theirs.remaining_delta(last, tz=UTC)
        last = begin + length
        found.append(last)
    assert ten(timetable, start) == found


def _celery(expression: str, now: datetime) -> crontab:
    minute, hour, day, month, weekday = expression.split()
    return crontab(minute, hour, weekday, day, month, nowfun=lambda: now)


def test_nothing_is_compared_with_nothing() -> None:
    timetable = made({"cron": "*/5 * * * *"})
    assert timetable is not None
    assert len(ten(timetable, FIRST)) == 10
    assert ten(timetable, FIRST)[-1] - FIRST == timedelta(minutes=50)
