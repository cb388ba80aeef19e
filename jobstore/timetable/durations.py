"""Lengths of time as people write them: ``5s``, ``1m30s``, ``2h``, or a number of seconds."""

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation

from jobstore.timetable.limits import LONGEST_INTERVAL, SHORTEST_INTERVAL

_MICROS = {"w": 604_800_000_000, "d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000}
_WORDS = (
    ("day", _MICROS["d"]),
    ("hour", _MICROS["h"]),
    ("minute", _MICROS["m"]),
    ("second", _MICROS["s"]),
    ("millisecond", _MICROS["ms"]),
    ("microsecond", 1),
)
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)(ms|[wdhms])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_HOW = "write a length such as 500ms, 5s, 1m30s, 2h, 1d or 1w, or a number of seconds"


def read_interval(value: object) -> timedelta:
    """Return the interval that a specification gives.

    Between one millisecond and 36,525 days (a hundred years), in whole milliseconds: instants are stored as such.

    Raises:
        ValueError: It is no length, or out of bounds; the message says what is allowed.
    """
    micros = _micros(value)
    if micros <= 0:
        raise ValueError(f"an interval must be longer than nothing, not {_shown(value)}")
    if micros % 1_000:
        raise ValueError(f"an interval is a whole number of milliseconds, and {_shown(value)} is not")
    if micros > LONGEST_INTERVAL // timedelta(microseconds=1):
        raise ValueError(f"{_shown(value)} is too long: an interval is at most {LONGEST_INTERVAL.days} days")
    return check_interval(timedelta(microseconds=int(micros)))


def check_interval(interval: timedelta) -> timedelta:
    """Return ``interval`` if it is within the bounds, to the microsecond.

    Raises:
        ValueError: It is negative, zero, too short or too long.
    """
    if interval < SHORTEST_INTERVAL:
        raise ValueError(f"an interval is at least 1 ms, not {interval / timedelta(seconds=1):g} s")
    if interval > LONGEST_INTERVAL:
        raise ValueError(f"an interval is at most {LONGEST_INTERVAL.days} days, not {interval.days}")
    return interval


def duration_text(length: timedelta) -> str:
    """Return ``length`` as ``read_duration`` takes it, in the largest units: ``1h30m``, ``0.25ms``."""
    rest = length // timedelta(microseconds=1)
    text = ""
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _MICROS[unit])
        text += f"{count}{unit}" if count else ""
    if rest:
        text += f"{Decimal(rest) / 1000}ms"
    return text


def read_duration(text: object) -> timedelta:
    """Return what ``duration_text`` wrote, to the microsecond (raises ValueError otherwise)."""
    micros = _micros(text)
    if not isinstance(text, str) or micros != int(micros):
        raise ValueError(f"{_shown(text)} is not a stored length")
    return check_interval(timedelta(microseconds=int(micros)))


def read_offset(value: object) -> timedelta:
    """Return a distance either way of at most twelve hours, such as ``-30m`` (raises ValueError otherwise)."""
    if isinstance(value, str) and value.strip().startswith("-"):
        return -read_offset(value.strip()[1:])
    found = timedelta(0) if value in (0, "0", "0s") and not isinstance(value, bool) else read_interval(value)
    if found > timedelta(hours=12):
        raise ValueError(f"an offset is at most 12 hours, not {_shown(value)}")
    return found


def duration_words(length: timedelta) -> str:
    """Return ``length`` in words: "second", "5 seconds", "1 minute 30 seconds"."""
    rest = length // timedelta(microseconds=1)
    parts = []
    for name, size in _WORDS:
        count, rest = divmod(rest, size)
        if count:
            parts.append((count, name))
    if len(parts) == 1 and parts[0][0] == 1:
        return parts[0][1]
    return " ".join(f"{count} {name}{'s' if count != 1 else ''}" for count, name in parts)


def _micros(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | timedelta):
        raise ValueError(f"{_shown(value)} is not a length of time: {_HOW}")
    if isinstance(value, timedelta):
        return Decimal(value // timedelta(microseconds=1))
    if isinstance(value, str):
        return _text_micros(value)
    try:
        seconds = Decimal(repr(value))
    except InvalidOperation as fault:  # pragma: no cover - repr of a number is a number
        raise ValueError(f"{_shown(value)} is not a length of time: {_HOW}") from fault
    if not seconds.is_finite():
        raise ValueError(f"{_shown(value)} is not a length of time: {_HOW}")
    if abs(seconds) > 10**12:
        raise ValueError(f"{_shown(value)} seconds is too long: an interval is at most {LONGEST_INTERVAL.days} days")
    return seconds * 1_000_000


def _text_micros(value: str) -> Decimal:
    text = value.strip().lower().replace(" ", "") if len(value) <= 60 else ""
    if _WHOLE.fullmatch(text) is None:
        months = "; for months and years use `calendar`" if re.search(r"mo|y", text) else ""
        raise ValueError(f"{_shown(value)} is not a length of time: {_HOW}{months}")
    parts = _PART.findall(text)
    units = [unit for _, unit in parts]
    if len(set(units)) != len(units):
        raise ValueError(f"{_shown(value)} names a unit twice: {_HOW}")
    return sum((Decimal(number) * _MICROS[unit] for number, unit in parts), Decimal(0))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
