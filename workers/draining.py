"""Draining a worker: nothing new begins, what runs may end in time, the rest is given back at once.

A worker that is simply killed leaves runs that are declared dead half a minute later; one that waits for ever is killed.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from jobstore.clock import Clock
from workers.execute import Executor
from workers.live import Run
from workers.outcome import RunStopped
from workers.wire import KILL_GRACE_S

_LOOK_EVERY_S: Final = 0.2
_FINISH_S: Final = 5.0


class DrainCall:
    """Tells all processes of a worker that it drains: the end of a pipe that its children were forked with.

    A signal would not do: those that a child of the pool may get are taken, by Celery and by interrupted runs.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._owner = os.getpid()
        self._called = False

    def call(self) -> None:
        """Make ``wait`` return in every process; in a child, and again, it does nothing."""
        if os.getpid() == self._owner and not self._called:
            self._called = True
            os.close(self._write)

    def join(self) -> None:
        """Let go of a child's copy of the writing end: the pipe ends when nobody holds one any more."""
        if os.getpid() != self._owner and not self._called:
            self._called = True
            os.close(self._write)

    def wait(self) -> None:
        """Wait until ``call`` was called, or the process that may call it is gone."""
        os.read(self._read, 1)


@dataclass(slots=True)
class Drain:
    """The drain of one process.  ``kill`` ends it when a run heeds nothing."""

    executor: Executor
    clock: Clock
    within_s: float
    kill: Callable[[], None]
    _never: threading.Event = field(default_factory=threading.Event)

    def start(self, call: DrainCall) -> None:
        """Begin to drain when ``call`` is called."""
        call.join()

        def wait() -> None:
            call.wait()
            self.run()

        threading.Thread(target=wait, name="horarium-drain", daemon=True).start()

    def run(self) -> None:
        """Drain: returns when nothing runs here any more."""
        self.executor.draining.set()
        live = self.executor.live
        if self._ended(self.within_s, lambda: bool(live.tokens())):
            return
        if self._ended(KILL_GRACE_S, self._stop_running):
            return
        for run in live.running():
            self.executor.give_back(run)
        # Outcomes that are being written get a moment before everything ends.
        self._ended(_FINISH_S, lambda: any(run.phase == "finishing" for run in live.all()))
        self.kill()

    def _ended(self, within_s: float, busy: Callable[[], bool]) -> bool:
        """Look again and again until nothing is busy; return False when the time is over first."""
        until = self.clock.monotonic() + within_s
        while busy():
            if self.clock.monotonic() >= until:
                return False
            self.clock.wait(self._never, _LOOK_EVERY_S)
        return True

    def _stop_running(self) -> bool:
        """Interrupt what runs, once each; return whether anything is left."""
        for run in self.executor.live.running():
            if not run.stopped:
                run.stopped = True
                run.cancelled.set()
                self._interrupt(run)
        return bool(self.executor.live.tokens())

    def _interrupt(self, run: Run) -> None:
        self.executor.interrupts.stop(run, RunStopped)
