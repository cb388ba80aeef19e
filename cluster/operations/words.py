"""Instants, lengths and reasons as people read them.  Pure."""

from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from jobstore.clock import from_posix
from jobstore.errors import Unreadable
from jobstore.firing import Firing
from jobstore.timetable.zones import read_stored_zone

_REASONS: Final[dict[str, str]] = {
    "overlap": "an earlier firing of the job still held its place (max_instances)",
    "misfire_grace": "it was later than the job's misfire_grace_s allows",
    "timetable_changed": "an edit of the timetable took the instant away",
    "paused": "the job was paused",
    "job_deleted": "the job was deleted before it began",
    "job_gone": "the job was gone before it began",
    "job_stopped": "the job was paused before it began",
    "tenant_halted": "it came due while the tenant was suspended",
    "tenant_stopped": "the tenant was stopped before it began",
    "cancel_asked": "it was cancelled by hand",
    "worker_gone": "its worker stopped giving signs of life",
    "worker_dropped_it": "its worker no longer knew of it",
    "worker_stopped": "its worker was stopped",
    "time_limit": "it ran into its time limit",
    "unknown_target": "the worker does not know the task or function",
    "raised": "it raised an error",
    "exited": "it ended the process it ran in",
    "retries_exhausted": "it asked for more attempts than there are",
    "result_omitted": "its result could not be kept",
    "ignored": "it asked to be left alone",
}
_WAITS: Final[dict[str, str]] = {
    "advance": "recorded; its job has not moved past it yet",
    "slot": "waits for a place (max_instances)",
    "retry": "waits for its next attempt",
    "window": "waits for a place in its pool",
    "live": "waits: the tenant has as many firings under way as it may (max_live)",
    "rate": "waits: the tenant may hand over no more at the moment (max_per_s)",
    "paused": "waits while the job is paused",
}


def instant(value: datetime | None) -> str | None:
    """Return an instant as RFC 3339 in UTC, milliseconds where there are any: the form in JSON."""
    if value is None:
        return None
    aware = value.astimezone(UTC)
    return aware.isoformat(timespec="milliseconds" if aware.microsecond else "seconds").replace("+00:00", "Z")


def posix(value: float | None) -> str | None:
    """Return POSIX seconds in the same form."""
    return None if value is None else instant(from_posix(value))


def local(value: datetime | None, zone: tzinfo = UTC) -> str:
    """Return an instant in local time with its zone: "2026-11-25 02:00:00 Europe/Paris"."""
    if value is None:
        return "-"
    there = value.astimezone(zone).replace(tzinfo=None)
    text = there.isoformat(sep=" ", timespec="milliseconds" if there.microsecond else "seconds")
    return f"{text} {zone.key if isinstance(zone, ZoneInfo) else zone.tzname(value)}"


def ago(value: datetime | None, now: datetime) -> str:
    """Return how far an instant lies from ``now``: "3 min ago", "in 2 h"."""
    if value is None:
        return "never"
    seconds = (now - value).total_seconds()
    text = length(abs(seconds))
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def length(seconds: float) -> str:
    """Return a length of time in its largest unit, roughly."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def zone_of(trigger: object) -> tzinfo:
    """Return the zone that a stored trigger is read in, UTC where it names none."""
    name = trigger.get("timezone") if isinstance(trigger, dict) else None
    try:
        return read_stored_zone(name) if isinstance(name, str) else UTC
    except ValueError as error:
        raise Unreadable(f"the stored trigger names an unknown zone: {error}") from error


def why(firing: Firing) -> str:
    """Return in one sentence what became of a firing, and why."""
    reason = _REASONS.get(firing.reason, firing.reason)
    because = f": {reason}" if reason else ""
    tries = f" at attempt {firing.attempt}" if firing.attempt > 1 else ""
    many = firing.covers.count
    range_ = (
        f"; it stands for {many if firing.covers.exact else f'at least {many}'} instants from "
        f"{posix(firing.covers.start)} through {posix(firing.covers.through)}"
        if many > 1
        else ""
    )
    if firing.state == "pending":
        return f"not begun yet: {_WAITS.get(firing.wait, firing.wait)}{tries}{range_}"
    if firing.state == "dispatched":
        return (
            f"handed to pool {firing.lane} by {firing.released_by} at {instant(firing.released_at)}{tries}, "
            f"and not begun yet{range_}"
        )
    if firing.state == "running":
        ending = "" if firing.cancel is None else f"; asked to end at {instant(firing.cancel.at)}"
        return f"running on {firing.worker} since {instant(firing.started_at)}{tries}{ending}{range_}"
    if firing.state == "succeeded":
        return f"succeeded on {firing.worker}{tries}{because}{range_}"
    return f"{firing.state}{tries}{because}{range_}"
