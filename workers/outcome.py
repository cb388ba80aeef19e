"""What becomes of an attempt that ended, from how it ended.  Pure."""

import traceback
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final

from pydantic import ValidationError

from jobstore.firing import Firing
from jobstore.job import Retry as RetryPolicy
from jobstore.job import check_payload
from jobstore.runs import Outcome

MAX_RESULT: Final = 16 * 1024
MOST_ATTEMPTS: Final = 100
_MAX_TEXT: Final = 8_000
_OURS: Final = ("workers.", "celery.", "billiard.")


class Retry(Exception):
    """Raised by job code: end this attempt and try the firing again.

    Args:
        message: Kept with the attempt.
        delay_s: Seconds until the next attempt; the job's own retry policy decides when None.
    """

    def __init__(self, message: str = "", *, delay_s: float | None = None) -> None:
        super().__init__(message or "another attempt was asked for")
        if delay_s is not None and not 0 <= delay_s <= 366 * 86_400:
            raise ValueError(f"the delay of a retry is 0 s to a year, not {delay_s} s")
        self.delay_s = delay_s


class Ignored(Exception):
    """The target asked to be left alone (Celery's Ignore): the attempt succeeded without a result."""


class Missed(Exception):
    """The run begins later than its job allows."""


class RunLost(BaseException):
    """Raised in running code whose attempt is no longer its own: it was declared dead.

    Not an ``Exception``, so that a handler that catches everything does not go on working unfenced.
    """


class RunCancelled(BaseException):
    """Raised, once, in running code that somebody asked to end; the firing is cancelled when it comes out.

    Code that catches it and returns has ended by itself.
    """


class RunStopped(BaseException):
    """Raised, once, in running code whose worker is being stopped and has waited long enough.

    The firing is given back when it comes out; code that catches it and returns has ended by itself.
    """


class UnknownTarget(Exception):
    """The job names something that this worker does not have; ``reason`` is a sentence with near matches."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def returned(value: Any) -> Outcome:
    """Return the outcome of a target that came back with ``value``; a result that cannot be kept is noted."""
    if value is None:
        return Outcome(state="succeeded")
    try:
        check_payload(value)
        size = size_of(value)
    except ValueError as error:
        return _omitted(str(error).replace("the arguments", "the result", 1))
    if size > MAX_RESULT:
        return _omitted(f"the result takes {size:,} bytes; at most {MAX_RESULT:,} are kept")
    return Outcome(state="succeeded", result=value)


def _omitted(sentence: str) -> Outcome:
    return Outcome(state="succeeded", reason="result_omitted", result={"omitted": sentence[:500]})


def size_of(value: Any) -> int:
    """Return how many bytes a value that ``check_payload`` let pass takes in a document, about."""
    if isinstance(value, str):
        return 5 + len(value.encode())
    if isinstance(value, bytes):
        return 5 + len(value)
    if isinstance(value, Mapping):
        return 5 + sum(2 + len(key.encode()) + size_of(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return 5 + sum(2 + len(str(index)) + size_of(part) for index, part in enumerate(value))
    if value is None:
        return 0
    return 1 if isinstance(value, bool) else 8


def raised(firing: Firing, error: BaseException, *, now: datetime, time_limit: type[BaseException]) -> Outcome:
    """Return the outcome of a target that raised ``error``: another attempt where the job, or its code, wants one."""
    if isinstance(error, Ignored):
        return Outcome(state="succeeded", reason="ignored")
    if isinstance(error, Missed):
        return Outcome(state="failed", reason="missed")
    if isinstance(error, UnknownTarget):
        return Outcome(state="failed", reason="unknown_target", error=error.reason)
    policy = _policy(firing)
    delay: float | None = None
    if isinstance(error, Retry):
        reason, most = "retry_asked", MOST_ATTEMPTS
        delay = error.delay_s
    else:
        reason, most = _reason(error, time_limit), policy.max_attempts
    retry_at = None
    if firing.attempt < most:
        retry_at = now + timedelta(seconds=policy.delay(firing.attempt) if delay is None else delay)
    elif reason == "retry_asked":
        reason = "retries_exhausted"
    return Outcome(state="failed", reason=reason, error=describe(error), retry_at=retry_at)


def stopped(firing: Firing, *, now: datetime, error: BaseException | None = None) -> Outcome:
    """Return the outcome of an attempt whose worker was stopped: another one at once, unless the job forbids it.

    It costs none of the job's attempts: a rolling update is not the job's fault.
    """
    never = _policy(firing).on_lost == "fail" or firing.attempt >= MOST_ATTEMPTS
    return Outcome(
        state="failed",
        reason="worker_stopped",
        error=None if error is None else describe(error),
        retry_at=None if never else now,
    )


def _reason(error: BaseException, time_limit: type[BaseException]) -> str:
    if isinstance(error, time_limit):
        return "time_limit"
    return "exited" if isinstance(error, SystemExit) else "raised"


def _policy(firing: Firing) -> RetryPolicy:
    try:
        return RetryPolicy.model_validate(dict(firing.snapshot.retry))
    except ValidationError:
        return RetryPolicy()


def describe(error: BaseException) -> str:
    """Return type, message and traceback of ``error`` as text that fits into a record, the last line last."""
    lines = traceback.format_exception(type(error), error, _users(error.__traceback__))
    text = "".join(lines).rstrip("\n")
    if len(text) > _MAX_TEXT:
        text = f"{text[:1000]}\n[… {len(text) - _MAX_TEXT:,} characters left out …]\n{text[1000 - _MAX_TEXT :]}"
    # What cannot be encoded must not keep the outcome from being written.
    return text.encode("utf-8", "backslashreplace").decode()


def _users(frames: TracebackType | None) -> TracebackType | None:
    """Return the traceback from the first frame that is not part of the machinery."""
    at = frames
    while at is not None and str(at.tb_frame.f_globals.get("__name__", "")).startswith(_OURS):
        at = at.tb_next
    return at or frames
