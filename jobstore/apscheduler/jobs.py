"""The job objects that the shared store hands out."""

from datetime import datetime
from typing import Any

from apscheduler.job import Job

from jobstore.apscheduler.claims import Claim


class SharedJob(Job):  # type: ignore[misc]
    """A job that remembers what it was read from, and the claim under which the scheduler's loop got it."""

    __slots__ = ("claim", "job_state", "state")

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.state = state
        self.claim: Claim | None = None
        self.job_state = b""

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        # A process pool pickles the job: its workers need a job to run, not our fields or this package.
        return object.__new__, (Job,), self.__getstate__()

    def _get_run_times(self, now: datetime) -> list[datetime]:
        if self.claim is None:
            run_times: list[datetime] = super()._get_run_times(now)
            return run_times
        return list(self.claim.plan.run_times)
