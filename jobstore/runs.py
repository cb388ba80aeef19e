"""The ledger as workers write it: begin, finish, and whether a run is still theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from pymongo import DESCENDING, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from jobstore.connection import Document, Documents, stored
from jobstore.firing import VERSION, Firing, read_firing
from jobstore.ledger import RETENTION, again
from jobstore.lifecycle import FiringAction, after, before
from jobstore.noted import NOTHING, Noted
from jobstore.servertime import ServerTime

MAX_ERROR: Final = 8 * 1024
_ACTIONS: Final[Mapping[str, FiringAction]] = {"succeeded": "succeed", "failed": "fail", "cancelled": "abort"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended.  ``retry_at`` asks for another attempt; ``result`` is stored as it is, bounded before."""

    state: Literal["succeeded", "failed", "cancelled"]
    reason: str = ""
    result: Any = None
    error: str | None = None
    retry_at: datetime | None = None
    noted: Noted = NOTHING


class Runs:
    """Begin and finish in one collection of firings; the only doors to running code."""

    def __init__(self, firings: Documents, time: ServerTime) -> None:
        self._firings = firings
        self._time = time

    @stored
    def begin(self, firing: str, *, attempt: int, epoch: int, run_token: str, worker: str) -> Firing | None:
        """Start an attempt: the firing as it now stands, or None if it is not ours to run.

        Repeating the call with the same ``run_token`` after a lost reply gives the same answer.  Without a positive
        answer no target code may run.
        """
        # A record of a newer version must not be begun by a worker that could not read it afterwards.
        same = {"_id": firing, "v": VERSION, "attempt": attempt, "epoch": epoch}
        change = [
            {
                "$set": {
                    "state": after("begin"),
                    "run_token": {"$literal": run_token},
                    "worker": {"$literal": worker},
                    "started_at": self._time.expression,
                    "wait": "run",
                    "attend_at": self._time.expression,
                }
            }
        ]
        found = self._firings.find_one_and_update(
            same | {"state": {"$in": before("begin")}}, change, return_document=ReturnDocument.AFTER
        )
        if found is None:  # a reply may have been lost: then it is running, with our token
            found = self._firings.find_one(same | {"state": after("begin"), "run_token": run_token})
        return None if found is None else read_firing(found)

    @stored
    def finish(self, firing: Firing, outcome: Outcome) -> bool:
        """Record how the attempt ended; False if it is no longer ours, and then the result is discarded.

        One that was asked to end has no further attempt.
        Repeating the call after a lost reply is harmless: the second one finds the outcome and says True.
        """
        at = self._time.now()
        ended: Document = {
            "attempt": firing.attempt,
            "state": outcome.state,
            "reason": outcome.reason,
            "worker": firing.worker,
            "started_at": firing.started_at,
            "at": at,
        }
        if outcome.error is not None:
            ended["error"] = outcome.error[-MAX_ERROR:]
        token = firing.run_token
        mine = {"_id": firing.id, "state": {"$in": before("succeed")}, "attempt": firing.attempt, "run_token": token}
        again_ = outcome.retry_at is not None
        wanted = mine | {"cancel": {"$exists": False}} if again_ else mine
        result = self._firings.update_one(wanted, _ending(firing, outcome, ended | {"run_token": token}, at))
        if result.matched_count == 1:
            return True
        asked = self._firings.find_one(mine, projection={"cancel": 1}) if again_ else None
        if asked is not None:
            return self.finish(
                firing, replace(outcome, state="cancelled", reason=asked["cancel"]["reason"], retry_at=None)
            )
        done = {"attempts": {"$elemMatch": {"attempt": firing.attempt, "run_token": token}}}
        return self._firings.find_one({"_id": firing.id} | done, projection={"_id": 1}) is not None

    @stored
    def still_mine(self, runs: Mapping[str, str]) -> dict[str, str | None]:
        """Return those of the firings (id → run token) that still run with that token, and why each is to end, if so."""
        if not runs:
            return {}
        wanted = {"run_token": 1, "cancel.reason": 1}
        found = self._firings.find({"_id": {"$in": list(runs)}, "state": "running"}, projection=wanted)
        return {
            document["_id"]: document.get("cancel", {}).get("reason")
            for document in found
            if document.get("run_token") == runs[document["_id"]]
        }

    @stored
    def note(self, said: Sequence[tuple[str, str, Noted]]) -> None:
        """Write what running firings (id, run token) say of themselves, as one bulk; what runs no more is left alone."""
        updates = [
            UpdateOne({"_id": firing, "state": "running", "run_token": token}, {"$set": {"noted": noted.fields()}})
            for firing, token, noted in said
        ]
        if updates:
            self._firings.bulk_write(updates, ordered=False)

    @stored
    def mark_once(self, firing: Firing, marker: str, *, key: str, nonce: str, expire_at: datetime | None) -> bool:
        """Set a marker of the firing's tenant; return whether it was this call that set it.

        Repeating the call with the same ``nonce`` after a lost reply gives the same answer.  Shape, in the ledger, so
        that it goes with its tenant: ``{_id: "<uid>:once:<hash>", v: 1, once: {key, job, firing, nonce, at},
        expire_at?}``; what looks for firings asks for fields that it lacks.
        """
        once = {"key": key, "job": firing.job, "firing": firing.id, "nonce": nonce, "at": self._time.now()}
        document: Document = {"_id": f"{firing.uid}:once:{marker}", "v": VERSION, "once": once}
        if expire_at is not None:
            document["expire_at"] = expire_at
        try:
            self._firings.insert_one(document)
        except DuplicateKeyError:
            found = self._firings.find_one({"_id": document["_id"]})
            return found is not None and bool(found["once"]["nonce"] == nonce)
        return True

    @stored
    def previous_success(self, uid: str, job: str, before_nominal: float) -> datetime | None:
        """Return the nominal instant of the job's last success before this one, as task code may ask for it."""
        found = self._firings.find_one(
            {"tenant": uid, "job": job, "nominal": {"$lt": before_nominal}, "state": "succeeded"},
            sort=[("nominal", DESCENDING)],
        )
        return None if found is None else read_firing(found).instant


def _ending(firing: Firing, outcome: Outcome, ended: Document, at: datetime) -> Document:
    noted: Document = {} if outcome.noted == NOTHING else {"noted": outcome.noted.fields()}
    if outcome.retry_at is not None:
        change = again(firing.attempt, ended, outcome.retry_at)
        change["$set"] |= noted
        return change
    final: Document = {
        "state": after(_ACTIONS[outcome.state]),
        "reason": outcome.reason,
        "finished_at": at,
        "expire_at": at + RETENTION,
        **noted,
    }
    if outcome.result is not None:
        final["result"] = outcome.result
    if outcome.error is not None:
        final["error"] = outcome.error[-MAX_ERROR:]
    return {"$set": final, "$unset": {"attend_at": ""}, "$push": {"attempts": ended}}
