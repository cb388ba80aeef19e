"""What a job owes, by the guarded timetable: no trigger of APScheduler can hang or flood whoever asks.

Instants are the timetable's (``jobstore.timetable``), not those of stock's classes: ``AndTrigger`` is solved instead of
searched for ever, an interval that does not move forward is refused, and an outage of a week costs no more than one of
a second.  A stock trigger's jitter becomes a spread that is a hash of job and instant, so that processes agree, and
stays below the next instant.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final, Protocol

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.date import DateTrigger

from jobstore.apscheduler.plan import Plan, following_of
from jobstore.clock import to_posix
from jobstore.timetable import Timetable, UnixCronTrigger

# Without ``coalesce`` a job runs for each instant that it missed, in pieces of this many.
MOST_RUN_TIMES: Final = 100
_MOST_STEPS: Final = 1000
_TICK: Final = timedelta(microseconds=1)


class Instants(Protocol):
    """The instants that a job's trigger names."""

    def first(self, now: datetime) -> datetime | None:
        """Return the first run time of a job that is added at ``now``."""
        ...

    def after(self, run_time: datetime, now: datetime) -> datetime | None:
        """Return the run time that follows ``run_time``."""
        ...

    def latest(self, first: datetime, now: datetime) -> tuple[datetime, datetime | None]:
        """Return the last run time from ``first`` up to ``now``, and the one that follows it."""
        ...


def instants_of(trigger: BaseTrigger, job_id: str, zone: tzinfo) -> Instants:
    """Return the instants of a trigger; ``zone`` is the one that run times are shown in where it has none itself.

    Raises:
        InvalidTrigger: It is damaged, does not move forward, or demands that a trigger of the application's own class
            agrees with others, which nobody can bound.
    """
    if _is_foreign(trigger):
        return _Foreign(trigger)
    return _Guarded(Timetable.from_trigger(trigger), trigger, job_id, getattr(trigger, "timezone", None) or zone)


def plan_bounded(state: Mapping[str, Any], first: datetime, now: datetime, decided_through: float | None) -> Plan:
    """Return what the job of ``state`` owes from ``first`` up to ``now``, a bounded part of it at a time.

    Raises:
        InvalidTrigger: As ``instants_of``.
        TriggerStuck: The trigger named no instant within the bounds, or raised.
    """
    zone = first.tzinfo
    if zone is None:
        raise ValueError(f"{first!r} has no time zone; instants are aware")
    instants = instants_of(state["trigger"], str(state["id"]), zone)
    due: list[datetime] = []
    following: datetime | None = first
    if state["coalesce"]:
        last, following = instants.latest(first, now)
        due.append(last)
    else:
        while following is not None and following <= now and len(due) < MOST_RUN_TIMES:
            due.append(following)
            following = instants.after(following, now)
    if decided_through is not None:
        due = [run_time for run_time in due if to_posix(run_time) > decided_through]
    return Plan(tuple(due), following)


@dataclass(frozen=True, slots=True)
class _Guarded:
    timetable: Timetable
    trigger: BaseTrigger
    job_id: str
    zone: tzinfo

    def first(self, now: datetime) -> datetime | None:
        if type(self.trigger) is DateTrigger:  # stock runs a date that has passed, at once
            run_date: datetime = self.trigger.run_date
            return run_date
        return self._shown(self.timetable.first(now))

    def after(self, run_time: datetime, now: datetime) -> datetime | None:
        del now  # the timetable goes by what it has named, never by the present
        # A spread run time lies before the next instant, so this is the next one however it was spread.
        return self._shown(self.timetable.after(run_time))

    def latest(self, first: datetime, now: datetime) -> tuple[datetime, datetime | None]:
        span = self.timetable.span(first, now)
        last = self._run_time(first, span.through)
        if last <= now:
            return last, self._shown(span.following)
        # The spread puts the last instant into the future: the one before it is the last that is due.
        earlier = self.timetable.span(first, span.through - _TICK)
        return self._run_time(first, earlier.through), last

    def _run_time(self, first: datetime, nominal: datetime) -> datetime:
        shown = self._shown(nominal)
        return first if nominal <= first or shown is None else shown

    def _shown(self, nominal: datetime | None) -> datetime | None:
        if nominal is None:
            return None
        return (nominal + self._spread(nominal)).astimezone(self.zone)

    def _spread(self, nominal: datetime) -> timedelta:
        jitter = getattr(self.trigger, "jitter", None)
        if not isinstance(jitter, int | float) or jitter <= 0:
            return timedelta(0)
        following = self.timetable.after(nominal)
        width = timedelta(seconds=min(jitter, 86_400))
        if following is not None:
            width = min(width, following - nominal - _TICK)
        text = f"{len(self.job_id)}:{self.job_id}|{round(to_posix(nominal) * 1_000_000)}"
        fraction = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / (1 << 48)
        return width * fraction


@dataclass(frozen=True, slots=True)
class _Foreign:
    """A trigger class of the application: asked as stock asks it, a bounded number of times."""

    trigger: BaseTrigger

    def first(self, now: datetime) -> datetime | None:
        found: datetime | None = self.trigger.get_next_fire_time(None, now)
        return found

    def after(self, run_time: datetime, now: datetime) -> datetime | None:
        return following_of(self.trigger, run_time, now)

    def latest(self, first: datetime, now: datetime) -> tuple[datetime, datetime | None]:
        last = first
        for _ in range(_MOST_STEPS):
            following = following_of(self.trigger, last, now)
            if following is None or following > now:
                return last, following
            last = following
        return last, following_of(self.trigger, last, now)  # the rest stays due: the next pass goes on from there


def _is_foreign(trigger: BaseTrigger) -> bool:
    """Return whether only the trigger itself knows what it means: its class is not one of APScheduler's, nor ours."""
    if type(trigger) is OrTrigger:
        return any(_is_foreign(part) for part in trigger.triggers)
    stock = type(trigger).__module__.startswith("apscheduler.triggers.")
    return not stock and type(trigger) is not UnixCronTrigger
