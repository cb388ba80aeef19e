"""The claims that one process holds: which jobs they keep it from claiming again, and how each one ends."""

import threading
from collections import deque
from datetime import datetime, timedelta
from logging import Logger
from typing import Final

from pymongo.errors import PyMongoError

from jobstore.apscheduler.claims import Claim, Claims, Fate
from jobstore.clock import Clock, to_posix
from jobstore.points import Points

# Claimed jobs queue in the executor.  More than this, and other processes with idle threads would find nothing left.
MOST_HELD: Final = 50


class Holdings:
    """Held claims by nonce, and ids to leave alone for a while.  Safe for the loop's thread and the executors'."""

    def __init__(self, claims: Claims, clock: Clock, points: Points, lease: timedelta, logger: Logger) -> None:
        self._claims = claims
        self._clock = clock
        self._points = points
        self._lease_s = lease.total_seconds()
        self._logger = logger
        self._lock = threading.Lock()
        self._held: dict[str, Claim] = {}
        self._left_until: dict[str, float] = {}
        self._dropped: deque[Claim] = deque()
        self._instances: dict[str, Claim] = {}
        self._over: deque[Claim] = deque()

    @property
    def room(self) -> bool:
        """Return whether another job may be claimed."""
        return len(self._held) < MOST_HELD

    def add(self, claim: Claim) -> None:
        """Hold a claim."""
        with self._lock:
            self._held[claim.nonce] = claim

    def leave(self, job_id: str) -> None:
        """Do not claim this job for the time of a lease: another process may do better."""
        with self._lock:
            self._left_until[job_id] = self._clock.monotonic() + self._lease_s

    def left(self) -> set[str]:
        """Return the ids not to claim: those held (executors count them already), and those left to others."""
        now = self._clock.monotonic()
        with self._lock:
            self._left_until = {job_id: until for job_id, until in self._left_until.items() if until > now}
            return {claim.id for claim in self._held.values()} | self._left_until.keys()

    def open_claim(self, job_id: str) -> Claim | None:
        """Return the claim of a job that was handed to the loop and not yet to an executor."""
        with self._lock:
            held = (claim for claim in self._held.values() if claim.id == job_id and claim.fate is Fate.OPEN)
            return next(held, None)

    def next_following(self, now: datetime) -> float | None:
        """Return the earliest run time after ``now`` of the jobs held here."""
        with self._lock:
            following = [to_posix(c.plan.following) for c in self._held.values() if c.plan.following is not None]
        return min((instant for instant in following if instant > to_posix(now)), default=None)

    def begin(self, claim: Claim, run_time: datetime) -> bool:
        """Begin a run in the thread that is about to make it; return whether it may be made."""
        if claim.closed:
            return False
        if not self._claims.begin(claim, run_time):
            self._logger.warning(
                'Job "%s" is not run for %s here: it was taken over, edited or removed', claim.id, run_time
            )
            self.release(claim)
            return False
        self._points.reach("begin.after")
        claim.begun += 1
        if claim.member is not None:
            self._instances[claim.nonce] = claim
        claim.renewed_at = self._clock.monotonic()
        if to_posix(run_time) >= to_posix(claim.plan.run_times[-1]):
            self._close(claim)
            if self._end(claim) and claim.plan.following is None:
                self._instances.pop(claim.nonce, None)  # gone with the job's document: nobody has to be told
        return True

    def over(self, claim: Claim) -> None:
        """Note that the runs of a claim have ended, for the count of the job's instances."""
        if self._instances.pop(claim.nonce, None) is None:
            return
        try:
            self._claims.over(claim)
        except PyMongoError as error:
            self._logger.info('The end of a run of job "%s" is told later: %s', claim.id, error)
            self._over.append(claim)

    @property
    def busy(self) -> bool:
        """Return whether instances that count run here, or have ended and are still counted."""
        return bool(self._instances or self._over)

    def skip(self, claim: Claim) -> None:
        """Pass over what the claim owes: stock's answer when the job runs as often as it may already."""
        self._close(claim)
        if not self._claims.skip(claim):
            self._logger.info('Job "%s" was taken over, edited or removed while it was skipped', claim.id)

    def release(self, claim: Claim) -> bool:
        """Let a claim go with its runs undone; if MongoDB does not answer (False), its lease will lapse."""
        self._close(claim)
        try:
            self._claims.let_go(claim.id, claim.nonce)
        except PyMongoError as error:
            self._logger.info('The claim on job "%s" is left to lapse: %s', claim.id, error)
            return False
        return True

    def drop(self, claim: Claim) -> None:
        """Note that the executor has let go of the runs; called by the garbage collector, so without any I/O."""
        self._dropped.append(claim)

    def tidy(self) -> None:
        """Release what executors dropped, and keep the leases of series that are half run."""
        while self._dropped:
            claim = self._dropped.popleft()
            if not claim.closed:
                self.release(claim)
            self.over(claim)
        while self._over:
            self._claims.over(self._over[0])
            self._over.popleft()
        stale = self._clock.monotonic() - self._lease_s / 3
        with self._lock:
            # A claim that still queues is not renewed: another process may have a free thread for it.
            series = [claim for claim in self._held.values() if claim.begun and claim.renewed_at < stale]
        if series:
            self._claims.renew(series)
            for claim in series:
                claim.renewed_at = self._clock.monotonic()

    def release_open(self) -> None:
        """Release what was claimed for a pass and never reached an executor."""
        with self._lock:
            left_over = [claim for claim in self._held.values() if claim.fate is Fate.OPEN]
        self._release_several(left_over)

    def release_all(self) -> None:
        """Release everything: nothing that still queues will begin here."""
        with self._lock:
            held = list(self._held.values())
        self._release_several(held)

    def _release_several(self, claims: list[Claim]) -> None:
        answers = True
        for claim in claims:
            if answers:
                answers = self.release(claim)
            else:  # MongoDB is away: asking for each would take minutes; the leases lapse
                self._close(claim)

    def _close(self, claim: Claim) -> None:
        claim.closed = True
        with self._lock:
            self._held.pop(claim.nonce, None)

    def _end(self, claim: Claim) -> bool:
        try:
            return self._claims.end(claim)
        except PyMongoError as error:
            self._logger.info('Job "%s" has ended and is deleted by its next claimer: %s', claim.id, error)
            return False
