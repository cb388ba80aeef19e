"""Ending the evaluation of a trigger that does not come back.

APScheduler's own triggers are solved within bounds.  A class of the application runs its own code; when it takes too
long, an exception is raised in its thread, as soon as that executes its next Python instruction.
"""

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from jobstore.clock import Clock
from jobstore.errors import TriggerStuck

MOST_S: Final = 5.0
_T = TypeVar("_T")


class TooSlow(BaseException):
    """Raised in the thread of an evaluation that takes too long; no ``except Exception`` of a trigger stops it."""


@dataclass(slots=True, eq=False)
class _Evaluation:
    thread: int
    ends_at: float
    stopped: bool = False


class Evaluations:
    """The evaluations that are under way; ``stop_overdue`` is called by somebody who is never held up by one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._under_way: set[_Evaluation] = set()
        self._lock = threading.Lock()

    def call(self, evaluate: Callable[[], _T]) -> _T:
        """Return what ``evaluate`` returns.

        Raises:
            TriggerStuck: It took too long.
        """
        mine = _Evaluation(threading.get_ident(), self._clock.monotonic() + MOST_S)
        try:
            with self._lock:
                self._under_way.add(mine)
            try:
                return evaluate()
            finally:
                self._withdraw(mine)
        except TooSlow:
            # It may have been raised in the very withdrawal; it is raised only once.
            self._withdraw(mine)
            raise TriggerStuck(f"the trigger took longer than {MOST_S:g} s to name an instant") from None

    def stop_overdue(self) -> None:
        """End what has taken too long."""
        now = self._clock.monotonic()
        with self._lock:
            for one in self._under_way:
                if now > one.ends_at and not one.stopped:
                    one.stopped = True
                    _raise_in(one.thread, TooSlow)

    def _withdraw(self, mine: _Evaluation) -> None:
        with self._lock:
            self._under_way.discard(mine)
            if mine.stopped:
                _raise_in(mine.thread, None)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )
