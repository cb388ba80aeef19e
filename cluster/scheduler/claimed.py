"""A visit to a job store that several processes share: claim, hand over, look when to come again."""

import threading
from functools import partial
from typing import Any

from cluster.scheduler.host import Host
from cluster.scheduler.submission import Fate, Told, counts_itself, submit
from jobstore import SharedMongoDBJobStore
from jobstore.apscheduler.passes import Patience, Planner
from jobstore.apscheduler.presence import Presence


class StorePass:
    """The loop as one shared store sees it (``jobstore.apscheduler.passes.Pass``)."""

    def __init__(self, host: Host, presence: Presence) -> None:
        self._host = host
        self.plan: Planner = host.plan
        self.presence: Presence | None = presence
        self._thread: int | None = None

    @classmethod
    def join(cls, host: Host, store: Any) -> "StorePass":
        """Return the pass of a store that is being started (raises StoreUnavailable)."""
        return cls(host, host.presences.acquire(store))

    @property
    def inside(self) -> bool:
        """Return whether the caller runs in the middle of a visit to this store."""
        return self._thread == threading.get_ident()

    def __enter__(self) -> None:
        self._thread = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self._thread = None

    def leave(self, alias: str, store: Any) -> None:
        """Let the store go, and with the last one of its database this process's sign of life."""
        del alias
        self._host.presences.release(store)


class SharedVisitor:
    """Visits one shared store."""

    def __init__(self, host: Host, alias: str, store: SharedMongoDBJobStore, visited: StorePass) -> None:
        self._host = host
        self._alias = alias
        self._store = store
        self._visited = visited
        self._patience = Patience()

    def visit(self) -> float:
        """Claim and hand over what is due, a part of it at a time; return the seconds until the next visit."""
        told = Told()
        claimed = 0
        wait = None
        try:
            with self._visited:
                try:
                    for job in self._store.get_due_jobs(self._host.now()):
                        if job.claim is None or not self._host.claiming:  # the store, or all, has been shut down
                            break
                        self._hand_over(job, told)
                    upcoming = self._store.get_next_run_time()
                    if upcoming is not None:
                        wait = max(0.0, upcoming.timestamp() - self._host.now().timestamp())
                finally:
                    claimed = self._store.end_pass()
        finally:
            # No listener runs in a visit: whatever it asks of the store, it asks as anybody else.
            told.tell(self._host.dispatch)
        return self._patience.bounded(wait, claimed, self._store.longest_wait_s)

    def _hand_over(self, job: Any, told: Told) -> None:
        store, claim = self._store, job.claim
        executor = self._host.executor(job.executor)
        if executor is None:  # removed since the claim
            store.conclude(claim)
            return
        run_times = list(claim.plan.run_times)
        fate = submit(
            partial(store.hand_over, executor, job, run_times),
            job,
            executor,
            running=partial(store.count_instances, claim),
            logger=self._host.logger,
        )
        if fate is Fate.FULL and not counts_itself(executor):
            store.pass_over(claim)
        else:
            store.conclude(claim)
        if fate is Fate.KEPT:
            return
        told.submitted(fate, job.id, self._alias, run_times)
        if claim.plan.following is None:
            told.removed(job.id, self._alias)
            self._host.logger.info("Removed job %s", job.id)
