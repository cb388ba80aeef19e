"""Doing the same for several tenants at once, so that their waits for a majority overlap."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_A = TypeVar("_A")
_B = TypeVar("_B")


class Crew:
    """A few threads; with one, everything happens in order in the caller's own, as a simulation needs it."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="crew") if threads > 1 else None

    def map(self, call: Callable[[_A], _B], items: Sequence[_A]) -> list[_B]:
        """Return ``call`` of each item, in order; the first exception is raised once all calls have ended."""
        if self._pool is None or len(items) < 2:
            return [call(item) for item in items]
        futures = [self._pool.submit(call, item) for item in items]
        for future in futures:
            future.exception()
        return [future.result() for future in futures]

    def close(self) -> None:
        """Let the threads go."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
