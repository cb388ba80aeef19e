"""Spread: equal everywhere, inside its window, never past the next nominal."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from jobstore.timetable import spread

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_an_offset_is_the_same_on_every_node_for_ever() -> None:
    assert spread("acme-k3x9q2", "report", NOON, MINUTE, None) == timedelta(seconds=15, milliseconds=852)


def test_jobs_fill_their_window_evenly() -> None:
    offsets = [spread("acme-k3x9q2", f"job-{number}", NOON, MINUTE, None) for number in range(6_000)]
    assert all(timedelta(0) <= offset < MINUTE for offset in offsets)
    assert all(offset % timedelta(milliseconds=1) == timedelta(0) for offset in offsets)
    sixths = Counter(offset // timedelta(seconds=10) for offset in offsets)
    assert all(850 < sixths[part] < 1_150 for part in range(6))


def test_no_firing_overtakes_the_next() -> None:
    for second in range(500):
        nominal = NOON + timedelta(seconds=second)
        offset = spread("acme", "job", nominal, timedelta(hours=1), nominal + timedelta(seconds=1))
        assert nominal + offset < nominal + timedelta(seconds=1)


@pytest.mark.parametrize("window", [timedelta(0), timedelta(milliseconds=1), timedelta(seconds=-5)])
def test_without_a_window_nothing_moves(window: timedelta) -> None:
    assert spread("acme", "job", NOON, window, None) == timedelta(0)


def test_nominals_tenants_and_jobs_are_told_apart() -> None:
    given = [("a", "bc", NOON), ("ab", "c", NOON), ("a", "bc", NOON + MINUTE), ("a", "b", NOON)]
    assert len({spread(uid, job, nominal, MINUTE, None) for uid, job, nominal in given}) == 4
