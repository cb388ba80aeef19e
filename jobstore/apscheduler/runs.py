"""The run times as an executor gets them: taking one begins it."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any


class Runs(list[datetime]):
    """A list of run times that begins each one when it is iterated over.

    Every executor of APScheduler ends in ``run_job``, which takes the run times one after the other, tests each for a
    misfire and calls the function.  So iteration is the last moment before the function that all of them share: a
    run time that must not be begun any more is simply not there, and neither is any event of it.
    """

    def __init__(
        self, run_times: Sequence[datetime], begin: Callable[[datetime], bool], over: Callable[[], object] | None = None
    ) -> None:
        super().__init__(run_times)
        self._begin = begin
        self._over = over

    def __iter__(self) -> Iterator[datetime]:
        try:
            yield from self._begun()
        finally:
            # Whoever iterates asks for another run time when the function has returned.
            if self._over is not None:
                self._over()

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled for the worker process of a pool, which has no connection to begin with: begun here, just before.
        return list, (list(self._begun()),)

    def named(self) -> list[datetime]:
        """Return the run times without beginning any."""
        return list(super().__iter__())

    def begin(self, run_time: datetime) -> bool:
        """Begin one run time; return whether it may be run."""
        return self._begin(run_time)

    def _begun(self) -> Iterator[datetime]:
        for run_time in super().__iter__():
            if not self._begin(run_time):
                return
            yield run_time

    def when_dropped(self, call: Callable[[], object]) -> None:
        """Have ``call`` made when the executor has let go of the run times, taken or not."""
        weakref.finalize(self, call).atexit = False
