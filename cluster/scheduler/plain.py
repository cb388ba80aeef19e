"""A visit to any other job store: what stock's loop does, but nothing that fails is lost, deleted or fatal."""

import threading
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import partial
from typing import Any, Final

from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore

from cluster.scheduler.host import Host
from cluster.scheduler.submission import Fate, Told, submit
from cluster.scheduler.visits import LONGEST_WAIT_S
from jobstore.apscheduler.passes import Patience
from jobstore.apscheduler.plan import Plan
from jobstore.apscheduler.runs import Runs
from jobstore.errors import InvalidTrigger, TriggerStuck

RETRY_AFTER_S: Final = 5.0
# Asking a trigger that is stuck takes its time, and the other jobs of the store wait for it.
_STUCK_FOR_S: Final = 60.0


class PlainVisitor:
    """Visits one store that nobody else runs jobs from."""

    def __init__(self, host: Host, alias: str, store: Any) -> None:
        self._host = host
        self._alias = alias
        self._store = store
        self._patience = Patience()
        self._set_aside: dict[str, str] = {}
        self._left_until: dict[str, float] = {}
        self._instances = Instances()
        # A store in memory relies on the scheduler's lock, and makes no I/O under it.
        self._guard: AbstractContextManager[Any] = host.lock if isinstance(store, MemoryJobStore) else nullcontext()

    def visit(self) -> float:
        """Hand over what is due; return the seconds until the next visit."""
        told = Told()
        moved = 0
        now = self._host.now()
        try:
            with self._guard:
                due = self._store.get_due_jobs(now)
            ids = {job.id for job in due}
            self._set_aside = {job_id: reason for job_id, reason in self._set_aside.items() if job_id in ids}
            self._left_until = {job_id: until for job_id, until in self._left_until.items() if job_id in ids}
            for job in due:
                if not self._host.claiming:
                    break
                if self._left_until.get(job.id, 0.0) <= self._host.clock.monotonic():
                    moved += self._hand_over(job, now, told)
            with self._guard:
                upcoming = self._store.get_next_run_time()
        finally:
            told.tell(self._host.dispatch)
        wait = None if upcoming is None else max(0.0, upcoming.timestamp() - self._host.now().timestamp())
        return self._patience.bounded(wait, moved, LONGEST_WAIT_S)

    def _hand_over(self, job: Any, now: datetime, told: Told) -> bool:
        """Hand over one job; return whether it has moved on."""
        executor = self._host.executor(job.executor)
        if executor is None:
            return self._leave(job, f'the scheduler has no executor "{job.executor}"')
        owed = {"id": job.id, "trigger": job.trigger, "coalesce": job.coalesce}
        try:
            plan = self._host.plan(owed, job.next_run_time, now, None)
        except (InvalidTrigger, TriggerStuck) as error:
            self._left_until[job.id] = self._host.clock.monotonic() + _STUCK_FOR_S
            return self._leave(job, str(error))
        run_times = list(plan.run_times)
        fate = submit(
            partial(self._instances.hand_over, executor, job, run_times),
            job,
            executor,
            running=partial(self._instances.of, job.id),
            logger=self._host.logger,
        )
        if fate is Fate.KEPT:
            self._left_until[job.id] = self._host.clock.monotonic() + RETRY_AFTER_S
            return False
        told.submitted(fate, job.id, self._alias, run_times)
        self._move_on(job, plan, told)
        return True

    def _leave(self, job: Any, reason: str) -> bool:
        """Leave a job that cannot be run as it is, due: it is run when the reason has gone."""
        if self._set_aside.get(job.id) != reason:
            self._set_aside[job.id] = reason
            self._host.logger.error('Job "%s" is set aside: %s', job, reason)
        return False

    def _move_on(self, job: Any, plan: Plan, told: Told) -> None:
        try:
            with self._guard:
                if plan.following is not None:
                    job._modify(next_run_time=plan.following)
                    self._store.update_job(job)
                    return
                self._store.remove_job(job.id)
        except JobLookupError:
            self._host.logger.info("Job %s was removed while it was handed over", job.id)
            return
        told.removed(job.id, self._alias)
        self._host.logger.info("Removed job %s", job.id)


class Instances:
    """How many instances of each job of one store are queued or running here."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def of(self, job_id: str) -> int:
        """Return the count of one job."""
        return self._counts[job_id]

    def hand_over(self, executor: Any, job: Any, run_times: list[datetime]) -> None:
        """Submit a job; its instance counts until the executor has run it, or let it go."""
        ended = threading.Lock()

        def end() -> None:
            if ended.acquire(blocking=False):
                with self._lock:
                    self._counts[job_id] -= 1
                    if not self._counts[job_id]:
                        del self._counts[job_id]

        job_id = job.id
        runs = Runs(run_times, lambda _: True, end)
        with self._lock:
            self._counts[job_id] += 1
        try:
            executor.submit_job(job, runs)
        except BaseException:
            end()
            raise
        # A process pool sends a copy of the run times away, and keeps these until the result is there.
        runs.when_dropped(end)
