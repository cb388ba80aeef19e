"""What a claimed job owes now, by stock's own evaluation of its trigger."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobstore.clock import to_posix
from jobstore.errors import TriggerStuck


@dataclass(frozen=True, slots=True)
class Plan:
    """The run times that are due, oldest first, and the one that follows them; None when the trigger has ended."""

    run_times: tuple[datetime, ...]
    following: datetime | None

    def after(self, run_time: datetime) -> datetime | None:
        """Return the planned run time after ``run_time``."""
        later = (other for other in self.run_times if to_posix(other) > to_posix(run_time))
        return next(later, self.following)


def plan_runs(state: Mapping[str, Any], first: datetime, now: datetime, decided_through: float | None) -> Plan:
    """Return what the job of ``state`` owes from ``first`` up to ``now``.

    Run times up to ``decided_through`` are left out: they were begun before, and an API process that read the job
    earlier than that has written its old run time back.

    Raises:
        TriggerStuck: The trigger raised, or does not move forward, which would make stock's loop endless.
    """
    due: list[datetime] = []
    following: datetime | None = first
    limit = to_posix(now)
    while following is not None and to_posix(following) <= limit:
        due.append(following)
        following = following_of(state["trigger"], following, now)
    if decided_through is not None:
        due = [run_time for run_time in due if to_posix(run_time) > decided_through]
    return Plan(tuple(due), following)


def following_of(trigger: Any, run_time: datetime, now: datetime) -> datetime | None:
    """Return what a trigger names after ``run_time``, by its own code.

    Raises:
        TriggerStuck: It raised, or does not move forward.
    """
    try:
        following: datetime | None = trigger.get_next_fire_time(run_time, now)
    except Exception as error:  # a trigger class of the application may raise anything
        raise TriggerStuck(f"the trigger raised {type(error).__name__}: {error}"[:500]) from error
    # Compared as instants: on the night the clocks go back, 02:30 follows 02:30.
    if following is not None and to_posix(following) <= to_posix(run_time):
        raise TriggerStuck(f"the trigger names {following.isoformat()} after {run_time.isoformat()}")
    return following
