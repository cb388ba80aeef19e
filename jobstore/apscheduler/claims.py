"""The fenced writes of the shared store: take a due job, begin its runs, let it go.

Every write names the claim's own nonce and the very values that the claim has read: whoever came in between, another
process after the lease or an edit by a stock client that knows nothing of leases, makes it match nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from logging import Logger
from typing import Any, Final

import pymongo
from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import InvalidOperation, PyMongoError
from pymongo.read_concern import ReadConcern

from jobstore.apscheduler.pickles import State, read_state, write_state
from jobstore.apscheduler.plan import Plan
from jobstore.apscheduler.stored import LEASE, PICKLED, Document, Documents, seconds
from jobstore.clock import to_posix
from jobstore.ids import IdSource

TIMEOUT_S: Final = 10.0
_BEGIN_TRIES: Final = 3
_BEGINS_KEPT: Final = 5

_SERVER_SECONDS: Final[Document] = {"$divide": [{"$toLong": "$$NOW"}, 1000.0]}
# Compares Dates with Dates; a missing lease sorts below every Date.
_FREE: Final[Document] = {"$not": [{"$gt": ["$lease_until", "$$NOW"]}]}


class Fate(Enum):
    """What became of a claimed job in the pass that claimed it."""

    OPEN = auto()
    SUBMITTED = auto()
    SKIPPED = auto()
    REFUSED = auto()


@dataclass(slots=True, eq=False)
class Claim:
    """One claimed job: its fence, the values its next write must find, and what it owes.

    ``running`` are the job's instances when it was claimed, claim nonce to process; ``member`` is the process that the
    begin adds to them, if it is to count, and ``gone`` are those that it takes out.
    """

    id: str
    nonce: str
    next_run_time: float
    job_state: bytes
    state: State
    plan: Plan
    renewed_at: float
    fate: Fate = Fate.OPEN
    begun: int = 0
    closed: bool = False
    running: Mapping[str, str] = field(default_factory=dict)
    member: str | None = None
    gone: frozenset[str] = frozenset()


class Claims:
    """The writes of one process on one collection."""

    def __init__(
        self, documents: Documents, owner: str, ids: IdSource, lease: timedelta, protocol: int, logger: Logger
    ) -> None:
        self._documents = documents
        self._owner = owner
        self._ids = ids
        self._lease_ms = round(lease.total_seconds() * 1000)
        self._protocol = protocol
        self._logger = logger

    def take(self, now: datetime, leave: Collection[str]) -> Document | None:
        """Claim the earliest due job that nobody holds, and return its document; ``leave`` are ids to pass over.

        Both clocks must say that it is due: this process's, by which stock computes the run times, and the server's,
        which also judges the lease.
        """
        due = PICKLED | {
            "next_run_time": {"$lte": to_posix(now)},
            "$expr": {"$and": [{"$lte": ["$next_run_time", _SERVER_SECONDS]}, _FREE]},
        }
        if leave:
            due["_id"] = {"$nin": list(leave)}
        hold = {
            "lease_until": {"$add": ["$$NOW", self._lease_ms]},
            "owner": {"$literal": self._owner},
            "claim_nonce": {"$literal": self._ids.token()},
            "claim_token": {"$add": [{"$ifNull": ["$claim_token", 0]}, 1]},
        }
        with pymongo.timeout(TIMEOUT_S):
            return self._documents.find_one_and_update(
                due, [{"$set": hold}], sort=[("next_run_time", ASCENDING)], return_document=ReturnDocument.AFTER
            )

    def next_free(self, leave: Collection[str]) -> float | None:
        """Return the earliest run time of a job that nobody holds, whether or not it is past."""
        free: Document = PICKLED | {"next_run_time": {"$ne": None}, "$expr": _FREE}
        if leave:
            free["_id"] = {"$nin": list(leave)}
        with pymongo.timeout(TIMEOUT_S):
            document = self._documents.find_one(free, projection=["next_run_time"], sort=[("next_run_time", ASCENDING)])
        return None if document is None else document["next_run_time"]

    def begin(self, claim: Claim, run_time: datetime) -> bool:
        """Record that ``run_time`` is run here and move the job past it, in one write; return whether it may run.

        A lost answer is asked for again; without a yes nothing runs.
        """
        unsure = False
        for _ in range(_BEGIN_TRIES):
            try:
                if self._move_past(claim, run_time, begins=True):
                    return True
                return unsure and self._was_begun(claim, run_time)
            except InvalidOperation:  # the client was closed under us, at shutdown
                return False
            except PyMongoError as error:
                unsure = True
                self._logger.warning('Beginning job "%s": no answer from MongoDB (%s)', claim.id, error)
        return False

    def skip(self, claim: Claim) -> bool:
        """Move the job past everything that the claim owes, without running it."""
        moved = self._move_past(claim, claim.plan.run_times[-1], begins=False)
        return moved and self.end(claim)

    def settle(self, claim: Claim) -> bool:
        """Put right a job whose due run times were all decided before."""
        if claim.plan.following is None:
            return self.end(claim)
        return self._write(claim, claim.plan.following, {}, last=True)

    def end(self, claim: Claim) -> bool:
        """Delete the job if its trigger has ended; what was edited meanwhile stays."""
        if claim.plan.following is not None:
            return True
        with pymongo.timeout(TIMEOUT_S):
            return self._documents.delete_one(_fence(claim)).deleted_count == 1

    def over(self, claim: Claim) -> None:
        """Take the claim's instance out of those that run."""
        ours = {"_id": claim.id, "running.nonce": claim.nonce}
        with pymongo.timeout(TIMEOUT_S):
            self._documents.update_one(ours, {"$pull": {"running": {"nonce": claim.nonce}}})

    def let_go(self, job_id: str, nonce: str) -> None:
        """Let a job go as it is, for anybody to claim; harmless if it is no longer ours."""
        with pymongo.timeout(TIMEOUT_S):
            self._documents.update_one({"_id": job_id, "claim_nonce": nonce}, {"$unset": dict.fromkeys(LEASE, "")})

    def renew(self, claims: Sequence[Claim]) -> None:
        """Extend the leases of ``claims``, those that are still ours."""
        hold = {"lease_until": {"$add": ["$$NOW", self._lease_ms]}}
        ours = {"_id": {"$in": [c.id for c in claims]}, "claim_nonce": {"$in": [c.nonce for c in claims]}}
        with pymongo.timeout(TIMEOUT_S):
            self._documents.update_many(ours, [{"$set": hold}])

    def _move_past(self, claim: Claim, run_time: datetime, *, begins: bool) -> bool:
        through = to_posix(run_time)
        change: Document = {"decided_through": through}
        if begins:
            entry = {
                "through": through,
                "owner": {"$literal": self._owner},
                "nonce": {"$literal": claim.nonce},
                "at": "$$NOW",
            }
            earlier = {"$ifNull": ["$begun", {"$literal": []}]}
            change["begun"] = {"$slice": [{"$concatArrays": [[entry], earlier]}, _BEGINS_KEPT]}
            if claim.member is not None:
                change["running"] = _running_with(claim)
        last = through >= to_posix(claim.plan.run_times[-1])
        return self._write(claim, claim.plan.after(run_time), change, last=last)

    def _write(self, claim: Claim, upcoming: datetime | None, change: Document, *, last: bool) -> bool:
        """Apply ``change`` and the next run time, if the job is still as claimed.

        A job whose trigger has ended keeps its run time and its lease until it is deleted: should this process die in
        between, whoever claims it next finds everything decided, and deletes it.
        """
        next_run_time, job_state = claim.next_run_time, claim.job_state
        if upcoming is not None:
            next_run_time = to_posix(upcoming)
            # From the bytes, as the job may have changed its arguments; but a trigger may remember what it named.
            state = read_state({"job_state": claim.job_state})
            state |= {"trigger": claim.state["trigger"], "next_run_time": upcoming}
            job_state = write_state(state, self._protocol)
            change = change | {"next_run_time": next_run_time, "job_state": {"$literal": job_state}}
        lets_go = last and upcoming is not None
        if not lets_go:
            change = change | {"lease_until": {"$add": ["$$NOW", self._lease_ms]}}
        stages: list[dict[str, Any]] = [{"$set": change}]
        if lets_go:
            stages.append({"$unset": list(LEASE)})
        with pymongo.timeout(TIMEOUT_S):
            result = self._documents.update_one(_fence(claim), stages)
        if result.matched_count == 1:
            claim.next_run_time, claim.job_state = next_run_time, job_state
        return result.matched_count == 1

    def _was_begun(self, claim: Claim, run_time: datetime) -> bool:
        certain = self._documents.with_options(read_concern=ReadConcern("majority"))
        with pymongo.timeout(TIMEOUT_S):
            document = certain.find_one({"_id": claim.id}, projection=["begun"])
        begun = (document or {}).get("begun", ())
        return any(entry["nonce"] == claim.nonce and entry["through"] == seconds(run_time) for entry in begun)


def _running_with(claim: Claim) -> Document:
    """Return the job's instances with this one: changed in place, as others may end meanwhile."""
    out = {"$in": ["$$this.nonce", {"$literal": [claim.nonce, *claim.gone]}]}
    kept = {"$filter": {"input": {"$ifNull": ["$running", {"$literal": []}]}, "cond": {"$not": [out]}}}
    entry = {"nonce": {"$literal": claim.nonce}, "member": {"$literal": claim.member}, "at": "$$NOW"}
    return {"$concatArrays": [kept, [entry]]}


def _fence(claim: Claim) -> Document:
    return {
        "_id": claim.id,
        "claim_nonce": claim.nonce,
        "next_run_time": claim.next_run_time,
        "job_state": claim.job_state,
    }
