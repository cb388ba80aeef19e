"""A job as its owner writes it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster.operations.definition import KEYS, read_definition
from jobstore.errors import InvalidInput
from jobstore.tenant import Defaults

NOW = datetime(2026, 11, 25, 12, 0, 0, 500_000, tzinfo=UTC)


def read(fields: object, **more: Any) -> Any:
    return read_definition(fields, defaults=Defaults(zone="Europe/Berlin", pool="reports"), now=NOW, **more)


def faults(fields: object) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read(fields)
    return list(caught.value.faults)


def test_what_is_left_out_comes_from_the_tenant():
    spec = read({"cron": "0 2 * * *", "task": "a.b"}).spec
    assert (spec.pool, spec.trigger["timezone"], spec.target.kind) == ("reports", "Europe/Berlin", "task")


def test_what_is_empty_counts_as_left_out():
    spec = read({"every": "5s", "task": "a.b", "pool": None, "kwargs": None, "retry": None}).spec
    assert (spec.pool, spec.kwargs, spec.retry.max_attempts) == ("reports", {}, 1)


def test_a_function_is_a_target_of_its_own_kind():
    target = read({"every": "5s", "function": "tidy"}).spec.target
    assert (target.kind, target.name) == ("function", "tidy")


@pytest.mark.parametrize(
    "definition",
    [
        {"every": "7s"},
        {"every": "7s", "end": "2036-01-01"},
        {"calendar": {"days": 2}},
        {"rrule": "FREQ=WEEKLY;INTERVAL=2"},
        {"cron": "0 3 * * *", "max_firings": 3},
        {"any": [{"every": "7s"}, {"calendar": {"days": 2}}]},
    ],
)
def test_the_phase_of_an_interval_is_kept_where_none_is_given(definition: dict[str, Any]):
    first = read(definition | {"task": "a.b"}).spec
    later = read_definition(
        definition | {"task": "a.b"},
        defaults=Defaults(zone="Europe/Berlin"),
        now=NOW + timedelta(days=1, seconds=3),
        stored=first.trigger,
    ).spec
    assert later.trigger == first.trigger


@pytest.mark.parametrize(
    "other", [{"every": "8s"}, {"every": "7s", "start": "2026-11-25T12:00:01Z"}, {"cron": "@daily"}]
)
def test_another_interval_begins_anew(other: dict[str, Any]):
    first = read({"every": "7s", "task": "a.b"}).spec
    assert read(other | {"task": "a.b"}, stored=first.trigger).spec.trigger != first.trigger


@pytest.mark.parametrize("fields", [None, 7, "x", [], [{"every": "5s"}]])
def test_what_is_no_mapping_is_refused(fields: object):
    assert "a job is a mapping" in faults(fields)[0]


def test_an_unknown_setting_is_refused_with_the_nearest_one():
    assert faults({"every": "5s", "task": "a.b", "time_limit": 5}) == [
        "'time_limit' is not a setting of a job; did you mean time_limit_s?"
    ]
    assert faults({"every": "5s", "task": "a.b", "zzz": 5})[0].endswith(", ".join(KEYS))
    assert "did you mean task?" in faults({"every": "5s", "tusk": "a.b"})[0]


def test_a_setting_of_the_retry_is_named_as_such():
    assert faults({"every": "5s", "task": "a.b", "retry": {"times": 3}}) == [
        "retry.times is not a setting of retry; known: max_attempts, delay_s, factor, max_delay_s, on_lost"
    ]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"args": "abc"}, "args: write a list, such as [1, two]"),
        ({"kwargs": [1]}, "kwargs: write a mapping, such as {kind: full}"),
        ({"max_instances": "3"}, "max_instances: write a whole number"),
        ({"max_instances": 0}, "max_instances: it must be greater than or equal to 1"),
        ({"time_limit_s": "5"}, "time_limit_s: write a number"),
        ({"description": 5}, "description: write a text"),
        ({"overlap": "never"}, "overlap: it must be 'skip' or 'buffer_one'"),
        ({"pool": "No"}, "pool: 'No' is not a pool: use 1 to 39 lower-case letters, digits and hyphens"),
        (
            {"task": "a b"},
            "task: 'a b' is not a name: use 1 to 255 letters, digits and _ . : -, beginning with a letter,",
        ),
        ({"task": ["x"]}, "task: ['x'] is not a name"),
        ({"task": None}, "task: None is not a name"),
    ],
)
def test_every_fault_is_a_sentence_that_says_what_is_allowed(fields: dict[str, Any], sentence: str):
    (fault,) = faults({"every": "5s", "task": "a.b"} | fields)
    assert fault.startswith(sentence)


def test_nothing_of_pydantic_shows_in_what_people_read():
    for fault in faults({"every": [], "task": {}, "args": 1, "kwargs": 1, "pool": 1, "retry": 1, "max_instances": {}}):
        assert "Input" not in fault
        assert "pydantic" not in fault
