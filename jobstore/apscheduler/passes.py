"""The main loop's pass of a stock scheduler, made safe to share.

Stock's ``_process_jobs`` submits a job before it writes the store, ends its thread on any error in between, sleeps
until the next job it knows of, and runs once more after shutdown.  A pass is wrapped, on the scheduler's instance,
when a shared store is started in it.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from apscheduler.schedulers.base import STATE_PAUSED, STATE_STOPPED
from pymongo.errors import PyMongoError

from jobstore.apscheduler.plan import Plan, plan_runs
from jobstore.apscheduler.presence import Presence

Planner = Callable[[Mapping[str, Any], datetime, datetime, float | None], Plan]

# A pass that claimed nothing although something looked due (the server's clock is behind ours) does not spin: it waits
# this long, and twice as long each further time.
_SHORTEST_WAIT_S: Final = 0.02
NAME: Final = "_horarium_pass"


class SharedStore(Protocol):
    """What a pass needs of a store."""

    @property
    def longest_wait_s(self) -> float:
        """Return how long the scheduler may sleep at most."""
        ...

    def hand_over(self, executor: Any, job: Any, run_times: list[datetime]) -> None:
        """Submit a claimed job to its executor."""
        ...

    def end_pass(self) -> int:
        """Let go of what the pass has claimed and not handed over; return how many jobs it claimed."""
        ...


class Pass(Protocol):
    """What a shared store needs of the loop that it is part of.

    ``plan`` says what a claimed job owes; ``presence`` is this process among those that count instances, if it does.
    """

    @property
    def inside(self) -> bool:
        """Return whether the caller runs in the middle of a pass over this store."""
        ...

    @property
    def plan(self) -> Planner:
        """Return how triggers are evaluated."""
        ...

    @property
    def presence(self) -> Presence | None:
        """Return this process's sign of life, or None if instances are not counted across processes."""
        ...

    def leave(self, alias: str, store: SharedStore) -> None:
        """Let the store go."""
        ...


class Patience:
    """How long a loop waits until it looks again."""

    def __init__(self) -> None:
        self._in_vain = 0

    def bounded(self, wait: float | None, claimed: int, longest: float) -> float:
        """Return ``wait`` within its bounds: no longer than ``longest``, and no spinning on what cannot be claimed."""
        if wait is None:
            return longest
        if claimed or wait >= _SHORTEST_WAIT_S:
            self._in_vain = 0
        else:
            wait = _SHORTEST_WAIT_S * 2 ** min(self._in_vain, 10)
            self._in_vain += 1
        return min(wait, longest)


class SharedPass:
    """Stands before ``_process_jobs`` and ``_lookup_executor`` of one scheduler."""

    plan: Planner = staticmethod(plan_runs)
    presence: Presence | None = None

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._process_jobs = scheduler._process_jobs
        self._lookup_executor = scheduler._lookup_executor
        self._stores: dict[str, SharedStore] = {}
        self._thread: int | None = None
        self._patience = Patience()

    @classmethod
    def of(cls, scheduler: Any) -> "Any":
        """Return the pass of ``scheduler``, wrapping it the first time; a scheduler of ours brings its own."""
        existing: SharedPass | None = vars(scheduler).get(NAME)
        if existing is not None:
            return existing
        made = cls(scheduler)
        setattr(scheduler, NAME, made)
        scheduler._process_jobs = made.run
        scheduler._lookup_executor = made.executor
        return made

    def join(self, alias: str, store: SharedStore) -> "SharedPass":
        """Let a store take part; return the pass as the store sees it."""
        self._stores[alias] = store
        return self

    def leave(self, alias: str, store: SharedStore) -> None:
        """Let a store go; with the last one the pass is stock's again."""
        if self._stores.get(alias) is store:
            del self._stores[alias]

    @property
    def inside(self) -> bool:
        """Return whether the caller runs in the loop's thread, in the middle of a pass."""
        return self._thread == threading.get_ident()

    def run(self) -> float | None:
        """Do what ``_process_jobs`` does, but never raise, never after shutdown, and sleep no longer than allowed."""
        if self._scheduler.state == STATE_STOPPED:
            return None
        stores = list(self._stores.values())
        if not stores:
            return self._pass_of_stock()
        wait = None
        self._thread = threading.get_ident()
        try:
            wait = self._pass_of_stock()
        except PyMongoError as error:
            self._scheduler._logger.warning("A job store did not answer; trying again: %s", error)
        except Exception:  # whatever it is, the scheduler's thread must outlive it: nobody would start another
            self._scheduler._logger.exception("A pass of the scheduler failed; trying again")
        finally:
            self._thread = None
            claimed = sum(store.end_pass() for store in stores)
        if self._scheduler.state == STATE_PAUSED:
            return wait
        return self._patience.bounded(wait, claimed, min(store.longest_wait_s for store in stores))

    def _pass_of_stock(self) -> float | None:
        wait: float | None = self._process_jobs()
        return wait

    def executor(self, alias: str) -> Any:
        """Return the executor, in a pass with the shared stores in front of it (raises KeyError if unknown)."""
        executor = self._lookup_executor(alias)
        return Handover(executor, self._stores) if self.inside and self._stores else executor


class Handover:
    """An executor as the loop sees it: submits through the store that a job came from."""

    def __init__(self, executor: Any, stores: dict[str, SharedStore]) -> None:
        self._executor = executor
        self._stores = stores

    def submit_job(self, job: Any, run_times: list[datetime]) -> None:
        """Submit as ``BaseExecutor.submit_job`` does."""
        store = self._stores.get(job._jobstore_alias)
        if store is None:
            self._executor.submit_job(job, run_times)
        else:
            store.hand_over(self._executor, job, run_times)
