"""Time zones by name.  Only keys of the tz database; never a path, never the machine's own zone."""

import difflib
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

Zone = ZoneInfo | timezone

_FIXED = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d))?")
_ASIDE = frozenset({"Factory", "localtime", "posixrules"})


@lru_cache(maxsize=1024)
def read_zone(name: str) -> Zone:
    """Return the zone with this tz database key.

    Raises:
        ValueError: There is none; the message suggests the nearest.
    """
    if name == "UTC":
        return UTC
    known = _known()
    if name in known:
        return ZoneInfo(name)
    by_fold = {key.casefold(): key for key in sorted(known)}
    near = difflib.get_close_matches(name.casefold()[:60], by_fold, n=1, cutoff=0.6)
    if not near:
        # people write the city alone
        near = [fold for fold in by_fold if fold.rpartition("/")[2] == name.casefold().replace(" ", "_")][:1]
    hint = f"; did you mean {by_fold[near[0]]}?" if near else "; use a name such as Europe/Berlin or UTC"
    raise ValueError(f"there is no time zone {name[:60]!r}{hint}")


@lru_cache(maxsize=1024)
def read_stored_zone(name: str) -> Zone:
    """Return the zone that ``zone_text`` named: a key, or a fixed offset such as ``+05:30`` (raises ValueError)."""
    match = _FIXED.fullmatch(name)
    if match is None:
        return read_zone(name)
    sign, hours, minutes, seconds = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds or 0))
    return timezone(-offset if sign == "-" else offset)


def zone_text(zone: Zone) -> str:
    """Return the name of ``zone`` as it is stored."""
    if isinstance(zone, ZoneInfo):
        return zone.key
    offset = zone.utcoffset(None)
    if not offset:
        return "UTC"
    hours, rest = divmod(abs(offset) // timedelta(seconds=1), 3600)
    minutes, seconds = divmod(rest, 60)
    tail = f":{seconds:02d}" if seconds else ""
    return f"{'-' if offset < timedelta(0) else '+'}{hours:02d}:{minutes:02d}{tail}"


def zone_of_stock(zone: tzinfo) -> Zone:
    """Return the zone of a stock trigger: a ZoneInfo, pytz's zones by their names, or a fixed offset.

    Raises:
        ValueError: It is of another class, or the tz database does not know it.
    """
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if isinstance(name, str):
        return read_zone(name)
    if isinstance(zone, timezone) or type(zone).__module__.partition(".")[0] == "pytz":
        offset = zone.utcoffset(None)
        if offset is not None:
            return read_stored_zone(zone_text(timezone(offset)))
    raise ValueError(f"a trigger's zone must be a name of the tz database or a fixed offset, not {zone!r}")


def offset_at(zone: Zone, instant: datetime) -> timedelta:
    """Return local time minus UTC at ``instant``."""
    found = instant.astimezone(zone).utcoffset()
    return found if found is not None else timedelta(0)


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    # walking the tz database takes milliseconds and touches the disk: once a process
    return frozenset(available_timezones()) - _ASIDE
