"""The ledger as nodes write it: record, mark, close, republish, declare dead.

Every update names the record's ``_id``, the states that the table in ``lifecycle`` allows, and what was read; a
filter that matches nothing is a lost race and a return value.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from jobstore.connection import Document, Documents, stored
from jobstore.firing import Draft, Firing, Snapshot, Wait, read_firing
from jobstore.ids import IdSource
from jobstore.lifecycle import FINAL, FiringAction, after, before

RETENTION: Final = timedelta(days=7)
_DUPLICATE: Final = 11000


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one insert led to: ``stored`` is the record that was there already; ``fault`` any other refusal."""

    draft: Draft
    stored: Firing | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A firing whose attempt is admitted and may be released with this fence.

    ``routed_to`` is the pool that it is handed to where that is not its own.
    """

    firing: str
    attempt: int
    fence: int
    routed_to: str | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """An open firing that ends without running."""

    firing: str
    attempt: int
    action: FiringAction
    reason: str


class Ledger:
    """One collection of firings, which several tenants may share."""

    def __init__(self, firings: Documents, ids: IdSource) -> None:
        self._firings = firings
        self._ids = ids

    @property
    def collection(self) -> Documents:
        """Return the collection that this is."""
        return self._firings

    @stored
    def ensure(self) -> None:
        """Create the indexes (idempotent).  Each one costs every firing a write, so there are three."""
        # Open records only: what release and sweep look at, in the order in which it is due.
        self._firings.create_index(
            [("state", ASCENDING), ("attend_at", ASCENDING)],
            name="open",
            partialFilterExpression={"attend_at": {"$exists": True}},
        )
        # Written once, never changed: a job's history, newest first.
        self._firings.create_index([("tenant", ASCENDING), ("job", ASCENDING), ("nominal", DESCENDING)], name="history")
        # Retention; set on final records only, because a record that may still act must not vanish.
        self._firings.create_index(
            "expire_at", name="expire", expireAfterSeconds=0, partialFilterExpression={"expire_at": {"$exists": True}}
        )

    @stored
    def record(
        self, drafts: Sequence[Draft], *, at: datetime, sweep_at: datetime, slot_at: datetime | None = None
    ) -> list[Recorded]:
        """Insert the drafts, at most one of each job; a record that was there already is the plan.

        The sweep looks at them at ``sweep_at``, the release at those that wait for a slot at ``slot_at``.
        """
        if not drafts:
            return []
        documents = [
            draft.document(
                created_at=at,
                attend_at=slot_at if draft.waits and slot_at is not None else sweep_at,
                wait="slot" if draft.waits else "advance",
            )
            for draft in drafts
        ]
        try:
            self._firings.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            return self._sort_out(drafts, error)
        return [Recorded(draft) for draft in drafts]

    def _sort_out(self, drafts: Sequence[Draft], error: BulkWriteError) -> list[Recorded]:
        details = error.details
        if details.get("writeConcernErrors"):
            # Not yet majority: nothing may be built on it.  The claim runs out and is repeated.
            return [Recorded(draft, fault="write concern") for draft in drafts]
        faults = {fault["index"]: fault for fault in details["writeErrors"]}
        twice = [drafts[index].id for index, fault in faults.items() if fault["code"] == _DUPLICATE]
        there = {document["_id"]: read_firing(document) for document in self._firings.find({"_id": {"$in": twice}})}
        outcome = []
        for index, draft in enumerate(drafts):
            fault = faults.get(index)
            if fault is None:
                outcome.append(Recorded(draft))
            elif draft.id in there:
                outcome.append(Recorded(draft, stored=there[draft.id]))
            else:
                outcome.append(Recorded(draft, fault=str(fault.get("errmsg"))))
        return outcome

    @stored
    def refresh(self, firing: str, *, older_than: int, snapshot: Snapshot) -> bool:
        """Give a record that has not begun the job's newer snapshot; return whether it was one."""
        result = self._firings.update_one(
            {"_id": firing, "state": {"$in": before("cancel")}, "revision": {"$lt": older_than}},
            {"$set": snapshot.fields()},
        )
        return result.modified_count == 1

    @stored
    def live(self, ids: Iterable[str]) -> set[str]:
        """Return those of ``ids`` that still hold a slot: neither final nor missing."""
        wanted = list(ids)
        if not wanted:
            return set()
        found = self._firings.find({"_id": {"$in": wanted}, "state": {"$nin": sorted(FINAL)}}, projection={"_id": 1})
        return {document["_id"] for document in found}

    @stored
    def mark(self, marks: Sequence[Mark], *, node: str, at: datetime, republish_at: datetime) -> set[str]:
        """Mark admitted firings ``dispatched``; return the ids of those that were still waiting for just that."""
        nonce = self._ids.token()
        shared = {
            "state": after("mark"),
            "released_at": at,
            "released_by": node,
            "release_nonce": nonce,
            "attend_at": republish_at,
            "publishes": 1,
            "wait": "begin",
        }
        return self._apply(
            {
                mark.firing: UpdateOne(
                    {
                        "_id": mark.firing,
                        "state": {"$in": before("mark")},
                        "attempt": mark.attempt,
                        "admitted": None,
                    },
                    {"$set": shared | _marked(mark)},
                )
                for mark in marks
            },
            {"release_nonce": nonce},
        )

    @stored
    def close(self, closings: Sequence[Closing], *, at: datetime) -> set[str]:
        """End firings that do not run; return the ids of those that were still open as read."""
        nonce = self._ids.token()
        return self._apply(
            {
                closing.firing: UpdateOne(
                    {
                        "_id": closing.firing,
                        "state": {"$in": before(closing.action)},
                        "attempt": closing.attempt,
                    },
                    {
                        "$set": {
                            "state": after(closing.action),
                            "reason": closing.reason,
                            "finished_at": at,
                            "close_nonce": nonce,
                            "expire_at": at + RETENTION,
                        },
                        "$unset": {"attend_at": ""},
                    },
                )
                for closing in closings
            },
            {"close_nonce": nonce},
        )

    def _apply(self, updates: Mapping[str, UpdateOne], nonce: Document) -> set[str]:
        """Run fenced updates as one bulk; read back by the nonce only when some matched nothing."""
        if not updates:
            return set()
        result = self._firings.bulk_write(list(updates.values()), ordered=False)
        if result.matched_count == len(updates):
            return set(updates)
        found = self._firings.find({"_id": {"$in": list(updates)}} | nonce, projection={"_id": 1})
        return {document["_id"] for document in found}

    @stored
    def request_cancel(
        self, firings: Iterable[str], *, reason: str, at: datetime, by: str = "", note: str = ""
    ) -> set[str]:
        """Ask the workers of running firings to end them; return the ids of those that run and have been asked.

        A firing that was asked for before keeps what was said then.  What has not begun is ended by ``close``.
        """
        running = {"_id": {"$in": list(firings)}, "state": {"$in": before("abort")}}
        asked = {"reason": reason, "by": by, "note": note, "at": at}
        self._firings.update_many(running | {"cancel": {"$exists": False}}, {"$set": {"cancel": asked}})
        found = self._firings.find(running | {"cancel": {"$exists": True}}, projection={"_id": 1})
        return {document["_id"] for document in found}

    @stored
    def postpone(self, firing: Firing, *, until: datetime, wait: Wait) -> bool:
        """Look at an open record again at ``until``; return whether it is still as read."""
        result = self._firings.update_one(
            {"_id": firing.id, "state": firing.state, "attempt": firing.attempt, "publishes": firing.publishes},
            {"$set": {"attend_at": until, "wait": wait}},
        )
        return result.matched_count == 1

    @stored
    def republish(
        self, firing: Firing, *, until: datetime, quarantine: str | None, routed_to: str | None = None
    ) -> bool:
        """Take the turn of publishing again; return False when it has begun, or another node was quicker."""
        change: Document = {"attend_at": until, "publishes": firing.publishes + 1}
        if firing.routed_to != routed_to:
            change["routed_to"] = routed_to
        if quarantine is not None:
            change["quarantine"] = {"reason": quarantine}
        result = self._firings.update_one(
            {
                "_id": firing.id,
                "state": {"$in": before("republish")},
                "attempt": firing.attempt,
                "publishes": firing.publishes,
            },
            {"$set": change},
        )
        return result.modified_count == 1

    @stored
    def hasten(self, condition: Document, *, at: datetime) -> int:
        """Make the sweep look at once at dispatched records that match ``condition``; return how many."""
        result = self._firings.update_many(
            {"state": "dispatched", "attend_at": {"$gt": at}} | condition, {"$set": {"attend_at": at}}
        )
        return result.modified_count

    @stored
    def declare_dead(self, firing: Firing, *, retry_at: datetime | None, reason: str, at: datetime) -> bool:
        """End an attempt whose worker is gone: another attempt at ``retry_at``, or lost; False if it moved on.

        One that was asked to end is cancelled instead.
        """
        action: FiringAction = "lose"
        if firing.cancel is not None:
            action, retry_at, reason = "abort", None, firing.cancel.reason
        ended = {"attempt": firing.attempt, "state": after(action), "reason": reason, "worker": firing.worker, "at": at}
        same = {
            "_id": firing.id,
            "state": {"$in": before(action)},
            "attempt": firing.attempt,
            "run_token": firing.run_token,
            "cancel": {"$exists": firing.cancel is not None},
        }
        change: Document
        if retry_at is None:
            change = {
                "$set": {"state": after(action), "reason": reason, "finished_at": at, "expire_at": at + RETENTION},
                "$unset": {"attend_at": "", "run_token": ""},
                "$push": {"attempts": ended},
            }
        else:
            change = again(firing.attempt, ended, retry_at)
        return self._firings.update_one(same, change).modified_count == 1

    @stored
    def attend(self, state: str, *, until: datetime, limit: int) -> list[Document]:
        """Return open records of ``state`` whose time to be looked at has come, oldest first."""
        return list(
            self._firings.find(
                {"state": state, "attend_at": {"$lte": until}}, sort=[("attend_at", ASCENDING)], limit=limit
            )
        )

    @stored
    def running(self) -> list[Document]:
        """Return who runs what: ``_id``, ``attempt``, ``run_token``, ``worker`` of every running firing."""
        wanted = {"run_token": 1, "worker": 1, "attempt": 1}
        return list(self._firings.find({"state": "running", "attend_at": {"$exists": True}}, projection=wanted))

    @stored
    def get(self, firing: str) -> Firing | None:
        """Return one firing (raises Unreadable)."""
        found = self._firings.find_one({"_id": str(firing)})
        return None if found is None else read_firing(found)

    @stored
    def history(self, uid: str, *, job: str | None = None, state: str | None = None, limit: int = 50) -> list[Firing]:
        """Return a tenant's firings, the newest nominal first."""
        condition: dict[str, Any] = {"tenant": uid}
        if job is not None:
            condition["job"] = job
        if state is not None:
            condition["state"] = state
        found = self._firings.find(condition, sort=[("nominal", DESCENDING)], limit=limit)
        return [read_firing(document) for document in found]

    @stored
    def open_of(self, uid: str, job: str, *, states: Sequence[str], below: int | None = None) -> list[Document]:
        """Return a job's records in ``states``, with a revision below ``below`` if given."""
        condition: Document = {
            "tenant": uid,
            "job": job,
            "state": {"$in": list(states)},
            "attend_at": {"$exists": True},
        }
        if below is not None:
            condition["revision"] = {"$lt": below}
        return list(self._firings.find(condition))

    @stored
    def insert(self, document: Document) -> bool:
        """Insert one record; return False if it is there already."""
        try:
            self._firings.insert_one(document)
        except DuplicateKeyError:
            return False
        return True


def _marked(mark: Mark) -> Document:
    found: Document = {"admitted": {"attempt": mark.attempt, "fence": mark.fence}}
    return found if mark.routed_to is None else found | {"routed_to": mark.routed_to}


def again(attempt: int, ended: Document, retry_at: datetime) -> Document:
    """Return the update that makes a running firing wait for its next attempt; it keeps its slot."""
    return {
        "$set": {
            "state": after("retry"),
            "attempt": attempt + 1,
            "admitted": None,
            "wait": "retry",
            "attend_at": retry_at,
            "publishes": 0,
        },
        "$unset": {"run_token": "", "worker": "", "started_at": "", "routed_to": ""},
        "$push": {"attempts": ended},
    }
