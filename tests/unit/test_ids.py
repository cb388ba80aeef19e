"""Names are strict, derived ids are equal everywhere and never collide by concatenation."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobstore.clock import from_posix, to_posix
from jobstore.errors import InvalidInput
from jobstore.ids import SystemIds, check_job_id, check_tenant_id, firing_id, uid_of

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize("name", ["acme", "a1b", "a" * 40, "acme-2"])
def test_a_good_tenant_id_is_taken_as_it_is(name):
    assert check_tenant_id(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "ab-",
        "-ab",
        "1ab",
        "a",
        "a" * 41,
        "a.b",
        "a$b",
        "a/b",
        "a b",
        "a\0b",
        "system.users",
        "ácme",
        "a\n",
        None,
        7,
    ],
)
def test_a_bad_tenant_id_is_refused_with_the_rule(name):
    with pytest.raises(InvalidInput, match="lower-case letters"):
        check_tenant_id(name)


@pytest.mark.parametrize(
    "name", ["", "$where", ".hidden", "a b", "a/b", "a\0", "x" * 129, "ключ", {"$ne": None}, "a\n"]
)
def test_a_bad_job_id_is_refused_with_the_rule(name):
    with pytest.raises(InvalidInput, match="letters, digits"):
        check_job_id(name)


def test_two_nodes_derive_the_same_firing_id():
    first = firing_id("acme-x", "report", "inc", NOON)
    assert first == firing_id("acme-x", "report", "inc", NOON)
    assert uid_of(first) == "acme-x"


@pytest.mark.parametrize(
    "other",
    [
        firing_id("acme-y", "report", "inc", NOON),
        firing_id("acme-x", "report2", "inc", NOON),
        firing_id("acme-x", "report", "inc2", NOON),
        firing_id("acme-x", "report", "inc", NOON + timedelta(microseconds=1)),
        firing_id("acme-x", "report", "inc", NOON, "manual"),
        firing_id("acme-x", "report", "inc", NOON, "manual", "key"),
    ],
)
def test_a_firing_id_changes_with_each_of_its_parts(other):
    assert other != firing_id("acme-x", "report", "inc", NOON)


@given(
    st.text("ab|:1", max_size=6),
    st.text("ab|:1", max_size=6),
    st.text("ab|:1", max_size=6),
    st.text("ab|:1", max_size=6),
)
def test_ids_do_not_collide_by_concatenation(job, key, other_job, other_key):
    one = firing_id("u", job, "i", NOON, "manual", key)
    two = firing_id("u", other_job, "i", NOON, "manual", other_key)
    assert (one == two) == ((job, key) == (other_job, other_key))


@given(st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2200, 1, 1)))
def test_posix_seconds_keep_every_microsecond(naive):
    instant = naive.replace(tzinfo=UTC)
    assert from_posix(to_posix(instant)) == instant


def test_random_ids_differ():
    ids = SystemIds()
    assert len({ids.token() for _ in range(100)}) == 100
    assert 0 <= ids.fraction() < 1
