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

    def __init__(self, run_times: Sequence[datetime], begin: Callable[[datetime], bool]) -> None:
        super().__init__(run_times)
        self._begin = begin

    def __iter__(self) -> Iterator[datetime]:
        for run_time in super().__iter__():
            if not self._begin(run_time):
                return
            yield run_time

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled for the worker process of a pool, which has no connection to begin with: begun here, just before.
        return list, ([run_time for run_time in self],)  # noqa: C416  (list(self) may copy without iterating)

    def when_dropped(self, call: Callable[[], object]) -> None:
        """Have ``call`` made when the executor has let go of the run times, taken or not."""
        weakref.finalize(self, call).atexit = False
