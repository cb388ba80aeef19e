"""``MongoDBJobStore``: stock APScheduler's store with its data losses taken out."""

import pickle
import warnings
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore, ConflictingIdError, JobLookupError
from apscheduler.util import maybe_ref
from pymongo import ASCENDING, MongoClient
from pymongo.errors import DuplicateKeyError

from jobstore.apscheduler import quarantine
from jobstore.apscheduler.pickles import revive, run_time_of, write_state
from jobstore.apscheduler.quarantine import QuarantinedJob
from jobstore.apscheduler.stored import LISTED, PICKLED, WAITING, Document, create_indexes, open_collection, seconds
from jobstore.clock import Clock, SystemClock, from_posix
from jobstore.errors import Unreadable


class MongoDBJobStore(BaseJobStore):  # type: ignore[misc]
    """Store jobs in MongoDB as ``apscheduler.jobstores.mongodb.MongoDBJobStore`` does, in the same documents.

    It differs only where stock loses data: a job that cannot be unpickled, or whose executor is unknown, is set aside
    with the reason (``get_quarantined_jobs``) instead of deleted, and comes back by itself; writes are acknowledged by
    a majority; a client that was passed in stays open; an id must be text.  One scheduler process may run its jobs; for
    more, use ``SharedMongoDBJobStore``.

    Args:
        database: Name of the database.
        collection: Name of the collection.
        client: A ``pymongo.MongoClient``, or ``module:name`` of one, instead of connection arguments.
        pickle_protocol: Protocol that jobs are pickled with.
        **connect_args: Passed to ``MongoClient``.
    """

    clock: ClassVar[Clock] = SystemClock()
    retry_quarantined_every: timedelta = timedelta(seconds=60)

    def __init__(
        self,
        database: str = "apscheduler",
        collection: str = "jobs",
        client: MongoClient[Document] | str | None = None,
        pickle_protocol: int = pickle.HIGHEST_PROTOCOL,
        **connect_args: Any,
    ) -> None:
        super().__init__()
        self.pickle_protocol = pickle_protocol
        if not database:
            raise ValueError('The "database" parameter must not be empty')
        if not collection:
            raise ValueError('The "collection" parameter must not be empty')
        self._owns_client = client is None
        self.client: MongoClient[Document] = MongoClient(**connect_args) if client is None else maybe_ref(client)
        self.collection = open_collection(self.client, database, collection)
        self._retried_at: float | None = None

    @property
    def connection(self) -> MongoClient[Document]:
        """Return ``client``, by its name of old."""
        warnings.warn('The "connection" member is deprecated -- use "client" instead', DeprecationWarning, stacklevel=2)
        return self.client

    def start(self, scheduler: Any, alias: str) -> None:
        """Create the indexes, and bring back what was set aside and can be read by now."""
        super().start(scheduler, alias)
        create_indexes(self.collection)
        self.retry_quarantined_jobs()

    def shutdown(self) -> None:
        """Close the client if this store made it."""
        if self._owns_client:
            self.client.close()

    def lookup_job(self, job_id: str) -> Job | None:
        """Return the job, or None.

        Raises:
            Unreadable: It is there and cannot be unpickled in this process.
        """
        document = self.collection.find_one({"_id": _text(job_id)} | PICKLED)
        return None if document is None else self._revive(document)

    def get_due_jobs(self, now: datetime) -> list[Job]:
        """Return the jobs that are due at ``now``, earliest first; this only looks, and claims nothing."""
        if self._retry_is_due():
            self.retry_quarantined_jobs()
        due = PICKLED | {"next_run_time": {"$lte": seconds(now)}}
        jobs = []
        for document in self.collection.find(due, sort=[("next_run_time", ASCENDING)]):
            job = self._read(document)
            if job is not None and not self._lacks_executor(document, job):
                jobs.append(job)
        return jobs

    def get_next_run_time(self) -> datetime | None:
        """Return the earliest run time, or None if no job has one."""
        document = self.collection.find_one(WAITING, projection=["next_run_time"], sort=[("next_run_time", ASCENDING)])
        return None if document is None else from_posix(document["next_run_time"])

    def get_all_jobs(self) -> list[Job]:
        """Return all jobs that can be read, by next run time, paused ones last."""
        self.retry_quarantined_jobs()
        jobs = [job for document in self.collection.find(LISTED) if (job := self._read(document)) is not None]
        return sorted(jobs, key=_paused_last)

    def add_job(self, job: Job) -> None:
        """Add a job.

        Raises:
            ConflictingIdError: There is one of that id, which may be a quarantined one.
        """
        try:
            self.collection.insert_one({"_id": _text(job.id)} | self._fields(job))
        except DuplicateKeyError:
            raise ConflictingIdError(job.id) from None

    def update_job(self, job: Job) -> None:
        """Replace a job by a newer version of it (raises JobLookupError if it is gone)."""
        change = {"$set": self._fields(job), "$unset": {"quarantine": ""}}
        if self.collection.update_one({"_id": _text(job.id)}, change).matched_count == 0:
            raise JobLookupError(job.id)

    def remove_job(self, job_id: str) -> None:
        """Delete a job, a quarantined one too (raises JobLookupError if there is none)."""
        if self.collection.delete_one({"_id": _text(job_id)}).deleted_count == 0:
            raise JobLookupError(job_id)

    def remove_all_jobs(self) -> None:
        """Delete all jobs, quarantined ones too."""
        self.collection.delete_many(PICKLED)

    def get_quarantined_jobs(self) -> list[QuarantinedJob]:
        """Return the jobs that were set aside, oldest first, with the reasons."""
        return [quarantine.described(document) for document in quarantine.documents_set_aside(self.collection)]

    def retry_quarantined_jobs(self) -> list[str]:
        """Bring back the set-aside jobs that this process can read and run; return their ids."""
        self._retried_at = self.clock.monotonic()
        return [
            document["_id"]
            for document in quarantine.documents_set_aside(self.collection)
            if self._brings_back(document)
        ]

    def _brings_back(self, document: Document) -> bool:
        try:
            job = self._revive(document)
        except Unreadable:
            return False
        if not self._knows_executor(job):
            return False
        # The pickle has the last word on being paused: stock may have paused the job while it was set aside.
        run_time = run_time_of(document["quarantine"], {"next_run_time": job.next_run_time})
        back = quarantine.bring_back(self.collection, document, seconds(run_time))
        if back:
            self._logger.info('Job "%s" is back from quarantine', job.id)
        return back

    def _retry_is_due(self) -> bool:
        waited = None if self._retried_at is None else self.clock.monotonic() - self._retried_at
        return waited is None or waited >= self.retry_quarantined_every.total_seconds()

    def _read(self, document: Document) -> Job | None:
        try:
            return self._revive(document)
        except Unreadable as error:
            self._set_aside(document, str(error))
            return None

    def _revive(self, document: Document) -> Job:
        return revive(Job, document, self._scheduler, self._alias)

    def _lacks_executor(self, document: Document, job: Job) -> bool:
        if self._knows_executor(job):
            return False
        self._set_aside(document, f'the scheduler has no executor "{job.executor}"')
        return True

    def _knows_executor(self, job: Job) -> bool:
        # Stock deletes a due job whose executor it does not find.
        executors = getattr(self._scheduler, "_executors", None)
        return not isinstance(executors, Mapping) or job.executor in executors

    def _set_aside(self, document: Document, reason: str) -> None:
        if quarantine.set_aside(self.collection, document, reason):
            self._logger.error('Job "%s" is in quarantine: %s', document["_id"], reason)

    def _fields(self, job: Job) -> Document:
        return {
            "next_run_time": seconds(job.next_run_time),
            "job_state": write_state(job.__getstate__(), self.pickle_protocol),
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} (client={self.client})>"


def _paused_last(job: Job) -> float:
    return float("inf") if job.next_run_time is None else seconds(job.next_run_time) or 0.0


def _text(job_id: object) -> str:
    # A dictionary would be taken for a filter: remove_job({"$ne": None}) deletes somebody's job.
    if not isinstance(job_id, str):
        raise TypeError(f"a job's id is text, not {type(job_id).__name__}")
    return job_id
