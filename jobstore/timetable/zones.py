"""Time zones by name.  Only keys of the tz database; never a path, never the machine's own zone."""

import difflib
import re
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from importlib import import_module
from pathlib import Path
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


def use_pinned_tzdata() -> None:
    """Take zones from the installed tzdata wheel only, whatever the machine has: for composition roots, at the start.

    Zones that were read before keep their rules; this forgets the names, so that the next reading is fresh.
    """
    zoneinfo.reset_tzpath(())
    ZoneInfo.clear_cache()
    for cached in (read_zone, read_stored_zone, _known):
        cached.cache_clear()


def tz_version() -> str:
    """Return which tz database zones are read from: "2026a (tzdata wheel)", or the path of the machine's own."""
    for folder in zoneinfo.TZPATH:
        place = Path(folder)
        if (place / "UTC").is_file():
            return f"{_version_in(place) or 'unknown'} ({place})"
    try:
        found = import_module("tzdata").IANA_VERSION
    except ImportError:
        return "none"
    return f"{found} (tzdata wheel)"


def _version_in(place: Path) -> str | None:
    """Return the version that a zoneinfo folder says it has, as some systems write it."""
    for name in ("+VERSION", "tzdata.zi", "version"):
        file = place / name
        if file.is_file():
            with file.open(encoding="ascii", errors="replace") as lines:
                match = re.search(r"\b(\d{4}[a-z]{1,2})\b", lines.readline())
            if match is not None:
                return match[1]
    return None


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    # walking the tz database takes milliseconds and touches the disk: once a process
    return frozenset(available_timezones()) - _ASIDE
