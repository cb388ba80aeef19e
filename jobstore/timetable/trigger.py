"""The unix cron dialect as an APScheduler trigger, for code that talks to APScheduler itself."""

from datetime import UTC, datetime, tzinfo
from typing import Any

from apscheduler.triggers.base import BaseTrigger

from jobstore.errors import InvalidTrigger
from jobstore.timetable.cron import Cron
from jobstore.timetable.dialects.unix import unix_pattern
from jobstore.timetable.limits import TICK, Meter
from jobstore.timetable.zones import read_zone, zone_of_stock


class UnixCronTrigger(BaseTrigger):  # type: ignore[misc]
    """Triggers as a unix crontab line says, which ``CronTrigger.from_crontab`` does not.

    Sunday is 0 or 7, day of month *or* day of week, ``L`` and ``#``, ``@daily``; a fixed time in a DST gap comes just
    after it, one in an overlap once.

    Args:
        expression: Five fields, six with seconds first, or an alias.
        timezone: A name of the tz database, or a tzinfo that has one.

    Raises:
        InvalidTrigger: The expression or the zone is refused.
    """

    __slots__ = ("_rule", "expression", "timezone")

    def __init__(self, expression: str, timezone: str | tzinfo = "UTC") -> None:
        self.__setstate__({"version": 1, "expression": expression, "timezone": timezone})

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return the next time after the previous one, or the first from ``now`` on, in the trigger's zone."""
        begin = now.astimezone(UTC) - TICK if previous_fire_time is None else previous_fire_time.astimezone(UTC)
        found = self._rule.after(begin, Meter())
        return None if found is None else found.astimezone(self.timezone)

    def __getstate__(self) -> dict[str, Any]:
        return {"version": 1, "expression": self.expression, "timezone": self.timezone}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["version"] != 1:
            raise ValueError(f"a UnixCronTrigger of version {state['version']} cannot be read, only version 1")
        pattern = unix_pattern(state["expression"])
        try:
            given = state["timezone"]
            zone = read_zone(given) if isinstance(given, str) else zone_of_stock(given)
        except ValueError as fault:
            raise InvalidTrigger(f"time zone: {fault}") from fault
        self.expression = str(pattern.expression)
        self.timezone = zone
        self._rule = Cron(pattern, zone)

    def __str__(self) -> str:
        return f"cron[{self.expression}]"

    def __repr__(self) -> str:
        return f"<UnixCronTrigger ({self.expression!r}, timezone='{self.timezone}')>"
