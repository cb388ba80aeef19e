"""Timetables of any shape: they move forward, and every way of asking gives the same instants."""

import json
import pickle
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from cronsim import CronSim
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobstore.errors import InvalidTrigger, TriggerStuck, Unreadable
from jobstore.timetable import DIALECTS, KEYS, Limits, Timetable, convert

examples = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "America/New_York",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "America/Nuuk",
    "Pacific/Apia",
]


@lru_cache
def changes(name: str) -> list[datetime]:
    """The hours around which the offset of the zone changes, 2010 to 2030."""
    zone, found = ZoneInfo(name), [datetime(2026, 1, 1, tzinfo=UTC)]
    hour = datetime(2010, 1, 1, tzinfo=UTC)
    while hour.year < 2031:
        ahead = hour + timedelta(hours=12)
        if hour.astimezone(zone).utcoffset() != ahead.astimezone(zone).utcoffset():
            found.append(hour)
        hour = ahead
    return found


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    one = st.integers(low, high).map(str)
    spread = st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda pair: f"{min(pair)}-{max(pair)}")
    step = st.integers(1, high - low).map(lambda count: f"*/{count}")
    term = st.one_of(one, one, spread, step)
    return st.one_of(st.just("*"), term, st.lists(st.one_of(one, spread), min_size=2, max_size=3).map(",".join))


days = st.one_of(st.just("*"), numbers(1, 31), st.just("L"), st.just("LW"))
weekdays = st.one_of(st.just("*"), numbers(0, 6), st.sampled_from(["5L", "1#1", "3#5", "MON-FRI", "7"]))
months = st.one_of(st.just("*"), st.just("*"), numbers(1, 12))
five = st.tuples(numbers(0, 59), numbers(0, 23), days, months, weekdays).map(" ".join)
six = st.tuples(numbers(0, 59), five).map(" ".join)
instants = st.datetimes(datetime(2009, 6, 1), datetime(2031, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))


@st.composite
def timetables(draw: st.DrawFn) -> Timetable:
    zone = draw(st.sampled_from(ZONES))
    kind = draw(st.sampled_from(["cron", "cron", "every", "at", "calendar", "stock"]))
    spec: dict[str, object] = {"timezone": zone}
    if kind == "cron":
        spec["cron"] = draw(st.one_of(five, six))
    elif kind == "every":
        spec["every"] = draw(st.integers(1, 10**10)) / 1000
        spec["start"] = draw(instants).isoformat()
    elif kind == "at":
        spec["at"] = draw(instants)
    elif kind == "calendar":
        counts = draw(st.tuples(*[st.integers(0, 3)] * 4).filter(any))
        clock = draw(st.tuples(st.integers(0, 23), st.integers(0, 59)))
        names = ("years", "months", "weeks", "days", "hour", "minute")
        spec |= {"calendar": dict(zip(names, counts + clock, strict=True)), "start_date": draw(instants).date()}
    trigger = draw(stock())
    if kind != "at" and draw(st.booleans()):
        spec["end"] = draw(instants)
    try:
        return Timetable.from_trigger(trigger) if kind == "stock" else Timetable.from_spec(spec, now=NOW)
    except InvalidTrigger:
        # a day that no month has, or an end before the first instant
        return Timetable.from_spec({"cron": "30 2 * * *", "timezone": zone}, now=NOW)


@st.composite
def stock(draw: st.DrawFn, depth: int = 0) -> BaseTrigger:
    zone = draw(st.sampled_from(ZONES))
    kind = draw(st.sampled_from(["cron", "interval", "calendar", *(["or"] if depth == 0 else [])]))
    if kind == "cron":
        fields = {"minute": draw(numbers(0, 59)), "hour": draw(numbers(0, 23)), "day_of_week": draw(numbers(0, 6))}
        try:
            return CronTrigger(
                **fields, day=draw(st.sampled_from(["*", "last", "2nd sun", "31"])), timezone=zone, jitter=9
            )
        except ValueError:
            return CronTrigger(minute=5, timezone=zone)
    if kind == "interval":
        return IntervalTrigger(seconds=draw(st.integers(1, 10**6)), start_date=draw(instants), timezone=zone, jitter=10)
    if kind == "calendar":
        return CalendarIntervalTrigger(
            days=draw(st.integers(1, 40)), hour=draw(st.integers(0, 23)), start_date=date(2020, 1, 1), timezone=zone
        )
    return OrTrigger([draw(stock(1)), draw(stock(1))])


@st.composite
def asked(draw: st.DrawFn) -> datetime:
    """An instant, more often than not within hours of a change of some zone."""
    near = draw(st.sampled_from(ZONES).flatmap(lambda zone: st.sampled_from(changes(zone))))
    return draw(st.one_of(instants, st.timedeltas(timedelta(hours=-30), timedelta(hours=42)).map(lambda by: near + by)))


@examples
@given(timetables(), asked())
def test_every_step_moves_forward_and_every_question_agrees(timetable: Timetable, start: datetime) -> None:
    named = [timetable.first(start)]
    while named[-1] is not None and len(named) < 40:
        named.append(timetable.after(named[-1]))
    walk = [instant for instant in named if instant is not None]
    assert walk == sorted(set(walk))
    assert all(start <= instant and instant.tzinfo is UTC for instant in walk)
    for before, after in zip(walk, named[1:], strict=False):
        # from anywhere between two nominals the second follows, and a nominal is its own first
        assert timetable.first(before) == before
        if after is not None:
            assert timetable.first(before + timedelta(microseconds=1)) == after
            assert timetable.after(before + (after - before) / 2) == after
            assert timetable.first(after - timedelta(microseconds=1)) == after


@examples
@given(timetables(), asked(), st.integers(0, 39), st.floats(0, 1))
def test_a_span_is_what_iterating_finds(timetable: Timetable, start: datetime, steps: int, between: float) -> None:
    head = timetable.first(start)
    if head is None:
        return
    walk, following = [head], timetable.after(head)
    while following is not None and len(walk) <= steps:
        walk.append(following)
        following = timetable.after(following)
    end = walk[-1] + timedelta(days=400) if following is None else following
    now = max(walk[-1], end - (end - walk[-1]) * between - timedelta(microseconds=1))
    span = timetable.span(head, now)
    assert (span.through, span.count, span.exact, span.following) == (walk[-1], len(walk), True, following)


@examples
@given(timetables())
def test_storing_and_pickling_lose_nothing(timetable: Timetable) -> None:
    document = json.loads(json.dumps(timetable.to_document()))
    again = Timetable.from_document(document)
    assert again == timetable
    assert again.to_document() == document
    copy = pickle.loads(pickle.dumps(timetable))
    assert copy == timetable
    assert hash(copy) == hash(timetable)
    assert timetable.describe() == copy.describe()


def civil_matches(expression: str, start: datetime, end: datetime) -> set[datetime]:
    """The matching minutes of [start, end), naive, by cronsim alone."""
    sim, found = CronSim(expression, start - timedelta(minutes=1)), set()
    for civil in sim:
        if civil >= end:
            break
        found.add(civil)
    return found


@examples
@given(
    st.tuples(numbers(0, 59), numbers(0, 23)).map(lambda two: " ".join(two) + " * * *"),
    st.sampled_from(ZONES).flatmap(lambda zone: st.tuples(st.just(zone), st.sampled_from(changes(zone)))),
)
def test_clock_changes_follow_the_rule_minute_by_minute(expression: str, place: tuple[str, datetime]) -> None:
    name, around = place
    zone = ZoneInfo(name)
    first, last = around - timedelta(hours=30), around + timedelta(hours=42)
    begin, end = (instant.replace(tzinfo=None) for instant in (first - timedelta(days=2), last + timedelta(days=2)))
    civil = civil_matches(expression, begin, end)
    minutes = [first + timedelta(minutes=count) for count in range(72 * 60)]
    shown = [minute.astimezone(zone).replace(tzinfo=None, fold=0) for minute in minutes]
    minute_field, hour_field = expression.split()[:2]
    hours = {each.hour for each in civil}
    if minute_field.startswith("*") or hour_field.startswith("*") or len(hours) == 24:
        expected = [minute for minute, wall in zip(minutes, shown, strict=True) if wall in civil]
    else:
        # each civil minute once: the first minute at which the wall clock has reached it
        expected, highest = [], shown[0] - timedelta(minutes=1)
        for minute, wall in zip(minutes, shown, strict=True):
            reached = [
                highest + timedelta(minutes=step) for step in range(1, (wall - highest) // timedelta(minutes=1) + 1)
            ]
            if any(each in civil for each in reached):
                expected.append(minute)
            highest = max(highest, wall)
    timetable = Timetable.from_spec({"cron": expression, "timezone": name}, now=NOW)
    found, instant = [], timetable.first(first)
    while instant is not None and instant <= minutes[-1]:
        found.append(instant)
        instant = timetable.after(instant)
    assert found == expected
    if found:
        span = timetable.span(found[0], minutes[-1])
        assert (span.through, span.count, span.exact) == (found[-1], len(found), True)


texts = st.text(st.sampled_from("0123456789*/-,#LW? @abcMONFRIJANSUN"), max_size=40)
rule_texts = st.lists(
    st.sampled_from(
        [
            *(f"FREQ={name}" for name in ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")),
            *("INTERVAL=2", "INTERVAL=7", "COUNT=3", "UNTIL=20300101", "WKST=SU", "BYMONTH=2", "BYMONTHDAY=30,-1"),
            *(
                "BYDAY=MO,-1FR",
                "BYDAY=SA",
                "BYWEEKNO=53",
                "BYYEARDAY=366",
                "BYHOUR=2,3",
                "BYMINUTE=0,59",
                "BYSETPOS=-1,2",
            ),
        ]
    ),
    max_size=5,
).map(";".join)


@examples
@given(
    st.one_of(
        st.tuples(texts, st.sampled_from(sorted(DIALECTS))).map(lambda two: {"cron": two[0], "dialect": two[1]}),
        rule_texts.map(lambda text: {"rrule": text}),
    ),
    st.sampled_from(ZONES),
)
def test_any_text_is_an_expression_or_refused(spec: dict[str, object], zone: str) -> None:
    try:
        timetable = Timetable.from_spec({**spec, "timezone": zone}, now=NOW)
    except InvalidTrigger:
        return
    first = timetable.first(datetime(1960, 1, 1, tzinfo=UTC))
    assert first is not None
    assert timetable.describe()
    assert Timetable.from_document(json.loads(json.dumps(timetable.to_document()))) == timetable


@examples
@given(five, st.sampled_from(sorted(DIALECTS)))
def test_a_conversion_there_and_back_names_the_same_instants(expression: str, target: str) -> None:
    try:
        there = convert(expression, "unix", target)
        back = convert(there.expression, target, "unix")
    except InvalidTrigger:
        return
    walks = []
    for written, dialect in ((expression, "unix"), (there.expression, target), (back.expression, "unix")):
        timetable = Timetable.from_spec({"cron": written, "dialect": dialect}, now=NOW)
        walk = [timetable.first(NOW)]
        while len(walk) < 20 and walk[-1] is not None:
            walk.append(timetable.after(walk[-1]))
        walks.append(walk)
    assert walks[0] == walks[1] == walks[2]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(ZONES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["v", "and", "or", "gap", *KEYS])


@examples
@given(st.dictionaries(keys, json_values, max_size=5), st.sampled_from([{}, {"v": 1}]))
def test_poison_is_refused_and_does_no_harm(poison: dict[str, object], version: dict[str, object]) -> None:
    readers = (
        (lambda given: Timetable.from_spec(given, now=NOW), InvalidTrigger),
        (Timetable.from_document, Unreadable),
    )
    for read, refusal in readers:
        try:
            timetable = read(poison | version)
        except refusal:
            continue
        timetable.first(NOW)
        timetable.describe()


@examples
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2399), asked())
def test_and_of_two_intervals_meets_or_is_stuck_within_its_bounds(
    first: int, second: int, phase: int, start: datetime
) -> None:
    parts = [
        IntervalTrigger(minutes=first, start_date=NOW, timezone=UTC),
        IntervalTrigger(minutes=second, start_date=NOW + timedelta(minutes=phase), timezone=UTC),
    ]
    timetable = Timetable.from_trigger(AndTrigger(parts)).within(Limits(steps=5_000))
    begin = max(start, NOW)
    meeting = [
        minute
        for count in range(first * second + max(0, phase) + 1)
        if (minute := _floor(begin) + timedelta(minutes=count)) >= begin
        and (minute - NOW) % timedelta(minutes=first) == timedelta(0)
        and minute >= NOW + timedelta(minutes=phase)
        and (minute - NOW - timedelta(minutes=phase)) % timedelta(minutes=second) == timedelta(0)
    ]
    try:
        found = timetable.first(begin)
    except TriggerStuck:
        assert not meeting
    else:
        assert found == meeting[0]


def _floor(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)
