"""A job that is due, handed to its executor; and the events of a visit, in APScheduler's order."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from logging import Logger
from typing import Any

from apscheduler.events import (
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_REMOVED,
    EVENT_JOB_SUBMITTED,
    JobEvent,
    JobSubmissionEvent,
    SchedulerEvent,
)
from apscheduler.executors.base import MaxInstancesReachedError


class Fate(Enum):
    """What became of a job that was due."""

    SUBMITTED = auto()
    FULL = auto()
    KEPT = auto()


@dataclass(slots=True)
class Told:
    """The events of one visit.

    Stock tells of removals as they happen, and of submissions and skipped runs when it is through; so do we.
    """

    removals: list[SchedulerEvent] = field(default_factory=list)
    submissions: list[SchedulerEvent] = field(default_factory=list)

    def removed(self, job_id: str, alias: str) -> None:
        """Note that a job has ended and is gone."""
        self.removals.append(JobEvent(EVENT_JOB_REMOVED, job_id, alias))

    def submitted(self, fate: Fate, job_id: str, alias: str, run_times: Sequence[datetime]) -> None:
        """Note that a job was handed over, or skipped because it runs as often as it may."""
        code = EVENT_JOB_SUBMITTED if fate is Fate.SUBMITTED else EVENT_JOB_MAX_INSTANCES
        self.submissions.append(JobSubmissionEvent(code, job_id, alias, list(run_times)))

    def tell(self, dispatch: Callable[[SchedulerEvent], None]) -> None:
        """Dispatch what was noted."""
        for event in (*self.removals, *self.submissions):
            dispatch(event)


def counts_itself(executor: Any) -> bool:
    """Return whether an executor counts instances across processes by itself."""
    return bool(getattr(executor, "counts_instances", False))


def submit(
    hand_over: Callable[[], None], job: Any, executor: Any, *, running: Callable[[], int], logger: Logger
) -> Fate:
    """Hand a job over if it may have another instance.

    Args:
        hand_over: Calls ``submit_job``.
        job: The job; nobody else has this object.
        executor: Its executor.
        running: Counts the job's instances; not asked if the executor counts.
        logger: The scheduler's.
    """
    most = job.max_instances
    if not counts_itself(executor):
        if running() >= most:
            return _full(job, most, logger)
        # Executors of stock count by the job's id alone: another tenant's job of that name would be in the way.
        job.max_instances = sys.maxsize
    try:
        hand_over()
    except MaxInstancesReachedError:
        return _full(job, most, logger)
    except Exception:  # an executor may raise anything, and the run must be kept
        logger.exception('Error submitting job "%s" to executor "%s"; its run is kept', job, job.executor)
        return Fate.KEPT
    finally:
        job.max_instances = most
    return Fate.SUBMITTED


def _full(job: Any, most: int, logger: Logger) -> Fate:
    logger.warning('Execution of job "%s" skipped: maximum number of running instances reached (%d)', job, most)
    return Fate.FULL
