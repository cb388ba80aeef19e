"""Timetables beside the oracle: every zone, random specifications, forty years, each minute of a window."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobstore.errors import InvalidTrigger
from jobstore.timetable import Timetable
from tests.property.specifications import (
    ZONES,
    calendar_intervals,
    crons,
    exclusions,
    policies,
    rules,
    windows,
)
from tests.support.oracle import named

# each takes seconds on an idle machine, minutes on one that is shared
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.filter_too_much]


def many(count: int) -> settings:
    """So many examples, the same ones in every run."""
    return settings(deadline=None, max_examples=count, derandomize=True, database=None, suppress_health_check=CHECKS)


def compared(spec: dict[str, Any], first: datetime, last: datetime) -> None:
    """Fail unless the timetable names in ``[first, last]`` what the oracle names there, by every way of asking."""
    expected = named(spec, first, last)
    try:
        timetable = Timetable.from_spec(spec, now=first)
    except InvalidTrigger as error:
        refusal: InvalidTrigger | None = error
    else:
        refusal = None
    if refusal is not None:
        # a day that no month has, or an end before the first instant
        assert any("never fires" in fault or "kept out" in fault for fault in refusal.faults), (spec, refusal)
        assert not expected, (spec, first)
        return
    found, instant = [], timetable.first(first)
    while instant is not None and instant <= last:
        found.append(instant)
        instant = timetable.after(instant)
    assert found == expected, (spec, first)
    assert all(each.tzinfo is UTC for each in found)
    if found:
        span = timetable.span(found[0], last)
        assert (span.through, span.count, span.following) == (found[-1], len(found), instant), (spec, first)
        middle = found[len(found) // 2]
        assert timetable.first(middle) == middle
        head = timetable.span(found[0], middle)
        assert (head.through, head.count) == (middle, len(found) // 2 + 1), (spec, first)
    document = json.loads(json.dumps(timetable.to_document()))
    assert Timetable.from_document(document) == timetable


def wall_of(zone: str, first: datetime, last: datetime) -> datetime:
    """What the clock shows in the middle of a window."""
    return (first + (last - first) / 2).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


@st.composite
def cases(draw: st.DrawFn, dialect: str) -> tuple[dict[str, Any], datetime, datetime]:
    zone, first, last = draw(windows())
    spec = draw(crons(wall_of(zone, first, last), dialect))
    return {**spec, "timezone": zone, **draw(policies())}, first, last


def test_all_zones_of_the_tz_database_are_drawn_from() -> None:
    assert len(ZONES) > 590


@pytest.mark.parametrize("part", range(3))
def test_unix_cron_is_what_the_oracle_reads(part: int) -> None:
    @many(2_700)
    @given(st.just(part), cases("unix"))
    def run(_part: int, case: tuple[dict[str, Any], datetime, datetime]) -> None:
        compared(*case)

    run()


@pytest.mark.parametrize("dialect", ["apscheduler", "celery", "quartz"])
def test_other_dialects_are_what_the_oracle_reads(dialect: str) -> None:
    @many(1_600)
    @given(cases(dialect))
    def run(case: tuple[dict[str, Any], datetime, datetime]) -> None:
        compared(*case)

    run()


@many(2_000)
@given(st.data(), windows())
def test_calendar_intervals_are_what_the_oracle_reads(
    data: st.DataObject, window: tuple[str, datetime, datetime]
) -> None:
    spec = data.draw(calendar_intervals(wall_of(*window)))
    compared({**spec, "timezone": window[0], **data.draw(policies())}, *window[1:])


@many(2_000)
@given(st.data(), windows())
def test_recurrence_rules_are_what_the_oracle_reads(
    data: st.DataObject, window: tuple[str, datetime, datetime]
) -> None:
    spec = data.draw(rules(wall_of(*window)))
    compared({**spec, "timezone": window[0], **data.draw(policies())}, *window[1:])


@many(780)
@given(st.integers(1, 3000), st.integers(-100_000, 1_000), windows())
def test_intervals_are_what_the_oracle_reads(minutes: int, phase: int, window: tuple[str, datetime, datetime]) -> None:
    zone, first, last = window
    anchor = first.replace(second=0, microsecond=0) + phase * timedelta(minutes=1)
    compared({"every": f"{minutes}m", "start": anchor.isoformat(), "timezone": zone}, first, last)


@many(1_200)
@given(st.data(), windows())
def test_unions_are_what_the_oracle_reads(data: st.DataObject, window: tuple[str, datetime, datetime]) -> None:
    zone, first, last = window
    wall = wall_of(*window)
    other = data.draw(st.sampled_from(ZONES))
    parts = [
        {**data.draw(crons(wall, "unix")), **data.draw(policies())},
        {**data.draw(crons(wall_of(other, first, last), "celery")), "timezone": other},
        data.draw(st.one_of(calendar_intervals(wall), rules(wall))),
    ]
    chosen = data.draw(st.lists(st.sampled_from(parts), min_size=1, max_size=3, unique_by=str))
    compared({"any": chosen, "timezone": zone, **data.draw(bounds(first, last))}, first, last)


@many(1_100)
@given(st.data(), windows())
def test_exclusions_are_what_the_oracle_reads(data: st.DataObject, window: tuple[str, datetime, datetime]) -> None:
    zone, first, last = window
    wall = wall_of(*window)
    # a rule that is kept out for ever is looked for in many periods: fewer of them
    kinds = [crons(wall, "unix")] * 6 + [calendar_intervals(wall)] * 3 + [rules(wall)]
    kind = data.draw(st.sampled_from(kinds))
    spec = {**data.draw(kind), "timezone": zone, "except": data.draw(exclusions(wall))}
    compared(
        {**spec, **data.draw(policies()), **({} if "rrule" in spec else data.draw(bounds(first, last)))}, first, last
    )


@many(120)
@given(st.data(), windows(40))
def test_business_days_are_what_the_oracle_reads(data: st.DataObject, window: tuple[str, datetime, datetime]) -> None:
    zone, first, last = window
    wall = wall_of(*window)
    spec: dict[str, Any] = {"cron": f"{wall.minute} {wall.hour},{data.draw(st.integers(0, 23))} * * *"}
    if data.draw(st.booleans()):
        spec = data.draw(calendar_intervals(wall))
    to = data.draw(st.sampled_from(["next", "previous", "nearest"]))
    holidays = data.draw(st.sampled_from([[], [wall.date().isoformat()], ["holidays:JP"]]))
    shift = {"to": to, "holidays": holidays} if holidays else to
    kept_out = {"except": data.draw(exclusions(wall))} if data.draw(st.integers(0, 3)) == 0 else {}
    compared({**spec, "timezone": zone, "shift": shift, **kept_out, **data.draw(policies())}, first, last)


@st.composite
def bounds(draw: st.DrawFn, first: datetime, last: datetime) -> dict[str, str]:
    """A start, an end, both or neither, within a window."""
    length = (last - first) // timedelta(minutes=1)
    low, high = sorted([draw(st.integers(0, length)), draw(st.integers(0, length))])
    found = {"start": first + low * timedelta(minutes=1), "end": first + high * timedelta(minutes=1)}
    return {key: value.isoformat() for key, value in found.items() if draw(st.booleans())}
