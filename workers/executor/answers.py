"""How runs ended, told to the scheduler that asked for them, as APScheduler's events."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from logging import Logger
from typing import Any, Final

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MISSED, JobExecutionEvent

from jobstore.apscheduler.executed import Executed
from jobstore.firing import Firing

_MOST_AWAITED: Final = 50_000
_PER_LOOK: Final = 1000


class JobFailed(Exception):
    """A job raised on its worker, or its worker died; the text is what the worker has said of it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A run as the scheduler knows it."""

    job_id: str
    alias: str
    run_time: datetime


@dataclass(slots=True)
class Answers:
    """What one scheduler waits for.  Safe for threads."""

    dispatch: Callable[[Any], None]
    logger: Logger
    _awaited: dict[str, Asked] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def await_(self, firing: str, asked: Asked) -> None:
        """Tell the scheduler how this firing ends; beyond 50,000 the oldest are forgotten, which costs their events."""
        with self._lock:
            self._awaited[firing] = asked
            if len(self._awaited) > _MOST_AWAITED:
                del self._awaited[next(iter(self._awaited))]

    def forget(self, firing: str) -> None:
        """Wait for it no longer."""
        with self._lock:
            self._awaited.pop(firing, None)

    @property
    def awaited(self) -> int:
        """Return how many runs have not ended."""
        return len(self._awaited)

    def look(self, executed: Executed) -> int:
        """Ask the ledger for some of what is awaited; tell of what has ended, and return how many that were."""
        with self._lock:
            ids = list(islice(self._awaited, _PER_LOOK))
            if len(self._awaited) > _PER_LOOK:  # the next look asks for others
                for name in ids:
                    self._awaited[name] = self._awaited.pop(name)
        if not ids:
            return 0
        ended = executed.ended(ids)
        for firing in ended:
            with self._lock:
                asked = self._awaited.pop(firing.id, None)
            event = None if asked is None else event_of(firing, asked)
            if event is not None:
                self.dispatch(event)
        return len(ended)


def event_of(firing: Firing, asked: Asked) -> JobExecutionEvent | None:
    """Return the event of a firing that has ended; None for one that never was to run."""

    def event(code: int, **more: Any) -> JobExecutionEvent:
        return JobExecutionEvent(code, asked.job_id, asked.alias, asked.run_time, **more)

    if firing.state == "succeeded":
        return event(EVENT_JOB_EXECUTED, retval=None if firing.reason == "result_omitted" else firing.result)
    if firing.state == "missed" or firing.reason == "missed":
        return event(EVENT_JOB_MISSED)
    if firing.state in ("failed", "lost"):
        text = firing.error or f"{firing.state}: {firing.reason}"
        return event(EVENT_JOB_ERROR, exception=JobFailed(text.rstrip().rpartition("\n")[2]), traceback=text)
    return None
