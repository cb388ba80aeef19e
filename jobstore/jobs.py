"""The documents of one tenant's jobs: read, add, change, take away, set aside.

Every change is a compare-and-set on the revision; each clears the lease and raises ``claim_token``, so that a planner
at work loses its claim.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from jobstore.claims import of_stock
from jobstore.clock import from_posix, to_posix
from jobstore.connection import Document, stored
from jobstore.documents import LEASE, VERSION, read_job, spec_document
from jobstore.errors import Unreadable
from jobstore.job import Job, JobSpec
from jobstore.lifecycle import JobAction, job_after, job_before
from jobstore.runtime import Runtime
from jobstore.servertime import ServerTime
from jobstore.tenant import Place
from jobstore.tenants import Collections
from jobstore.timetable import Timetable


class Jobs:
    """One tenant's jobs."""

    def __init__(self, collections: Collections, place: Place, time: ServerTime, runtime: Runtime) -> None:
        self._jobs = collections.jobs(place)
        self.place = place
        self._time = time
        self._runtime = runtime

    @stored
    def ensure(self) -> None:
        """Create the collection's indexes: stock's own, to the letter, and one where tenants share the collection."""
        self._jobs.create_index("next_run_time", sparse=True)
        if self.place.prefix:
            self._jobs.create_index([("tenant", ASCENDING), ("next_run_time", ASCENDING)], name="tenant_next")

    @stored
    def add(self, job: str, spec: JobSpec, *, first: float | None) -> bool:
        """Insert a new job that is due at ``first`` (POSIX seconds); False if the id is taken."""
        now = self._time.now()
        document: Document = {
            "_id": self.place.key(job),
            "v": VERSION,
            "tenant": self.place.uid,
            "next_run_time": first,
            "state": "active" if first is not None else job_after("complete"),
            "spec": spec_document(spec),
            "nominal": first,
            "decided_through": None,
            "incarnation": self._runtime.ids.token(),
            "revision": 1,
            "timetable_rev": 1,
            "stop_rev": 0,
            "claim_token": 0,
            # A fence never restarts, not even when a removed job's id is used again: it begins at the clock.
            "fence": round(to_posix(now) * 1000),
            "slots": [],
            "created_at": now,
            "updated_at": now,
        }
        try:
            self._jobs.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    @stored
    def fetch(self, job: str) -> Document | None:
        """Return a job's document as stored."""
        return self._jobs.find_one({"_id": self.place.key(str(job))} | self.place.scope())

    def get(self, job: str) -> Job | None:
        """Return a job, or None if there is none (raises Unreadable)."""
        found = self.fetch(job)
        return None if found is None else read_job(found, self.place)

    @stored
    def all(self, *, limit: int = 0) -> list[Document]:
        """Return the documents in order of id."""
        return list(self._jobs.find(self.place.scope(), sort=[("_id", ASCENDING)], limit=limit))

    @stored
    def several(self, jobs: list[str]) -> dict[str, Document]:
        """Return the documents of ``jobs`` by job id."""
        keys = [self.place.key(job) for job in jobs]
        found = self._jobs.find({"_id": {"$in": keys}} | self.place.scope())
        return {self.place.job(document["_id"]): document for document in found}

    @stored
    def count(self) -> int:
        """Return how many jobs the tenant has."""
        return self._jobs.count_documents(self.place.scope())

    @stored
    def change(self, job: Job, action: JobAction | None, fields: Mapping[str, Any]) -> Document | None:
        """Change a job that still has the revision read: the document afterwards, or None.

        ``action`` names the move in the state table; None leaves the state.  ``fields`` are literal values; revision
        and claim token are raised, the lease is cleared.
        """
        change: Document = dict(fields) | {"updated_at": self._time.now(), "revision": job.revision + 1}
        states: list[str | None] = [job.state]
        if action is not None:
            states = [state for state in job_before(action) if state == job.state]
            change["state"] = job_after(action)
        return self._jobs.find_one_and_update(
            {
                "_id": self.place.key(job.id),
                "incarnation": job.incarnation,
                "revision": job.revision,
                "state": {"$in": states},
            },
            {"$set": change, "$inc": {"claim_token": 1}, "$unset": dict.fromkeys(LEASE, "")},
            return_document=ReturnDocument.AFTER,
        )

    @stored
    def replace_deleted(self, job: str, spec: JobSpec, *, first: float | None) -> bool:
        """Put a new job in the place of one that is being deleted; its fence goes on."""
        now = self._time.now()
        result = self._jobs.update_one(
            {"_id": self.place.key(job), "state": job_after("delete")},
            {
                "$set": {
                    "v": VERSION,
                    "next_run_time": first,
                    "state": "active" if first is not None else job_after("complete"),
                    "spec": spec_document(spec),
                    "nominal": first,
                    "decided_through": None,
                    "incarnation": self._runtime.ids.token(),
                    "revision": 1,
                    "timetable_rev": 1,
                    "stop_rev": 0,
                    "slots": [],
                    "created_at": now,
                    "updated_at": now,
                },
                "$inc": {"claim_token": 1},
                "$unset": dict.fromkeys((*LEASE, "owed", "quarantine", "buffered"), ""),
            },
        )
        return result.matched_count == 1

    @stored
    def delete_unreadable(self, job: str, *, document: Document) -> bool:
        """Begin to delete a job that cannot be read, by the raw values found."""
        revision = document.get("revision")
        stop = revision + 1 if isinstance(revision, int) else 1
        result = self._jobs.update_one(
            {"_id": self.place.key(job), "revision": revision},
            {
                "$set": {
                    "state": job_after("delete"),
                    "next_run_time": None,
                    "revision": stop,
                    "stop_rev": stop,
                },
                "$unset": dict.fromkeys(LEASE, ""),
            },
        )
        return result.matched_count == 1

    @stored
    def quarantine(self, document: Document, reason: str) -> bool:
        """Set a job aside, in place, with the reason; False if it changed since it was read."""
        now = self._time.now()
        note = {
            "reason": reason[:2000],
            "at": now,
            "next_run_time": document.get("nominal") or document.get("next_run_time"),
            "state": document.get("state") or "active",
        }
        result = self._jobs.update_one(
            {
                "_id": document["_id"],
                "claim_token": document.get("claim_token"),
                "revision": document.get("revision"),
            },
            {
                "$set": {"state": job_after("quarantine"), "next_run_time": None, "quarantine": note},
                "$unset": dict.fromkeys(LEASE, ""),
            },
        )
        return result.matched_count == 1

    @stored
    def recover(self, document: Document) -> bool:
        """Bring a quarantined job back to where it stood; False if it changed since it was read."""
        note = document["quarantine"]
        result = self._jobs.update_one(
            {"_id": document["_id"], "state": {"$in": job_before("recover")}, "quarantine.at": note["at"]},
            {
                "$set": {"state": job_after("recover"), "next_run_time": note["next_run_time"]},
                "$unset": dict.fromkeys((*LEASE, "quarantine"), ""),
            },
        )
        return result.matched_count == 1

    @stored
    def complete_stock(self, job: str) -> None:
        """Give a document of stock the fields that admission compares, if it lacks them."""
        self._jobs.update_one(
            {"_id": self.place.key(job), "incarnation": {"$exists": False}},
            [{"$set": of_stock(self._runtime.ids.token())}],
        )

    @stored
    def resting(self, *, limit: int) -> list[Document]:
        """Return documents that no claim will ever take: completed, deleting and quarantined ones."""
        states = [job_after("complete"), job_after("delete"), job_after("quarantine")]
        return list(
            self._jobs.find(
                # Stock's index is sparse: for a plain null, which means "or missing", it would be read from end to end.
                {"next_run_time": {"$type": "null"}, "state": {"$in": states}} | self.place.scope(),
                limit=limit,
                hint="next_run_time_1",
            )
        )

    @stored
    def remove(self, document: Document) -> bool:
        """Remove a completed or deleted job's document, if it is still the one read."""
        result = self._jobs.delete_one(
            {
                "_id": document["_id"],
                "incarnation": document.get("incarnation"),
                "revision": document.get("revision"),
                "state": {"$in": [job_after("complete"), job_after("delete")]},
            }
        )
        return result.deleted_count == 1


def next_nominal(timetable: Timetable, not_before: datetime) -> float | None:
    """Return the first nominal at or after ``not_before``, POSIX seconds."""
    first = timetable.first(not_before)
    return None if first is None else to_posix(first)


def readable(document: Document, place: Place) -> Job | str:
    """Return the job of ``document``, or the reason why it cannot be read."""
    try:
        return read_job(document, place)
    except Unreadable as error:
        return str(error)


def instant_text(seconds: float | None) -> str | None:
    """Return POSIX seconds as RFC 3339 text, for people and JSON."""
    return None if seconds is None else from_posix(seconds).isoformat().replace("+00:00", "Z")
