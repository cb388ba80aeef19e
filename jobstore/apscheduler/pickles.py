"""APScheduler's ``job_state``: the pickled dictionary of a job, and the job made from it."""

import pickle
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from apscheduler.job import Job
from bson.binary import Binary

from jobstore.clock import from_posix, to_posix
from jobstore.errors import Unreadable

State = dict[str, Any]
JobT = TypeVar("JobT", bound=Job)


def write_state(state: Mapping[str, Any], protocol: int) -> Binary:
    """Return ``state`` as stock APScheduler stores it."""
    return Binary(pickle.dumps(dict(state), protocol))


def read_state(document: Mapping[str, Any]) -> State:
    """Return the dictionary in a document's ``job_state``.

    Raises:
        Unreadable: It cannot be unpickled in this process, or is no job.
    """
    try:
        state = pickle.loads(document["job_state"])  # noqa: S301  (the format of stock; whoever can write it runs code)
    except (Exception, SystemExit) as error:  # a tenant's module may raise anything, or exit, while it is imported
        raise Unreadable(_said(error)) from error
    if not isinstance(state, dict):
        raise Unreadable(f"the pickle holds a {type(state).__name__}, not a job")
    return state


def revive(kind: type[JobT], document: Mapping[str, Any], scheduler: object, alias: str | None) -> JobT:
    """Return the job of a document, with its function imported.

    Raises:
        Unreadable: The pickle, the function or the version of the job is beyond this process.
    """
    state = read_state(document)
    job: JobT = object.__new__(kind)
    try:
        job.__setstate__(state)
    except (Exception, SystemExit) as error:  # as above: this imports the tenant's function
        raise Unreadable(_said(error)) from error
    job.next_run_time = run_time_of(document, state)
    job._scheduler = scheduler
    job._jobstore_alias = alias
    return job


def run_time_of(document: Mapping[str, Any], state: Mapping[str, Any]) -> datetime | None:
    """Return the next run time that the pickle names, put right by the document's field.

    Pickle protocols below 4 forget which of the two 02:30 of an autumn night is meant: the run time comes back an hour
    early, and stock then counts the run as missed.
    """
    pickled: datetime | None = state.get("next_run_time")
    seconds = document.get("next_run_time")
    if pickled is None or seconds is None or to_posix(pickled) == seconds:
        return pickled
    return from_posix(seconds).astimezone(pickled.tzinfo)


def _said(error: BaseException) -> str:
    """Return what went wrong, short enough to be kept in the document."""
    return f"{type(error).__name__}: {error}"[:500]
