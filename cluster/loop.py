"""The shell of every loop: run once, announce what went wrong, wait, wake, stop."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from jobstore.errors import StoreUnavailable
from jobstore.events import LoopFailed
from jobstore.runtime import Runtime

_LOG: Final = logging.getLogger("horarium.loop")
_BACKOFF_MOST: Final = 5.0


class Loop:
    """One thread that calls ``once`` again and again; ``once`` returns the seconds to wait before the next round."""

    def __init__(self, name: str, once: Callable[[], float], runtime: Runtime) -> None:
        self.name = name
        self._once = once
        self._runtime = runtime
        self._wake = threading.Event()
        self.stopping = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """End the present wait; a wake-up during a round is not lost."""
        self._wake.set()

    def stop(self) -> None:
        """Ask the thread to end after its present round."""
        self.stopping.set()
        self._wake.set()

    def join(self, seconds: float) -> bool:
        """Wait for the thread; return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self.stopping.is_set():
            seconds = self.round()
            if not self.stopping.is_set():
                self._runtime.clock.wait(self._wake, seconds)
                self._wake.clear()

    def round(self) -> float:
        """Run once; whatever it raises is announced, and the loop goes on after a growing, jittered wait."""
        try:
            seconds = self._once()
        except Exception as error:  # noqa: BLE001  (the one place where a node outlives a bug)
            self._failures += 1
            if not isinstance(error, StoreUnavailable):
                _LOG.exception("the loop %s failed and goes on", self.name)
            self._runtime.events.emit(LoopFailed(self.name, f"{type(error).__name__}: {error}"))
            backoff = min(_BACKOFF_MOST, 0.1 * (1 << min(self._failures, 8)))
            return backoff * (0.5 + self._runtime.ids.fraction())
        self._failures = 0
        return seconds
