"""Instants, lengths and reasons as people read them; views as JSON."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cluster.operations.views import CoversView, plain
from cluster.operations.words import ago, instant, length, local, why
from jobstore.firing import Covers, Firing, Snapshot
from jobstore.lifecycle import FINAL, FIRINGS

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def firing(**fields: Any) -> Firing:
    snapshot = Snapshot(
        revision=1,
        target={"kind": "task", "name": "a.b"},
        args=(),
        kwargs={},
        pool="default",
        time_limit_s=None,
        retry={},
    )
    base: dict[str, Any] = {
        "id": "acme-x:y", "uid": "acme-x", "job": "tick", "incarnation": "i", "kind": "scheduled",
        "nominal": AT.timestamp(), "covers": Covers(start=AT.timestamp(), through=AT.timestamp(), count=1),
        "plan_next": None, "decision": "run", "reason": "", "state": "pending", "attempt": 1, "fence": None,
        "wait": "slot", "attend_at": None, "epoch": 1, "publishes": 0, "snapshot": snapshot, "created_at": AT,
    }  # fmt: skip
    return Firing(**(base | fields))


def test_an_instant_is_rfc_3339_in_utc():
    assert instant(AT.astimezone(ZoneInfo("Asia/Tokyo"))) == "2026-11-25T12:00:00Z"
    assert instant(AT + timedelta(milliseconds=5)) == "2026-11-25T12:00:00.005Z"
    assert instant(None) is None


def test_local_time_says_its_zone():
    assert local(AT, ZoneInfo("Europe/Paris")) == "2026-11-25 13:00:00 Europe/Paris"
    assert local(AT) == "2026-11-25 12:00:00 UTC"
    assert local(AT, timezone(timedelta(hours=5, minutes=30))) == "2026-11-25 17:30:00 UTC+05:30"
    assert local(None) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "250 ms"), (1.5, "1.5 s"), (45, "45 s"), (150, "2 min"), (9000, "2 h"), (300_000, "3 d")],
)
def test_a_length_is_told_in_its_largest_unit(seconds: float, text: str):
    assert length(seconds) == text


def test_what_was_and_what_will_be():
    assert ago(AT - timedelta(minutes=5), AT) == "5 min ago"
    assert ago(AT + timedelta(hours=3), AT) == "in 3 h"
    assert ago(None, AT) == "never"


def test_why_names_state_reason_and_range():
    said = why(firing(state="skipped", reason="overlap"))
    assert said == "skipped: an earlier firing of the job still held its place (max_instances)"
    many = Covers(start=AT.timestamp(), through=AT.timestamp() + 60, count=7, exact=False)
    assert "stands for at least 7 instants from 2026-11-25T12:00:00Z through 2026-11-25T12:01:00Z" in why(
        firing(state="superseded", reason="timetable_changed", covers=many)
    )
    assert why(firing(state="failed", reason="raised", attempt=3)) == "failed at attempt 3: it raised an error"
    assert why(firing(state="pending", wait="retry", attempt=2)).startswith("not begun yet: waits for its next attempt")


@pytest.mark.parametrize("state", sorted(FINAL | {after for _, after in FIRINGS.values()}))
def test_every_state_has_a_sentence(state: str):
    assert why(firing(state=state, reason="something_new")).strip()


def test_a_view_becomes_json_that_can_be_read_back():
    view = CoversView(start=AT, through=AT, count=2, exact=True)
    value = {"view": view, "bytes": b"\0\xff", "list": (1, None, {"at": AT})}
    assert json.loads(json.dumps(plain(value))) == {
        "view": {"start": "2026-11-25T12:00:00Z", "through": "2026-11-25T12:00:00Z", "count": 2, "exact": True},
        "bytes": "AP8=",
        "list": [1, None, {"at": "2026-11-25T12:00:00Z"}],
    }
