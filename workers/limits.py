"""Time limits: what ends a run that takes too long, in every kind of pool.

Celery's own limits count from the message's arrival, do nothing in threads, and its hard one would kill a process
that has finished its work and waits for MongoDB.  These count the target alone.
"""

import threading
from collections.abc import Callable
from contextlib import suppress

from jobstore.clock import Clock
from workers.live import Interrupts, Run
from workers.wire import KILL_GRACE_S


class Limits:
    """One thread, started with the first run that has a limit."""

    def __init__(self, interrupts: Interrupts, clock: Clock, kill: Callable[[], None] | None) -> None:
        """Make it; ``kill`` ends the process of a run that does not heed its limit, None where others run in it."""
        self._interrupts = interrupts
        self._clock = clock
        self._kill = kill
        self._watched: dict[Run, float] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, run: Run, seconds: float) -> None:
        """Stop ``run`` when its target has taken ``seconds`` from now."""
        with self._lock:
            self._watched[run] = self._clock.monotonic() + seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="horarium-limits", daemon=True)
                self._thread.start()
        self._wake.set()

    def forget(self, run: Run) -> None:
        """Stop watching ``run``."""
        with self._lock, suppress(KeyError):
            del self._watched[run]

    def run_once(self) -> float | None:
        """Stop what is over its limit; return the seconds until the next limit, None when there is none."""
        now = self._clock.monotonic()
        with self._lock:
            watched = dict(self._watched)
        following = []
        for run, at in watched.items():
            if now < at:
                following.append(at - now)
                continue
            self._interrupts.stop(run, self._interrupts.time_limit)
            last = at + KILL_GRACE_S
            if now < last:
                following.append(last - now)
            elif self._kill is not None and run.phase == "running":
                self._kill()
        return min(following, default=None)

    def _loop(self) -> None:
        while True:
            seconds = self.run_once()
            self._clock.wait(self._wake, 3600.0 if seconds is None else seconds)
            self._wake.clear()
