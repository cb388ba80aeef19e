"""The runs of this process, and stopping one from another thread.

A run in the main thread is stopped by a signal, which also ends a blocking call; a run in another thread by an
exception that Python raises there as soon as it executes its next instruction.  Either reaches target code only: in
the phases before and after, our own writes must not be torn apart.
"""

import ctypes
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Literal, TypeVar

from jobstore.firing import Firing
from jobstore.tenant import Place
from workers.notebook import Notebook

Phase = Literal["beginning", "running", "finishing"]
_T = TypeVar("_T")
_SIGNAL: Final = signal.SIGUSR1  # the one that Celery's pool sends for its soft limit


class Run:
    """One attempt in this process, from before its begin until after its finish."""

    def __init__(self, firing: str, token: str, place: Place) -> None:
        self.firing = firing
        self.token = token
        self.place = place
        self.thread = threading.get_ident()
        self.phase: Phase = "beginning"
        self.cancelled = threading.Event()
        # From the begin on, because the record may hold what earlier attempts said.
        self.notebook: Notebook | None = None
        # Why this run was asked to end, and when that was first seen, on the monotonic clock.
        self.cancel_reason: str | None = None
        self.cancel_seen = 0.0
        # Interrupted because its worker is stopped; and its record, with which it can be given back.
        self.stopped = False
        self.record: Firing | None = None
        self.limited = False
        self.pending: type[BaseException] | None = None
        self.lock = threading.RLock()


class Live:
    """Every run of this process; the heartbeat names them."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    def enter(self, run: Run) -> None:
        """List a run; called before its begin, so that no sweep ever finds it begun and not listed."""
        with self._lock:
            self._runs[run.token] = run

    def leave(self, run: Run) -> None:
        """Take a run off the list."""
        with self._lock:
            self._runs.pop(run.token, None)

    def tokens(self) -> list[str]:
        """Return the run tokens of all runs."""
        with self._lock:
            return list(self._runs)

    def all(self) -> list[Run]:
        """Return every run."""
        with self._lock:
            return list(self._runs.values())

    def running(self) -> list[Run]:
        """Return the runs whose target is being called."""
        with self._lock:
            return [run for run in self._runs.values() if run.phase == "running"]


class Interrupts:
    """Calls targets so that another thread can stop them; ``time_limit`` is what a run over its limit gets."""

    def __init__(self, time_limit: type[BaseException]) -> None:
        self.time_limit = time_limit
        self._in_main: Run | None = None
        self._previous: Any = None

    def call(self, run: Run, target: Callable[[], _T]) -> _T:
        """Return what ``target`` returns; what it raises, or ``stop`` raises in it, comes out."""
        main = threading.current_thread() is threading.main_thread()
        if main:
            self._arm()
            self._in_main = run
        try:
            try:
                run.phase = "running"
                return target()
            finally:
                run.phase = "finishing"
        finally:
            self.withdraw(run)
            if main:
                self._in_main = None

    def stop(self, run: Run, why: type[BaseException]) -> bool:
        """Raise ``why`` in the target of ``run``; return whether it was running."""
        with run.lock:
            if run.phase != "running" or (why is self.time_limit and run.limited):
                return False
            run.pending = why
            run.limited = run.limited or why is self.time_limit
            if run is self._in_main:
                signal.pthread_kill(run.thread, _SIGNAL)
            else:
                _raise_in(run.thread, why)
            return True

    def withdraw(self, run: Run) -> None:
        """Take back what was to be raised in a target that has ended meanwhile."""
        with run.lock:
            if run.pending is not None and run is not self._in_main:
                _raise_in(run.thread, None)
            run.pending = None

    def _arm(self) -> None:
        """Own the signal.  Celery's pool installs its own handler after a child has started, hence at every run."""
        found = signal.getsignal(_SIGNAL)
        if found != self._handle:
            self._previous = found
            signal.signal(_SIGNAL, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # No lock here: the thread that is interrupted may hold it.
        run = self._in_main
        if run is None:
            if callable(self._previous):
                self._previous(number, frame)
            return
        if run.phase != "running":
            return
        why, run.pending = run.pending, None
        if why is None:  # from the pool: the limit that the message carried
            if run.limited:
                return
            run.limited = True
            why = self.time_limit
        raise why


def _raise_in(thread: int, why: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None if why is None else ctypes.py_object(why))
