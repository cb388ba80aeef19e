"""Where time comes from.  Everything else takes a ``Clock``; a lint rule guards it."""

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The time as one process sees it; tests pass a clock that they move by hand."""

    def now(self) -> datetime:
        """Return the wall clock: aware, UTC.  It may jump either way."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some instant; never falls.  For waits, trust windows and verdicts."""
        ...

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        """Wait until ``wake`` is set or ``seconds`` have passed; return whether it is set."""
        ...


class SystemClock:
    """The machine's own clock, the only reader of real time in the packages."""

    def now(self) -> datetime:
        """Return the wall clock: aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the monotonic clock in seconds."""
        return time.monotonic()

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        """Wait until ``wake`` is set or ``seconds`` have passed; return whether it is set."""
        return wake.wait(max(0.0, seconds))


def to_posix(instant: datetime) -> float:
    """Return seconds since 1970, exact to the microsecond until the year 2242, as APScheduler stores them."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone; instants are aware")
    delta = instant - _EPOCH
    return delta.days * 86400 + delta.seconds + delta.microseconds / 1_000_000


def from_posix(seconds: float) -> datetime:
    """Return the UTC instant that ``to_posix`` made ``seconds`` from."""
    return datetime.fromtimestamp(seconds, UTC)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
