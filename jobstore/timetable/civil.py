"""Between wall-clock time and UTC: the one place that knows what gaps and overlaps are.

A *civil* time is a naive datetime: what a clock on the wall shows.  In a gap (clocks go forward) some civil times do
not exist, in an overlap (clocks go back) some occur twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from jobstore.timetable.limits import SECOND
from jobstore.timetable.policy import Dst
from jobstore.timetable.zones import Zone, offset_at

_DAY = timedelta(days=1)
_ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a zone's offset at ``instant``, from ``before`` to ``after``."""

    instant: datetime
    before: timedelta
    after: timedelta

    @property
    def civil_before(self) -> datetime:
        """What the wall clock would have shown at the change: a gap begins, an overlap ends here."""
        return self.instant.replace(tzinfo=None) + self.before

    @property
    def civil_after(self) -> datetime:
        """What the wall clock shows from the change on: a gap ends, an overlap begins here."""
        return self.instant.replace(tzinfo=None) + self.after


class Reading(NamedTuple):
    """What a civil time means in a zone.

    ``first`` and ``second`` are the instants at which the wall clock shows it: equal on ordinary days, different in an
    overlap, both None in a gap.  ``change`` is the change that makes it extraordinary.  A tuple, because one is made
    for every instant named, and a frozen dataclass takes three times as long.
    """

    first: datetime | None
    second: datetime | None
    change: Change | None


def read_civil(civil: datetime, zone: Zone) -> Reading:
    """Return what ``civil`` (naive, fold 0) means in ``zone``."""
    local = civil.replace(tzinfo=zone)
    before, after = local.utcoffset() or _ZERO, local.replace(fold=1).utcoffset() or _ZERO
    if before == after:
        instant = (civil - before).replace(tzinfo=UTC)
        return Reading(instant, instant, None)
    naive = civil.replace(tzinfo=UTC)
    early, late = sorted((naive - before, naive - after))
    change = _change(zone, early, late)
    if before > after:
        return Reading(early, late, change)
    return Reading(None, None, change)


def instants_of(civil: datetime, zone: Zone, dst: Dst) -> tuple[datetime, ...]:
    """Return the instants, none to two, that a fixed time means under a policy, in order."""
    first, second, change = read_civil(civil, zone)
    if first is None or second is None:
        return (change.instant,) if change is not None and dst.gap == "after" else ()
    if first == second:
        return (first,)
    return {"first": (first,), "second": (second,), "both": (first, second)}[dst.overlap]


def instant_of(civil: datetime, zone: Zone) -> datetime:
    """Return the one instant a fixed time means: just after a gap, the first pass of an overlap."""
    reading = read_civil(civil, zone)
    if reading.first is not None:
        return reading.first
    assert reading.change is not None  # noqa: S101 - a time without instants lies in a gap
    return reading.change.instant


def civil_of(instant: datetime, zone: Zone) -> tuple[datetime, Change | None, bool]:
    """Return the civil second shown at ``instant``, the overlap it lies in, and whether in its second pass."""
    local = instant.astimezone(zone)
    fold = local.fold
    civil = local.replace(tzinfo=None, fold=0, microsecond=0)
    if local.replace(fold=1 - fold).utcoffset() == local.utcoffset():
        return civil, None, False
    return civil, read_civil(civil, zone).change, bool(fold)


def stretches(zone: Zone, start: datetime, stop: datetime) -> Iterator[tuple[datetime, datetime, timedelta, timedelta]]:
    """Yield ``(start, stop, offset, offset before)`` for each stretch of ``[start, stop)`` with one offset."""
    before = offset_at(zone, start - SECOND)
    while start < stop:
        offset = offset_at(zone, start)
        probe, end = start, stop
        while probe < stop:
            # a day at a time: no zone changes its mind twice within one
            ahead = min(probe + _DAY, stop)
            if offset_at(zone, ahead) != offset:
                end = _change(zone, probe, ahead).instant
                break
            probe = ahead
        yield start, end, offset, before
        start, before = end, offset


def _change(zone: Zone, early: datetime, late: datetime) -> Change:
    """Return the change in ``(early, late]``, to the second, by bisection."""
    before = offset_at(zone, early)
    low, high = 0, max(1, -((early - late) // SECOND))
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(zone, early + middle * SECOND) == before:
            low = middle
        else:
            high = middle
    instant = early + high * SECOND
    return Change(instant.replace(microsecond=0), before, offset_at(zone, instant))
