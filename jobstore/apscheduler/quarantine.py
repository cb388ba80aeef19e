"""Setting a job aside in place, with the reason, and letting it come back when it can be read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING

from jobstore.apscheduler.stored import LEASE, SET_ASIDE, Document, Documents
from jobstore.clock import from_posix


@dataclass(frozen=True, slots=True)
class QuarantinedJob:
    """A job that was set aside: it is not due, nothing of it was deleted, and ``remove_job`` still removes it."""

    id: str
    reason: str
    at: datetime
    next_run_time: datetime | None


def set_aside(documents: Documents, document: Mapping[str, Any], reason: str) -> bool:
    """Take a job out of the timetable as it was read; return False if it was changed meanwhile."""
    note = {"reason": {"$literal": reason}, "at": "$$NOW", "next_run_time": {"$literal": document["next_run_time"]}}
    result = documents.update_one(
        _as_read(document), [{"$set": {"quarantine": note, "next_run_time": None}}, {"$unset": list(LEASE)}]
    )
    return result.matched_count == 1


def bring_back(documents: Documents, document: Mapping[str, Any], next_run_time: float | None) -> bool:
    """Put a set-aside job back into the timetable; return False if it was changed meanwhile."""
    result = documents.update_one(
        _as_read(document), {"$set": {"next_run_time": next_run_time}, "$unset": {"quarantine": ""}}
    )
    return result.matched_count == 1


def documents_set_aside(documents: Documents) -> Iterator[Document]:
    """Yield the documents of the set-aside jobs, oldest first."""
    yield from documents.find({"job_state": {"$exists": True}} | SET_ASIDE, sort=[("quarantine.at", ASCENDING)])


def described(document: Mapping[str, Any]) -> QuarantinedJob:
    """Return what is known of a set-aside document without unpickling it."""
    note = document["quarantine"]
    run_time = note.get("next_run_time")
    return QuarantinedJob(
        id=document["_id"],
        reason=note["reason"],
        at=note["at"],
        next_run_time=None if run_time is None else from_posix(run_time),
    )


def _as_read(document: Mapping[str, Any]) -> Document:
    # Stock's writes bump no revision: only the values themselves tell that somebody wrote in between.
    return {key: document.get(key) for key in ("_id", "next_run_time", "job_state")}
