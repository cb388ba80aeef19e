"""How an attempt that ended becomes a record: results, errors, further attempts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobstore.firing import Covers, Firing, Snapshot
from jobstore.job import Retry as RetryPolicy
from workers.outcome import MAX_RESULT, Ignored, Retry, UnknownTarget, describe, raised, returned, size_of

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


class TooLong(Exception):
    """Stands for Celery's SoftTimeLimitExceeded."""


def firing(attempt: int = 1, **retry: Any) -> Firing:
    return Firing(
        id="acme-a00001:x",
        uid="acme-a00001",
        job="report",
        incarnation="i",
        kind="scheduled",
        nominal=0.0,
        covers=Covers(start=0.0, through=0.0, count=1),
        plan_next=None,
        decision="run",
        reason="",
        state="running",
        attempt=attempt,
        fence=1,
        wait="run",
        attend_at=None,
        epoch=1,
        publishes=1,
        snapshot=Snapshot(
            revision=1,
            target={},
            args=(),
            kwargs={},
            pool="default",
            time_limit_s=None,
            retry=RetryPolicy(**retry).model_dump(),
        ),
        created_at=NOW,
    )


def after(error: BaseException, attempt: int = 1, **retry: Any) -> tuple[str, str, float | None]:
    """Return (state, reason, seconds until the next attempt)."""
    ended = raised(firing(attempt, **retry), error, now=NOW, time_limit=TooLong)
    return ended.state, ended.reason, None if ended.retry_at is None else (ended.retry_at - NOW) / timedelta(seconds=1)


@pytest.mark.parametrize(
    ("error", "reason"), [(ValueError("x"), "raised"), (TooLong(), "time_limit"), (SystemExit(1), "exited")]
)
def test_a_failure_waits_as_the_policy_says_and_the_last_one_is_final(error: BaseException, reason: str):
    policy = {"max_attempts": 3, "delay_s": 10.0, "factor": 3.0}
    assert after(error, 1, **policy) == ("failed", reason, 10.0)
    assert after(error, 2, **policy) == ("failed", reason, 30.0)
    assert after(error, 3, **policy) == ("failed", reason, None)
    assert after(error) == ("failed", reason, None)


def test_a_retry_that_code_asks_for_does_not_count_against_the_policy():
    assert after(Retry(delay_s=2.5), 7) == ("failed", "retry_asked", 2.5)
    assert after(Retry(delay_s=0), 7, delay_s=50.0) == ("failed", "retry_asked", 0.0)
    assert after(Retry(), 2, delay_s=50.0) == ("failed", "retry_asked", 100.0)
    assert after(Retry(delay_s=1), 100) == ("failed", "retries_exhausted", None)


@pytest.mark.parametrize("delay", [-1, 1e9, float("nan")])
def test_a_retry_in_the_past_or_for_ever_is_refused_where_it_is_made(delay: float):
    with pytest.raises(ValueError, match="the delay of a retry"):
        Retry(delay_s=delay)


def test_an_unknown_target_is_not_tried_again():
    assert after(UnknownTarget("no such task"), max_attempts=9) == ("failed", "unknown_target", None)


def test_to_be_ignored_is_to_succeed():
    assert after(Ignored(), max_attempts=9) == ("succeeded", "ignored", None)


def test_a_damaged_policy_does_not_keep_the_outcome_from_being_written():
    broken = firing()
    object.__setattr__(broken.snapshot, "retry", {"max_attempts": "many"})
    ended = raised(broken, ValueError("x"), now=NOW, time_limit=TooLong)
    assert (ended.state, ended.retry_at) == ("failed", None)


@pytest.mark.parametrize(
    "value",
    [object(), {"a": {1, 2}}, {1: "number as a key"}, 2**64, float("inf"), "\ud800", [[["deep"]] * 2, lambda: 0]],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_stored_is_noted(value: Any):
    ended = returned(value)
    assert (ended.state, ended.reason, list(ended.result)) == ("succeeded", "result_omitted", ["omitted"])
    assert "the arguments" not in ended.result["omitted"]
    bson.encode({"result": ended.result})


def test_nothing_is_no_result():
    assert returned(None).result is None
    assert returned(0).result == 0


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner),
    max_leaves=30,
)  # fmt: skip


@given(_values)
def test_the_size_of_a_result_is_never_less_than_its_bytes_and_not_much_more(value: Any):
    real = len(bson.encode({"result": value})) - len(bson.encode({"result": None}))
    assert real <= size_of(value) <= 2 * real + 10


def test_the_bound_on_results_is_a_bound():
    assert returned("x" * (MAX_RESULT - 5)).reason == ""
    assert returned("x" * (MAX_RESULT - 4)).reason == "result_omitted"


def test_an_error_keeps_its_type_and_both_ends_however_long_it_is():
    def fail() -> None:
        raise ValueError("x" * 100_000 + " the end")

    with pytest.raises(ValueError, match="the end") as caught:
        fail()
    text = describe(caught.value)
    assert len(text) < 8_192
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("x the end")
    assert "characters left out" in text


def test_an_error_that_cannot_be_encoded_is_escaped():
    text = describe(ValueError("\ud800 half a character"))
    assert text == "ValueError: \\ud800 half a character"
    text.encode()


def test_an_error_that_cannot_even_be_shown_has_an_outcome():
    class Rude(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert "Rude" in describe(Rude())
