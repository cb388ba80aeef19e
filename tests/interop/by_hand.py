"""A scheduler and an executor that do nothing until a test says so: every interleaving can be made."""

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_ALL
from apscheduler.executors.base import BaseExecutor, run_job
from apscheduler.schedulers.base import BaseScheduler

from tests.interop import functions
from tests.support.waiting import eventually

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SHORT = timedelta(seconds=0.2)


class HandExecutor(BaseExecutor):  # type: ignore[misc]
    """Queues what is submitted; ``run`` runs it, as a pool's thread would."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: deque[tuple[Any, list[datetime]]] = deque()

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        self.queue.append((job, run_times))

    def run(self) -> None:
        """Run everything that is queued."""
        while self.queue:
            job, run_times = self.queue.popleft()
            events = run_job(job, job._jobstore_alias, run_times, "apscheduler.executors.by_hand")
            self._run_job_success(job.id, events)


class HandTurned(BaseScheduler):  # type: ignore[misc]
    """A stock scheduler without a thread: ``turn`` is one pass of its loop, ``executor.run`` runs what it submitted."""

    def __init__(self, store: Any) -> None:
        self.executor = HandExecutor()
        self.store = store
        self.events: list[Any] = []
        super().__init__(executors={"default": self.executor}, jobstores={"default": store}, timezone=UTC)
        self.add_listener(self.events.append, EVENT_ALL)

    def wakeup(self) -> None:
        """Do nothing: the test turns."""

    def shutdown(self, wait: bool = True) -> None:
        """Shut down as stock does."""
        super().shutdown(wait)

    def turn(self) -> float | None:
        """Make one pass of the loop."""
        wait: float | None = self._process_jobs()
        return wait

    def work(self) -> None:
        """Make one pass and run everything it submitted."""
        self.turn()
        self.executor.run()

    def add(self, job_id: str, trigger: str = "date", **options: Any) -> Any:
        """Add a job that notes its runs, due at once unless told otherwise."""
        if trigger == "date":
            options.setdefault("run_date", EPOCH)
        options.setdefault("misfire_grace_time", None)
        return self.add_job(functions.note, trigger, args=[job_id], id=job_id, **options)

    def codes(self, job_id: str) -> list[int]:
        """Return the codes of the events of a job, in order."""
        return [event.code for event in self.events if getattr(event, "job_id", None) == job_id]


def second(number: float) -> datetime:
    """Return an instant that is due already, ``number`` seconds after all these tests' beginning."""
    return EPOCH + timedelta(seconds=number)


FOUR = [second(number) for number in range(4)]
EVERY_SECOND = {"seconds": 1, "start_date": EPOCH, "end_date": FOUR[-1], "next_run_time": EPOCH, "coalesce": False}


def runs_of(job_id: str = "a") -> list[datetime]:
    """Return the run times for which a job's function was called."""
    return [run_time for noted, run_time in functions.noted if noted == job_id]


def document_of(database: Any, job_id: str = "a") -> Any:
    """Return a job's document, or None."""
    return database.jobs.find_one({"_id": job_id})


def take_over(scheduler: HandTurned) -> None:
    """Turn until the scheduler has got a job whose lease has lapsed."""

    def submitted() -> bool:
        scheduler.turn()
        return bool(scheduler.executor.queue)

    eventually(submitted, that="a take-over after the lease")
