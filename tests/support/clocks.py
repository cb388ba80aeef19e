"""A clock that tests move by hand."""

import threading
import time
from datetime import UTC, datetime, timedelta

_DAYBREAK = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """A ``jobstore.clock.Clock`` whose time stands still until ``advance``; safe for threads.

    The wall clock and the monotonic clock start apart and can be moved apart (``step``), as on a real machine.
    """

    def __init__(self, now: datetime = _DAYBREAK, monotonic: float = 1000.0) -> None:
        self._now = now
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._waiters: dict[int, float] = {}

    def now(self) -> datetime:
        """Return the wall clock."""
        with self._changed:
            return self._now

    def monotonic(self) -> float:
        """Return the monotonic clock."""
        with self._changed:
            return self._monotonic

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        """Wait until ``wake`` is set or the test has advanced the clock by ``seconds``."""
        with self._changed:
            until = self._monotonic + max(0.0, seconds)
            me = threading.get_ident()
            self._waiters[me] = until
            self._changed.notify_all()
            try:
                while not wake.is_set() and self._monotonic < until:
                    self._changed.wait(0.005)  # nobody tells us when wake is set
            finally:
                del self._waiters[me]
                self._changed.notify_all()
        return wake.is_set()

    def advance(self, by: float | timedelta) -> None:
        """Let time pass on both clocks, and wake whoever waited for no longer than that."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if seconds < 0:
            raise ValueError("time passes forwards; use step() to set the wall clock back")
        with self._changed:
            self._monotonic += seconds
            self._now += timedelta(seconds=seconds)
            self._changed.notify_all()

    def advance_to(self, instant: datetime) -> None:
        """Let time pass until the wall clock shows ``instant``."""
        self.advance(instant - self.now())

    def step(self, by: float | timedelta) -> None:
        """Set the wall clock forwards or back; the monotonic clock does not notice."""
        with self._changed:
            self._now += by if isinstance(by, timedelta) else timedelta(seconds=by)

    def await_waiters(self, count: int = 1, within: float = 5.0) -> None:
        """Wait (real time) until ``count`` threads wait on this clock: only then does advancing reach them."""
        deadline = time.monotonic() + within
        with self._changed:
            while len(self._waiters) < count:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise AssertionError(f"{len(self._waiters)} of {count} threads wait on the clock")
