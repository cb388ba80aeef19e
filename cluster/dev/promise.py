"""Jobs and ledger held against each other with ``cluster.checking``, as far as one look at them allows.  Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cluster.checking import Finding, History, check
from jobstore.clock import from_posix, to_posix
from jobstore.edits import SUPERSEDED
from jobstore.errors import TriggerStuck
from jobstore.firing import Firing
from jobstore.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was read: the jobs first, the ledger after them.

    The other way round an instant recorded in between would look lost.

    Attributes:
        jobs: Each with the id of its tenant.
        firings: Every record made since ``since``; older ones are welcome and need not be whole.
        since: POSIX seconds.
        until: How far the look reaches, POSIX seconds.
    """

    jobs: Sequence[tuple[str, Job]]
    firings: Sequence[Firing]
    since: float
    until: float


def findings(look: Look) -> list[Finding]:
    """Return every broken promise that can be seen."""
    by_job: Mapping[tuple[str, str, str], list[Firing]] = _by_job(look.firings)
    found: list[Finding] = []
    for tenant, job in look.jobs:
        try:
            history = history_of(tenant, job, by_job.get((job.uid, job.id, job.incarnation), []), look)
            found += [] if history is None else check(history)
        except TriggerStuck:  # nobody can say what it owes; the nodes set it aside with the reason
            continue
    return found


def history_of(tenant: str, job: Job, firings: Sequence[Firing], look: Look) -> History | None:
    """Return what is known of one job, None when nothing can be said about it."""
    known = [firing for firing in firings if _of_this_timetable(firing, job)]
    starts = [firing.covers.start for firing in known if firing.kind == "scheduled"]
    # What an edit or a pause took away is recorded by whoever comes next: until then it is owed, not lost.
    nominal = job.nominal if job.owed is None else job.owed.start
    first = min(starts, default=nominal)
    if job.timetable_rev == 1 and job.created_at is not None and to_posix(job.created_at) >= look.since:
        # All of its records are there, so the first one is not allowed to be missing either.
        expected = job.timetable.first(job.created_at)
        if expected is not None:
            first = to_posix(expected) if first is None else min(first, to_posix(expected))
    if first is None:
        return None
    label = f"{tenant}/{job.id}"
    return History(job=label, timetable=job.timetable, first=first, nominal=nominal, until=look.until, firings=known)


def _of_this_timetable(firing: Firing, job: Job) -> bool:
    """Return whether the job's present timetable can judge the record: an edit begins a new chain."""
    if job.timetable_rev == 1 or firing.kind != "scheduled":
        return True
    if firing.snapshot.revision < job.timetable_rev or firing.reason == SUPERSEDED:
        return False
    # One that was already on its way got the new revision and kept its old instant.
    return job.timetable.first(from_posix(firing.nominal)) == from_posix(firing.nominal)


def _by_job(firings: Iterable[Firing]) -> dict[tuple[str, str, str], list[Firing]]:
    found: dict[tuple[str, str, str], list[Firing]] = defaultdict(list)
    for firing in firings:
        found[firing.uid, firing.job, firing.incarnation].append(firing)
    return found


def count(found: Iterable[Finding], *kinds: str) -> int:
    """Return how many findings are of the kinds given."""
    return sum(finding.kind in kinds for finding in found)
