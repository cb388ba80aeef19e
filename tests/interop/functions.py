"""Functions that jobs run in these tests: they say for which run time they were called."""

import inspect
import json
import os
import time
from collections.abc import Callable
from datetime import datetime
from types import FrameType

noted: list[tuple[str, datetime]] = []
actions: dict[str, Callable[[], object]] = {}


def note(job_id: str) -> str:
    """Note the run in this process."""
    noted.append((job_id, _run_time(inspect.currentframe())))
    return job_id


def act(job_id: str) -> None:
    """Note the run, and do what the test has asked for."""
    noted.append((job_id, _run_time(inspect.currentframe())))
    actions[job_id]()


def record(path: str, job_id: str) -> None:
    """Append the run to a file that outlives this process, and wait until it is on the disk."""
    _append(path, job_id, _run_time(inspect.currentframe()))


async def record_async(path: str, job_id: str) -> None:
    """Do the same as a coroutine."""
    _append(path, job_id, _run_time(inspect.currentframe()))


def _append(path: str, job_id: str, run_time: datetime) -> None:
    line = json.dumps({"job": job_id, "run_time": run_time.timestamp(), "pid": os.getpid(), "at": time.time()})
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode() + b"\n")
        os.fsync(file)
    finally:
        os.close(file)


def _run_time(frame: FrameType | None) -> datetime:
    # Stock tells the function nothing; its caller, run_job, holds the run time in a variable of that name.
    caller = frame.f_back if frame is not None else None
    assert caller is not None, "a job's function is called by run_job"
    run_time = caller.f_locals["run_time"]
    assert isinstance(run_time, datetime), run_time
    return run_time
