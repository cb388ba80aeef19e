"""A tenant's last instants as one line of cells.

The instants come from the timetables and not from the ledger, so that one nobody recorded is seen as a hole.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from cluster.dev.signs import Kind, kind_of
from jobstore.clock import from_posix, to_posix
from jobstore.errors import TriggerStuck
from jobstore.firing import Firing
from jobstore.job import Job

KEEP: Final = 160
_MOST_STEPS: Final = 4 * KEEP
# A due instant is recorded within some milliseconds; only what takes longer is worth a sign.
_LATE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Cell:
    """One instant: what became of it, and which node let it go."""

    at: float
    kind: Kind
    node: str | None = None


@dataclass(slots=True)
class JobLine:
    """The last instants of one job, POSIX seconds, as its timetable names them."""

    instants: deque[float] = field(default_factory=lambda: deque(maxlen=KEEP))
    _of: tuple[str, int] = ("", 0)

    def follow(self, job: Job, records: Sequence[Firing], now: float) -> None:
        """Go on to ``now``; ``records`` are the job's scheduled firings in order of their nominal."""
        if self._of != (job.incarnation, job.timetable_rev):
            self._of = (job.incarnation, job.timetable_rev)
            self.instants.clear()
        if job.state not in {"active", "completed"}:
            return  # the instants of a pause are taken up when it ends: the ledger says then what became of them
        try:
            self._follow(job, records, now)
        except TriggerStuck:
            self.instants.clear()

    def _follow(self, job: Job, records: Sequence[Firing], now: float) -> None:
        if not self.instants:
            mine = [one.covers.start for one in records if one.snapshot.revision >= job.timetable_rev]
            start = min(mine[-KEEP:], default=job.nominal)
            if start is None or start > now:
                return
            self.instants.append(start)
        for _ in range(_MOST_STEPS):
            following = job.timetable.after(from_posix(self.instants[-1]))
            if following is None or to_posix(following) > now:
                return
            self.instants.append(to_posix(following))
        # Far behind, as after a long rest: what was caught up with one firing is not drawn one by one.
        self.instants.clear()
        if records:
            self.instants.append(records[-1].covers.through)

    def cells(self, job: Job, records: Sequence[Firing], now: float, floor: float) -> list[Cell]:
        """Return a cell for each instant later than ``floor``, from which on all records are at hand."""
        starts = [record.covers.start for record in records]
        found = []
        for at in self.instants:
            if at <= floor:
                continue
            index = bisect_right(starts, at) - 1
            record = records[index] if index >= 0 and at <= records[index].covers.through else None
            kind = _unrecorded(job, at, now) if record is None else _recorded(record, at)
            if kind is not None:
                found.append(Cell(at, kind, None if record is None else record.released_by))
        return found


def merged(lines: Sequence[Sequence[Cell]], most: int = KEEP) -> tuple[Cell, ...]:
    """Return the newest ``most`` cells of several jobs in order of time."""
    ordered = sorted((cell for line in lines for cell in line), key=lambda cell: cell.at)
    return tuple(islice(ordered, max(0, len(ordered) - most), None))


def _recorded(record: Firing, at: float) -> Kind:
    # One firing for all that was missed: its last instant shows what became of it.
    return "waiting" if record.decision == "run" and at != record.covers.through else kind_of(record)


def _unrecorded(job: Job, at: float, now: float) -> Kind | None:
    """Return how an instant without a record is shown; None for one that is not owed or has only just come."""
    owed = job.nominal if job.owed is None else job.owed.start
    if owed is None or at < owed:
        return "hole"
    if job.state != "active":
        return None
    return "late" if now - at > _LATE_S else None
