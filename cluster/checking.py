"""The promise, checked from the ledger: is every owed instant covered once, and did nothing begin twice?  Pure.

Knows nothing of how firings are made: it reads jobs, records and what running code says it did.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobstore.clock import from_posix, to_posix
from jobstore.firing import Firing
from jobstore.lifecycle import FINAL
from jobstore.timetable import Timetable


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken promise: ``kind`` is lost, twice, early or open."""

    kind: str
    job: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is known of one job.

    ``first`` is the first instant it owed, ``nominal`` the first one not yet in the ledger (None: the timetable has
    ended), ``until`` how far the look reaches; all POSIX seconds.
    """

    job: str
    timetable: Timetable
    first: float
    nominal: float | None
    until: float
    firings: Sequence[Firing]


def check(history: History) -> list[Finding]:
    """Return every broken promise in the history of one job."""
    scheduled = sorted((one for one in history.firings if one.kind == "scheduled"), key=lambda one: one.nominal)
    return [*_coverage(history, scheduled), *_begins(history.job, history.firings)]


def _coverage(history: History, scheduled: Sequence[Firing]) -> Iterable[Finding]:
    """Follow the chain of instants: each record begins at the instant after the one before it."""
    expected: float | None = history.first
    for firing in scheduled:
        start, through = firing.covers.start, firing.covers.through
        if expected is None or start < expected:
            yield Finding("twice", history.job, f"{_when(start)} is covered by two records")
        elif start > expected:
            count = history.timetable.span(from_posix(expected), from_posix(start)).count - 1
            yield Finding("lost", history.job, f"{count} instants from {_when(expected)} have no record")
        following = history.timetable.after(from_posix(max(through, start)))
        expected = None if following is None else to_posix(following)
    if expected is not None and expected <= history.until and (history.nominal is None or history.nominal > expected):
        yield Finding("lost", history.job, f"the job has moved past {_when(expected)}, which has no record")


def _begins(job: str, firings: Sequence[Firing]) -> Iterable[Finding]:
    for firing in firings:
        ended = Counter(entry["attempt"] for entry in firing.attempts)
        for attempt, count in ended.items():
            if count > 1:
                yield Finding("twice", job, f"attempt {attempt} of {_when(firing.nominal)} ended {count} times")
        if firing.started_at is not None and to_posix(firing.started_at) < firing.nominal - 0.001:
            yield Finding("early", job, f"{_when(firing.nominal)} began at {firing.started_at.isoformat()}")


def unfinished(history: History, *, older_than: float) -> list[Finding]:
    """Return the firings that are still open although nothing should hold them up any more."""
    return [
        Finding("open", history.job, f"{_when(firing.nominal)} is still {firing.state}")
        for firing in history.firings
        if firing.state not in FINAL and firing.covers.through < older_than
    ]


def check_lines(firings: Iterable[Firing], lines: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Compare the ledger with what running code wrote itself: lines ``{firing, attempt, event: begin | end}``."""
    begun = Counter((line["firing"], line["attempt"]) for line in lines if line["event"] == "begin")
    findings = [
        Finding("twice", firing, f"attempt {attempt} ran {count} times")
        for (firing, attempt), count in begun.items()
        if count > 1
    ]
    ran = {firing for firing, _ in begun}
    for firing in firings:
        if firing.state == "succeeded" and firing.id not in ran:
            findings.append(Finding("lost", firing.job, f"{_when(firing.nominal)} is recorded as run and never ran"))
        if firing.state in ("skipped", "missed", "cancelled", "superseded") and firing.id in ran:
            findings.append(Finding("twice", firing.job, f"{_when(firing.nominal)} is {firing.state} and ran"))
    return findings


def _when(seconds: float) -> str:
    return from_posix(seconds).isoformat()
