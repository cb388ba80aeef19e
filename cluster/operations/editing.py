"""The steps that an edit, a pause and a delete take in the store, each before they answer.

A crash after any of them leaves something that the next claim, the release or the sweep completes.
"""

from collections.abc import Iterator
from dataclasses import replace

from cluster.operations.common import Room
from cluster.planner import first_head
from cluster.verdicts import judge_dispatched, judge_pending
from jobstore.clock import from_posix, to_posix
from jobstore.edits import Edit, apply_edit, clear_owed, settle, snapshot_of
from jobstore.errors import TriggerStuck, Unreadable
from jobstore.events import FiringClosed
from jobstore.firing import Firing, read_firing
from jobstore.job import Job, Owed
from jobstore.ledger import Closing
from jobstore.lifecycle import OPEN, FiringAction, before
from jobstore.timetable import Timetable


def edit_job(room: Room, job: Job, edit: Edit, *, former: Timetable | None = None) -> Job | None:
    """Write an edit between two bumps of the agenda and settle what it owes; None if the job changed meanwhile.

    A job that owes something from an earlier edit has that settled instead, and None is returned: read it again.
    """
    if job.owed is not None:
        settle_owed(room, job)
        return None
    store, uid = room.store, room.tenant.uid
    at = store.time.now()
    near = to_posix(at) if edit.owed is not None else edit.nominal
    if near is not None:
        store.agenda.bump(uid, near)
    store.runtime.points.reach("edit.bumped")
    changed = apply_edit(store.collections.jobs(room.tenant.place), room.tenant.place, job, edit, at=at)
    if changed is None:
        return None
    store.runtime.points.reach("edit.after")
    if near is not None:
        store.agenda.bump(uid, near)
    store.runtime.points.reach("bump.after")
    if changed.owed is not None:
        # None: a claimer was quicker, having settled the same.
        changed = settle_owed(room, changed, former=former) or replace(changed, owed=None)
    return changed


def settle_owed(room: Room, job: Job, *, former: Timetable | None = None) -> Job | None:
    """Settle what a job owes from an edit: the job afterwards, or None if a claimer was quicker."""
    store, place = room.store, room.tenant.place
    decided = settle(room.ledger, job, epoch=room.tenant.epoch, at=store.time.now(), former=former)
    store.runtime.points.reach("settle.after")
    return clear_owed(store.collections.jobs(place), place, job, decided=decided)


def taken_away(job: Job, now: float) -> Owed | None:
    """Return the instants that are due and not in the ledger, which a new timetable or a resume takes away."""
    try:
        head = first_head(job)
        if head is None or head > now:
            return None
        through = to_posix(job.timetable.span(from_posix(head), from_posix(now)).through)
    except TriggerStuck:  # the trigger is stuck: that is what the edit is for
        if job.nominal is None or job.nominal > now:
            return None
        head, through = job.nominal, now
    return Owed(start=head, through=through, admitted=job.slots)


def from_now_on(timetable: Timetable, job: Job | None, now: float) -> float | None:
    """Return the first nominal that is neither past nor in the ledger, POSIX seconds."""
    decided = None if job is None else job.decided_through
    following = timetable.after(from_posix(now if decided is None else max(now, decided)))
    return None if following is None else to_posix(following)


def freshen(room: Room, job: Job) -> None:
    """Give what has not begun the job's new definition, or end it where the edit took its instant away."""
    for firing in _records(room, job, below=job.revision):
        if firing.state == "pending":
            verdict = judge_pending(firing, job, room.tenant)
        else:
            verdict = judge_dispatched(firing, job, room.tenant)
        if verdict.kind == "close" and verdict.action is not None:
            _close(room, firing, verdict.action, verdict.reason)
        else:
            room.ledger.refresh(firing.id, older_than=job.revision, snapshot=snapshot_of(job))


def cancel_unbegun(room: Room, job: str, incarnation: object, *, stop_rev: int, reason: str) -> int:
    """Cancel every firing of a job that was recorded before it was stopped and has not begun; return how many."""
    count = 0
    for firing in _listed(room, job, incarnation, before("cancel"), stop_rev):
        count += _close(room, firing, "cancel", reason)
    room.store.runtime.points.reach("cancel.after")
    return count


def count_running(room: Room, job: str) -> int:
    """Return how many firings of a job are running."""
    return len(room.ledger.open_of(room.tenant.uid, job, states=["running"]))


def is_over(room: Room, job: str) -> bool:
    """Return whether nothing of a job is open any more."""
    return not room.ledger.open_of(room.tenant.uid, job, states=OPEN)


def _records(room: Room, job: Job, *, below: int) -> Iterator[Firing]:
    return _listed(room, job.id, job.incarnation, before("cancel"), below)


def _listed(room: Room, job: str, incarnation: object, states: list[str], below: int) -> Iterator[Firing]:
    """Yield the records until no new ones turn up: a planner at work may still insert some."""
    seen: set[tuple[str, int]] = set()
    more = True
    while more:
        more = False
        for document in room.ledger.open_of(room.tenant.uid, job, states=states, below=below):
            key = (document["_id"], document["attempt"])
            # A new incarnation of the job begins to count its revisions again.
            if key in seen or document.get("incarnation") != incarnation:
                continue
            seen.add(key)
            try:
                firing = read_firing(document)
            except Unreadable:
                continue
            more = True
            yield firing


def _close(room: Room, firing: Firing, action: FiringAction, reason: str) -> bool:
    closed = room.ledger.close([Closing(firing.id, firing.attempt, action, reason)], at=room.store.time.now())
    if closed:
        room.store.runtime.events.emit(FiringClosed(firing.id, action, reason))
    return bool(closed)
