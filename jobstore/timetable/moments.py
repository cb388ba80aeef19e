"""Instants and dates as people and documents write them."""

import re
from datetime import UTC, date, datetime, time, timedelta

from jobstore.timetable.civil import instant_of
from jobstore.timetable.limits import EARLIEST, LATEST
from jobstore.timetable.zones import Zone, zone_text

_DATE_ONLY = re.compile(r"\d{4}-\d\d-\d\d")
_STORED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:\d{3})?Z")
_HOW = "write it as 2026-03-29T02:30:00, with Z or an offset such as +02:00 if it is not in the job's zone"
_MILLISECOND = 1_000


def read_instant(value: object, zone: Zone, *, end_of_day: bool = False) -> datetime:
    """Return the instant that a specification gives, in UTC, truncated to the millisecond.

    A text or datetime without offset is local time in ``zone``: in a DST gap it is the instant just after the gap, in
    an overlap the first of the two.  A bare date is the beginning of that day there, its last millisecond with
    ``end_of_day``.

    Raises:
        ValueError: It is no instant; the message says how to write one.
    """
    found, whole_day = _parsed(value)
    try:
        if whole_day and end_of_day:
            return instant_of(found + timedelta(days=1), zone) - timedelta(milliseconds=1)
        instant = instant_of(found, zone) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError as fault:
        raise ValueError(f"{value!s:.60} is beyond the calendar") from fault
    if not EARLIEST <= instant <= LATEST:
        raise ValueError(f"{value!s:.60} is beyond the calendar")
    return instant.replace(microsecond=instant.microsecond // _MILLISECOND * _MILLISECOND)


def read_civil_time(value: object, zone: Zone) -> datetime:
    """Return the local time (naive, whole seconds) that a specification gives; one with an offset is turned into it.

    Raises:
        ValueError: It is no instant or beyond the calendar; the message says how to write one.
    """
    found, _ = _parsed(value)
    try:
        civil = found if found.tzinfo is None else found.astimezone(zone)
    except OverflowError as fault:
        raise ValueError(f"{value!s:.60} is beyond the calendar") from fault
    if not 1900 <= civil.year < LATEST.year:
        raise ValueError(f"{value!s:.60} is beyond the calendar: years are from 1900 to {LATEST.year - 1}")
    return civil.replace(tzinfo=None, fold=0, microsecond=0)


def read_date(value: object) -> date:
    """Return the date that a specification gives (raises ValueError otherwise)."""
    if isinstance(value, datetime) or not isinstance(value, date | str):
        raise ValueError(f"{value!s:.60} is not a date: write it as 2026-01-31")
    if isinstance(value, date):
        return value
    if _DATE_ONLY.fullmatch(value) is None:
        raise ValueError(f"{value[:60]!r} is not a date: write it as 2026-01-31")
    try:
        return date.fromisoformat(value)
    except ValueError as fault:
        raise ValueError(f"{value!r} is not a date: {fault}") from fault


def instant_text(instant: datetime) -> str:
    """Return ``instant`` as it is stored: UTC, milliseconds, microseconds only where there are any."""
    precision = "microseconds" if instant.microsecond % _MILLISECOND else "milliseconds"
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def read_stored_instant(value: object) -> datetime:
    """Return what ``instant_text`` wrote (raises ValueError otherwise)."""
    if not isinstance(value, str) or _STORED.fullmatch(value) is None:
        raise ValueError(f"{value!s:.60} is not a stored instant")
    return datetime.fromisoformat(value)


def local_words(instant: datetime, zone: Zone) -> str:
    """Return ``instant`` in local time, as people read it: "2026-03-29 02:30, Europe/Berlin"."""
    local = instant.astimezone(zone).replace(tzinfo=None)
    precision = "minutes" if not (local.second or local.microsecond) else "auto"
    return f"{local.isoformat(sep=' ', timespec=precision)}, {zone_text(zone)}"


def _parsed(value: object) -> tuple[datetime, bool]:
    if isinstance(value, datetime):
        return value, False
    if isinstance(value, date):
        return datetime.combine(value, time()), True
    if not isinstance(value, str):
        raise ValueError(f"{value!s:.60} is not an instant: {_HOW}")
    try:
        return datetime.fromisoformat(value.strip()), _DATE_ONLY.fullmatch(value.strip()) is not None
    except ValueError as fault:
        raise ValueError(f"{value[:60]!r} is not an instant: {_HOW}") from fault
