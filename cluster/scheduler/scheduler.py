"""``ClusterScheduler``: APScheduler's ``BackgroundScheduler`` with a loop that nothing can stop."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar, Final

from apscheduler.events import EVENT_SCHEDULER_STARTED, SchedulerEvent
from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore
from apscheduler.schedulers import SchedulerAlreadyRunningError, SchedulerNotRunningError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import STATE_PAUSED, STATE_RUNNING, STATE_STOPPED
from apscheduler.triggers.base import BaseTrigger

from cluster.scheduler.claimed import SharedVisitor, StorePass
from cluster.scheduler.evaluation import Evaluations
from cluster.scheduler.host import Host, Presences
from cluster.scheduler.plain import PlainVisitor
from cluster.scheduler.visits import LONGEST_WAIT_S, Turn, Visits
from jobstore import SharedMongoDBJobStore
from jobstore.apscheduler.bounded import instants_of
from jobstore.apscheduler.passes import NAME
from jobstore.clock import Clock, SystemClock
from jobstore.ids import IdSource, SystemIds

_STOP_WITHIN_S: Final = 5.0
_PAUSED_WAIT_S: Final = 10.0


class ClusterScheduler(BackgroundScheduler):  # type: ignore[misc]
    """A ``BackgroundScheduler`` for any number of processes, and any number of tenants' job stores in each.

    It takes the same options and has the same methods and events.  The store names ``mongodb`` and ``horarium`` mean
    ``jobstore.SharedMongoDBJobStore``, from which several processes may run jobs; other stores work as well, for one
    process.  A store for each tenant may share one MongoDB client: its alias is the tenant.

    What differs from a ``BackgroundScheduler``:

    - A job store that fails or hangs, a trigger, a job or a listener keeps only the jobs of its own store waiting.
    - Triggers are evaluated within bounds; a job whose trigger does not move forward is set aside, and refused when it
      is added.
    - A run that could not be handed to its executor is kept, and a job of an unknown executor is set aside.
    - ``max_instances`` counts for each store, and across processes where the store is shared.

    The attributes may be set in a subclass, or on an instance before it is configured.

    Attributes:
        start_within_s: How long ``start`` waits for the stores: one whose server is away is started when it answers.
        dead_after_s: A process without a sign of life for this long runs no instances any more.
    """

    state: int
    start_within_s: float = 5.0
    dead_after_s: float = 10.0

    _jobstore_classes: ClassVar[dict[str, type[BaseJobStore]]] = {
        "mongodb": SharedMongoDBJobStore,
        "horarium": SharedMongoDBJobStore,
    }
    clock: ClassVar[Clock] = SystemClock()
    ids: ClassVar[IdSource] = SystemIds()

    def __init__(self, gconfig: Any = None, **options: Any) -> None:
        self._closing = False
        self._opening: set[str] = set()
        self._about = threading.local()
        self._pending_jobs: list[Any] = []
        super().__init__(gconfig or {}, **options)

    def _configure(self, config: Any) -> None:
        super()._configure(config)
        presences = Presences(self.ids, self.clock, self._logger, self.dead_after_s)
        evaluations = Evaluations(self.clock)
        self._host = Host(self, self.clock, presences, lambda: self._closing, evaluations)
        self._visits = Visits(self._visit, self._wake, self.clock, self._logger, self.jobstore_retry_interval)
        setattr(self, NAME, self)  # shared stores that start ask for it

    # -- life

    def start(self, paused: bool = False) -> None:
        """Start executors and job stores, and begin to process jobs.

        A store that does not start within ``start_within_s`` is started when it answers; jobs that were added to it
        before the start are stored then.
        """
        if self.state != STATE_STOPPED:
            raise SchedulerAlreadyRunningError
        self._check_uwsgi()
        self._closing = False
        self._event = threading.Event()
        with self._executors_lock:
            if "default" not in self._executors:
                self.add_executor(self._create_default_executor(), "default")
            for alias, executor in self._executors.items():
                executor.start(self, alias)
        if "default" not in self._jobstores:
            self.add_jobstore(self._create_default_jobstore(), "default")
        self._visits.await_tried(self._jobstores.copy(), self.start_within_s)
        for turn in self._visits.follow(self._jobstores.copy()):
            if turn.started:
                self._add_pending(turn.alias)
        self.state = STATE_PAUSED if paused else STATE_RUNNING
        self._logger.info("Scheduler started")
        self._dispatch_event(SchedulerEvent(EVENT_SCHEDULER_STARTED))
        self._visits.nudge()
        self._thread = threading.Thread(target=self._main_loop, name="APScheduler", daemon=self._daemon)
        self._thread.start()
        if not paused:
            self.wakeup()

    def shutdown(self, wait: bool = True) -> None:
        """Stop claiming, let the visits under way end, and shut down executors and job stores."""
        if self.state == STATE_STOPPED:
            raise SchedulerNotRunningError
        self._closing = True
        self._visits.await_idle(_STOP_WITHIN_S)
        super().shutdown(wait)
        for turn in self._visits.follow(self._jobstores.copy()):
            turn.started = turn.tried = False

    def wakeup(self) -> None:
        """Have the stores visited at once: the one that a change is about, or all."""
        self._visits.nudge(getattr(self._about, "alias", None))
        self._wake()

    def _wake(self) -> None:
        if self._event is not None:
            self._event.set()

    # -- stores

    def add_jobstore(self, jobstore: BaseJobStore | str, alias: str = "default", **jobstore_opts: Any) -> None:
        """Add a job store; in a running scheduler it is started here, and visited after that."""
        self._opening.add(alias)
        try:
            super().add_jobstore(jobstore, alias, **jobstore_opts)
            if self.state != STATE_STOPPED:
                for turn in self._visits.follow(self._jobstores.copy()):
                    if turn.alias == alias:
                        self._opened(turn)
        finally:
            self._opening.discard(alias)
        self._wake()

    def join(self, alias: str, store: SharedMongoDBJobStore) -> StorePass:
        """Let a shared store take part, as it asks for when it starts (raises StoreUnavailable)."""
        del alias
        return StorePass.join(self._host, store)

    # -- the loop

    def _process_jobs(self) -> float | None:
        """Begin the visits whose time has come; return the seconds until the next.  Never raises, never waits."""
        if self.state == STATE_STOPPED:
            return None
        try:
            self._host.evaluations.stop_overdue()
            stores = self._jobstores.copy()  # no lock: an API call that waits for a store holds it
            return self._visits.begin_due({alias: stores[alias] for alias in stores.keys() - self._opening})
        except Exception:  # whatever it is, nobody would start another loop
            self._logger.exception("A round of the scheduler failed; trying again")
            return LONGEST_WAIT_S

    def _visit(self, turn: Turn) -> float:
        """Make one visit, in its own thread; return the seconds until the next one."""
        if not turn.started:
            turn.store.start(self, turn.alias)
            if self._closing:  # it has answered too late
                turn.store.shutdown()
                return _PAUSED_WAIT_S
            self._opened(turn)
        if self._pending_jobs and self.state != STATE_STOPPED:
            self._add_pending(turn.alias)
        if not self._host.claiming:
            return _PAUSED_WAIT_S
        wait: float = turn.visitor.visit()
        return wait

    def _opened(self, turn: Turn) -> None:
        store = turn.store
        if isinstance(store, SharedMongoDBJobStore):
            visited: Any = store._pass
            turn.visitor = SharedVisitor(self._host, turn.alias, store, visited)
        else:
            turn.visitor = PlainVisitor(self._host, turn.alias, store)
        turn.started = True

    def _add_pending(self, alias: str) -> None:
        with self._jobstores_lock:
            mine = [pending for pending in self._pending_jobs if pending[1] == alias]
            self._pending_jobs = [pending for pending in self._pending_jobs if pending[1] != alias]
        for pending in mine:
            self._real_add_job(*pending)

    # -- what evaluates a trigger

    def _real_add_job(self, job: Job, jobstore_alias: str, replace_existing: bool) -> None:
        first = self._first(job.trigger, job.id)
        if not hasattr(job, "next_run_time"):
            job._modify(next_run_time=first)
        with self._changing(jobstore_alias):
            super()._real_add_job(job, jobstore_alias, replace_existing)

    def modify_job(self, job_id: str, jobstore: str | None = None, **changes: Any) -> Job:
        """Modify a job as APScheduler does (raises InvalidTrigger for a trigger that cannot be used)."""
        if isinstance(changes.get("trigger"), BaseTrigger):
            self._first(changes["trigger"], job_id)
        with self._changing(jobstore):
            return super().modify_job(job_id, jobstore, **changes)

    def reschedule_job(self, job_id: str, jobstore: str | None = None, trigger: Any = None, **trigger_args: Any) -> Job:
        """Give a job another trigger and the next run time that it names."""
        made = self._create_trigger(trigger, trigger_args)
        return self.modify_job(job_id, jobstore, trigger=made, next_run_time=self._first(made, job_id))

    def resume_job(self, job_id: str, jobstore: str | None = None) -> Job | None:
        """Resume a paused job, or remove it if its trigger names no further instant."""
        with self._jobstores_lock:
            job, alias = self._lookup_job(job_id, jobstore)
        first = self._first(job.trigger, job_id)
        if first is not None:
            return self.modify_job(job_id, alias, next_run_time=first)
        self.remove_job(job_id, alias)
        return None

    def _first(self, trigger: BaseTrigger, job_id: str) -> datetime | None:
        now = self._host.now()
        return instants_of(trigger, job_id, self.timezone).first(now)

    @contextmanager
    def _changing(self, alias: str | None) -> Iterator[None]:
        before = getattr(self._about, "alias", None)
        self._about.alias = alias
        try:
            yield
        finally:
            self._about.alias = before
