"""``CeleryExecutor``: an executor of APScheduler whose jobs run on Celery workers."""

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from apscheduler.executors.base import BaseExecutor

from jobstore.clock import Clock, SystemClock
from jobstore.errors import BrokerUnavailable, ConfigurationError, StoreUnavailable
from jobstore.runtime import Runtime
from jobstore.store import store_on
from workers.executor.answers import Answers
from workers.executor.desk import Desk, Settings
from workers.executor.handover import Handover
from workers.executor.tending import Tending
from workers.settings import DEFAULT_DATABASE

_TEND_EVERY_S: Final = 1.0


class CeleryExecutor(BaseExecutor):  # type: ignore[misc]
    """Run jobs on the workers that ``horarium worker`` starts, for any scheduler of APScheduler 3.11.

    A run is recorded in the ledger before it is sent, under an id made from tenant, store alias, job and run time: however
    often it is submitted, by however many processes, it begins once.  ``EVENT_JOB_EXECUTED``, ``EVENT_JOB_ERROR`` and
    ``EVENT_JOB_MISSED`` are told to the scheduler that submitted it.  ``max_instances`` counts the open records of a
    store's job across all processes.

    Args:
        broker_url: Celery's broker, the one of the workers.
        mongodb_url: Where the ledger is, the workers' ``HORARIUM_MONGODB_URL``.
        client: A ``pymongo.MongoClient`` (with ``tz_aware=True``) to use instead of a URL; it stays open.
        database: The control database, the workers' ``HORARIUM_DATABASE``.
        tenant: The tenant that the runs are recorded under, made at first use.
        pool: The workers' pool.
        queue_grace: Seconds that a run may wait in the queue beyond its job's ``misfire_grace_time``.
        time_limit: Seconds after which a run is ended.

    Raises:
        ConfigurationError: A setting cannot be used.
    """

    counts_instances: ClassVar[bool] = True
    clock: ClassVar[Clock] = SystemClock()
    poll_every_s: float = 0.25
    watch_every_s: float = 5.0
    worker_dead_after_s: float = 30.0

    def __init__(
        self,
        broker_url: str,
        mongodb_url: str | None = None,
        client: Any = None,
        database: str = DEFAULT_DATABASE,
        tenant: str = "apscheduler",
        pool: str = "default",
        queue_grace: float = 60,
        time_limit: float | None = None,
    ) -> None:
        super().__init__()
        if (mongodb_url is None) == (client is None):
            raise ConfigurationError("give CeleryExecutor either mongodb_url or client")
        settings = Settings(
            broker_url=broker_url,
            mongodb_url=mongodb_url or "",
            database=database,
            tenant=tenant,
            pool=pool,
            queue_grace_s=float(queue_grace),
            time_limit_s=None if time_limit is None else float(time_limit),
        )
        runtime = Runtime()
        given = None if client is None else store_on(client, control=database, runtime=runtime)
        self._desk = Desk(settings, given, runtime)
        self._stop = threading.Event()
        self._stop.set()
        self._thread: threading.Thread | None = None

    def start(self, scheduler: Any, alias: str) -> None:
        """Begin to wait for answers; the servers are first asked by the first run."""
        super().start(scheduler, alias)
        self._answers = Answers(scheduler._dispatch_event, self._logger)
        self._handover = Handover(self._desk, self._answers)
        self._tending = Tending(self._handover, self.clock, self._logger, self.worker_dead_after_s)
        self._stop.clear()
        self._thread = threading.Thread(target=self._loop, name=f"APScheduler Celery {alias}", daemon=True)
        self._thread.start()

    def shutdown(self, wait: bool = True) -> None:
        """Take no more runs.  Those that were handed over are the workers'; what they come to stays in the ledger."""
        self._stop.set()
        if wait and self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(10)
        self._desk.close()

    def submit_job(self, job: Any, run_times: Sequence[datetime]) -> None:
        """Hand over the runs of a job; without a lock, as this asks servers.

        Raises:
            MaxInstancesReachedError: The job has as many open runs as it may.
            BrokerUnavailable: The broker did not take them: they are recorded, and sent when it does.
            StoreUnavailable: MongoDB did not answer.
            RuntimeError: The executor was shut down.
        """
        if self._stop.is_set():
            raise RuntimeError("this executor takes no runs: it was shut down, or not started")
        self._handover.submit(job, job._jobstore_alias, run_times)

    def _do_submit_job(self, job: Any, run_times: Sequence[datetime]) -> None:
        self.submit_job(job, run_times)

    def _loop(self) -> None:
        tended = watched = 0.0
        while not self.clock.wait(self._stop, self.poll_every_s):
            now = self.clock.monotonic()
            try:
                opened = self._desk.open()
                if self._answers.look(opened.executed):
                    tended = 0.0  # a place is free: what waits for one goes on
                if now - watched >= self.watch_every_s:
                    watched = now
                    self._tending.watch(opened)
                if now - tended >= _TEND_EVERY_S:
                    tended = now
                    self._tending.run_once(opened)
            except (StoreUnavailable, BrokerUnavailable) as error:
                self._logger.warning("%s", error)
                self.clock.wait(self._stop, 1.0)
            except Exception:  # a fault in one round must not end the answers to all others
                self._logger.exception("a round of the Celery executor failed; trying again")
                self.clock.wait(self._stop, 1.0)
