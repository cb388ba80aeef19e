"""Instants and lengths as people give them to operations.  Pure."""

from datetime import datetime, timedelta

from jobstore.errors import InvalidInput
from jobstore.timetable.durations import read_interval
from jobstore.timetable.moments import read_instant
from jobstore.timetable.zones import read_zone


def read_length(text: str) -> timedelta:
    """Return a length such as ``90s`` or ``7d``; ``0`` is allowed (raises InvalidInput)."""
    if text.strip() in ("0", "0s"):
        return timedelta(0)
    try:
        return read_interval(int(text) if text.strip().isdecimal() and len(text) < 12 else text)
    except ValueError as error:
        raise InvalidInput(str(error)) from error


def read_when(text: str, now: datetime) -> datetime:
    """Return an instant: a length counts from ``now``, a time without offset is UTC (raises InvalidInput)."""
    try:
        return now + read_interval(text)
    except (OverflowError, ValueError):
        pass
    try:
        return read_instant(text, read_zone("UTC"))
    except ValueError as error:
        raise InvalidInput(f"{text!r:.60} is neither a length such as 2h nor an instant: {error}") from error
