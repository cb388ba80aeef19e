"""``SharedMongoDBJobStore``: one collection, any number of stock schedulers, each owed instant once."""

import os
import socket
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, ClassVar, Final

from apscheduler.executors.base import MaxInstancesReachedError
from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError

from jobstore.apscheduler.claims import Claim, Claims, Fate
from jobstore.apscheduler.dropin import MongoDBJobStore
from jobstore.apscheduler.edits import changes
from jobstore.apscheduler.holdings import Holdings
from jobstore.apscheduler.jobs import SharedJob
from jobstore.apscheduler.passes import Pass, SharedPass
from jobstore.apscheduler.pickles import read_state, revive, run_time_of, write_state
from jobstore.apscheduler.plan import Plan
from jobstore.apscheduler.runs import Runs
from jobstore.apscheduler.stored import LEASE, PICKLED, Document, seconds
from jobstore.clock import from_posix
from jobstore.errors import InvalidTrigger, InvariantBroken, RevisionConflict, TriggerStuck, Unreadable
from jobstore.ids import IdSource, SystemIds
from jobstore.points import NoPoints, Points

# The loop submits nothing before it has the whole list: a long one would make the first job late.
_CLAIMS_PER_PASS: Final = 10
_EDIT_TRIES: Final = 20
_GRACE_BEYOND_LEASE_S: Final = 5


class SharedMongoDBJobStore(MongoDBJobStore):
    """A ``MongoDBJobStore`` that any number of processes may run jobs from, each with a stock scheduler.

    Works in ``BackgroundScheduler``, ``BlockingScheduler`` and ``AsyncIOScheduler`` as they are.  Each owed instant is
    run by one process; what a process has claimed and not begun when it dies, or stands still, is run by another after
    the lease.  Every process that runs jobs of the collection has to use this class.  ``jobstore.apscheduler`` says how
    it works and what it cannot do.

    The class attributes may be set in a subclass or on an instance before the scheduler starts.

    Attributes:
        lease_for: How long a claimed job is left alone by the others (5 s to minutes).
        poll_every: How long a change made elsewhere may go unnoticed (0.1 s to seconds).
    """

    lease_for: timedelta = timedelta(seconds=10)
    poll_every: timedelta = timedelta(seconds=0.5)
    retry_quarantined_every: timedelta = timedelta(seconds=5)
    ids: ClassVar[IdSource] = SystemIds()
    points: ClassVar[Points] = NoPoints()

    _pass: Pass | None = None
    _returning: Claim | None = None

    def start(self, scheduler: Any, alias: str) -> None:
        """Create the indexes and take part in the scheduler's loop."""
        super().start(scheduler, alias)
        owner = f"{socket.gethostname()}/{os.getpid()}/{self.ids.token()[:8]}"
        self._claims = Claims(self.collection, owner, self.ids, self.lease_for, self.pickle_protocol, self._logger)
        self._holdings = Holdings(self._claims, self.clock, self.points, self.lease_for, self._logger)
        self._claimed = 0
        self._baffling: dict[str, float] = {}
        if scheduler is not None:
            self._pass = SharedPass.of(scheduler).join(alias, self)

    def shutdown(self) -> None:
        """Give back what is claimed and not begun, and close the client if this store made it."""
        if self._pass is not None:
            self._holdings.release_all()
            self._pass.leave(self._alias, self)
            self._pass = None
        super().shutdown()

    @property
    def longest_wait_s(self) -> float:
        """Return how long the scheduler may sleep at most."""
        return self.poll_every.total_seconds()

    def get_due_jobs(self, now: datetime) -> list[Job]:
        """Claim and return due jobs when the scheduler's loop asks; anybody else just gets to look."""
        if not self._in_pass:
            return super().get_due_jobs(now)
        self._holdings.tidy()
        if self._retry_is_due():
            self.retry_quarantined_jobs()
        jobs = []
        while self._holdings.room and self._claimed < _CLAIMS_PER_PASS:
            document = self._claims.take(now, self._holdings.left())
            if document is None:
                break
            self._claimed += 1
            self.points.reach("claim.after")
            job = self._admit(document, now)
            if job is not None:
                jobs.append(job)
        return jobs

    def get_next_run_time(self) -> datetime | None:
        """Return the earliest run time; to the loop, of the jobs that it could claim by then."""
        if not self._in_pass:
            return super().get_next_run_time()
        if not self._holdings.room:
            return None
        free = self._claims.next_free(self._holdings.left())
        held = self._holdings.next_following(self.clock.now())
        earliest = min((instant for instant in (free, held) if instant is not None), default=None)
        return None if earliest is None else from_posix(earliest)

    def update_job(self, job: Job) -> None:
        """Write what was changed since the job was read (raises JobLookupError if it is gone).

        To the loop, which reports a job that it has just submitted: nothing; the run moves the job on when it begins.

        Raises:
            RevisionConflict: Others kept writing this job, twenty times in a row.
        """
        if not isinstance(job, SharedJob):
            self._overwrite(job)
        elif job.claim is not None and job.claim is self._returning:
            self.conclude(job.claim)
        else:
            self._edit(job)

    def remove_job(self, job_id: str) -> None:
        """Delete a job (raises JobLookupError); a job that the loop says has ended goes when its last run begins."""
        claim = self._returning
        if claim is not None and claim.id == job_id and self._in_pass:
            self.conclude(claim)
            return
        lost = self._holdings.open_claim(job_id) if self._in_pass else None
        if lost is not None and lost.state["executor"] not in self._scheduler._executors:
            lost.fate = Fate.REFUSED  # the loop deletes a job whose executor went away since it was claimed
            self.conclude(lost)
            return
        super().remove_job(job_id)

    def hand_over(self, executor: Any, job: SharedJob, run_times: list[datetime]) -> None:
        """Submit a claimed job to ``executor``, with run times that begin when they are taken."""
        claim = job.claim
        if claim is None:
            raise InvariantBroken(f"{job!r} was handed over and never claimed")
        over = None if claim.member is None else partial(self._holdings.over, claim)
        runs = Runs(run_times, partial(self._holdings.begin, claim), over)
        runs.when_dropped(partial(self._holdings.drop, claim))
        claim.fate = Fate.REFUSED
        try:
            executor.submit_job(job, runs)
            claim.fate = Fate.SUBMITTED
        except MaxInstancesReachedError:
            claim.fate = Fate.SKIPPED
            raise
        finally:
            self._returning = claim

    def end_pass(self) -> int:
        """Let go of what the pass has claimed and not handed over; return how many jobs it claimed."""
        self._returning = None
        self._holdings.release_open()
        claimed, self._claimed = self._claimed, 0
        return claimed

    def count_instances(self, claim: Claim) -> int:
        """Return how many instances of a claimed job run, in all processes, and have its begin add this one.

        Nobody else can begin one meanwhile: that takes a claim.  Instances of processes that are gone do not count.

        Raises:
            StoreUnavailable: MongoDB did not answer.
        """
        presence = None if self._pass is None else self._pass.presence
        if presence is None:
            raise InvariantBroken("instances are counted, and this process gives no sign of life")
        dead = presence.gone(set(claim.running.values()))
        claim.gone = frozenset(nonce for nonce, member in claim.running.items() if member in dead)
        claim.member = presence.member
        return len(claim.running) - len(claim.gone)

    def pass_over(self, claim: Claim) -> None:
        """Move a claimed job past what it owes without running it: all its instances run already."""
        claim.fate = Fate.SKIPPED
        self.conclude(claim)

    @property
    def busy(self) -> bool:
        """Return whether instances that count across processes still run here."""
        return self._holdings.busy

    @property
    def _in_pass(self) -> bool:
        return self._pass is not None and self._pass.inside

    def _admit(self, document: Document, now: datetime) -> SharedJob | None:
        """Return the claimed job as the loop gets it, or None if there is nothing to run."""
        try:
            job = self._revive(document)
            self._require_executor(job)
            plan = self._plan(job, document, now)
        except Unreadable as error:
            self._leave(document, str(error))
            return None
        except (TriggerStuck, InvalidTrigger) as error:
            super()._set_aside(document, str(error))
            return None
        claim = Claim(
            id=document["_id"],
            nonce=document["claim_nonce"],
            next_run_time=document["next_run_time"],
            job_state=document["job_state"],
            state=job.state,
            plan=plan,
            renewed_at=self.clock.monotonic(),
            running={entry["nonce"]: entry["member"] for entry in document.get("running", ())},
        )
        if not plan.run_times:
            self._logger.info('Job "%s" was set back to a run time that had begun already', claim.id)
            self._claims.settle(claim)
            return None
        self._holdings.add(claim)
        job.claim = claim
        if job.misfire_grace_time is not None:
            # Stock's second of grace would turn every take-over into a miss.
            job.misfire_grace_time = max(
                job.misfire_grace_time, ceil(self.lease_for.total_seconds()) + _GRACE_BEYOND_LEASE_S
            )
        return job

    def _plan(self, job: SharedJob, document: Document, now: datetime) -> Plan:
        if self._pass is None:
            raise InvariantBroken("a job was claimed outside a pass")
        first = job.next_run_time or from_posix(document["next_run_time"])
        return self._pass.plan(job.state, first, now, document.get("decided_through"))

    def _require_executor(self, job: Job) -> None:
        if not self._knows_executor(job):
            raise Unreadable(f'the scheduler has no executor "{job.executor}"')

    def _leave(self, document: Document, reason: str) -> None:
        """Leave a job to a process that can run it; if nobody did by the next time, set it aside."""
        job_id, run_time = document["_id"], document["next_run_time"]
        if self._baffling.get(job_id) == run_time:
            del self._baffling[job_id]
            super()._set_aside(document, reason)
            return
        self._baffling[job_id] = run_time
        self._holdings.leave(job_id)
        self._logger.warning('Job "%s" is left to another process: %s', job_id, reason)
        self._claims.let_go(job_id, document["claim_nonce"])

    def conclude(self, claim: Claim) -> None:
        """Act on what became of a claimed job: begun runs move it on, skipped ones now; refused, it is let go."""
        self._returning = None
        if claim.fate is Fate.SUBMITTED:
            self.points.reach("advance.after")
        elif claim.fate is Fate.SKIPPED:
            self._holdings.skip(claim)
        else:
            self._holdings.leave(claim.id)
            self._holdings.release(claim)

    def _edit(self, job: SharedJob) -> None:
        wanted = changes(read_state({"job_state": job.job_state}), Job.__getstate__(job))
        for _ in range(_EDIT_TRIES):
            document = self.collection.find_one({"_id": job.id} | PICKLED)
            if document is None:
                raise JobLookupError(job.id)
            current = read_state(document)
            run_time = wanted["next_run_time"] if "next_run_time" in wanted else run_time_of(document, current)
            state = write_state(current | wanted | {"next_run_time": run_time}, self.pickle_protocol)
            as_read = {key: document.get(key) for key in ("_id", "next_run_time", "job_state")}
            if self._write(as_read, seconds(run_time), state):
                job.job_state = bytes(state)
                return
        raise RevisionConflict(f'job "{job.id}" is being edited by others; read it again and repeat')

    def _overwrite(self, job: Job) -> None:
        fields = self._fields(job)
        if not self._write({"_id": job.id}, fields["next_run_time"], fields["job_state"]):
            raise JobLookupError(job.id)

    def _write(self, as_read: Document, next_run_time: float | None, job_state: bytes) -> bool:
        change: Document = {
            "$set": {"next_run_time": next_run_time, "job_state": job_state},
            "$unset": dict.fromkeys(("quarantine", *LEASE), ""),
            "$inc": {"claim_token": 1},
        }
        return self.collection.update_one(as_read, change).matched_count == 1

    def _revive(self, document: Document) -> SharedJob:
        job = revive(SharedJob, document, self._scheduler, self._alias)
        job.job_state = document["job_state"]
        return job

    def _set_aside(self, document: Document, reason: str) -> None:
        # Looking decides nothing here: another process may have the code.  The loop decides, in _leave.
        self._logger.warning('Job "%s" cannot be run by this process: %s', document["_id"], reason)
