"""Timetables as they are stored: a specification in which everything is explicit, with a version.

Strict: a document that this version did not write is not guessed at.  What version 1 means by a key that is missing
never changes; a policy is written only where it is not the default.
"""

from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime

from jobstore.errors import InvalidTrigger, Unreadable
from jobstore.timetable.arithmetic import Every, Once
from jobstore.timetable.calendars import Calendar, check_date
from jobstore.timetable.closed import read_closed, read_shift
from jobstore.timetable.combine import AllOf, AnyOf
from jobstore.timetable.compose import Around, check_max_firings
from jobstore.timetable.cron import Cron
from jobstore.timetable.dialects import cron_pattern
from jobstore.timetable.durations import read_duration, read_offset
from jobstore.timetable.limits import SECOND
from jobstore.timetable.moments import read_civil_time, read_date, read_stored_instant
from jobstore.timetable.policy import DEFAULT_DST, Dst, read_dst
from jobstore.timetable.recurrence import read_recurrence
from jobstore.timetable.rrule import RulePattern
from jobstore.timetable.rule import Document, Rule
from jobstore.timetable.solar import Solar
from jobstore.timetable.spec import CLOCK, DEEPEST, read_clock
from jobstore.timetable.step import UNITS, Step
from jobstore.timetable.zones import Zone, read_stored_zone

VERSION = 1

# Rules are immutable, and a job is read much oftener than it changes; a rule also remembers what it has found.
_REMEMBERED = 2_000
_read: dict[Hashable, Rule] = {}


def stored(rule: Rule) -> Document:
    """Return the document of ``rule``; equal rules give equal documents."""
    return {"v": VERSION, **rule.document()}


def read_stored(document: Mapping[str, object]) -> Rule:
    """Return the rule that ``stored`` wrote.

    Raises:
        Unreadable: It is of another version, damaged, or would be refused if it were written today.
    """
    if not isinstance(document, Mapping):
        raise Unreadable(f"a timetable is stored as a document, not as {document!r:.60}")
    version = document.get("v")
    if version != VERSION or isinstance(version, bool):
        raise Unreadable(f"this timetable is of version {version!r:.20}; this process reads version {VERSION}")
    body = {key: value for key, value in document.items() if key != "v"}
    key = _key(body)
    found = _read.get(key)
    if found is not None:
        return found
    try:
        found = _rule(body, 0)
    except (InvalidTrigger, ValueError, TypeError, KeyError, OverflowError) as fault:
        raise Unreadable(f"the stored timetable cannot be read: {fault}") from fault
    if len(_read) >= _REMEMBERED:
        _read.clear()
    _read[key] = found
    return found


def _key(value: object) -> Hashable:
    """Return a document as something that can be looked up; 1 and True and 1.0 are three values."""
    if isinstance(value, Mapping):
        return ("mapping", *((str(key), _key(value[key])) for key in sorted(value, key=str)))
    if isinstance(value, list):
        return tuple(_key(each) for each in value)
    return f"{type(value).__name__}:{value}"


def _rule(body: Mapping[str, object], depth: int) -> Rule:
    kind = next((kind for kind in _READERS if kind in body), None)
    if kind is None:
        raise ValueError("it names no kind")
    read, required, optional = _READERS[kind]
    keys = set(body)
    if not required <= keys or keys - required - optional - _AROUND:
        raise ValueError(f"its keys are {', '.join(sorted(map(str, keys)))}")
    around = Around(
        _zone(body) if "timezone" in body else UTC,
        _bound(body, "start") if kind != "rrule" else None,
        _bound(body, "end"),
        _dst(body),
        read_shift(body["shift"], {}) if "shift" in body else None,
        read_closed(body["except"], {}) if "except" in body else (),
        check_max_firings(body["max_firings"]) if "max_firings" in body else None,
    )
    return around.compose(read(body, depth))


def _cron(body: Mapping[str, object], _depth: int) -> Rule:
    return Cron(cron_pattern(body["cron"], body["dialect"]), _zone(body), _dst(body))


def _every(body: Mapping[str, object], _depth: int) -> Rule:
    return Every(read_duration(body["every"]), read_stored_instant(body["start"]), _bound(body, "end"), _zone(body))


def _at(body: Mapping[str, object], _depth: int) -> Rule:
    return Once(read_stored_instant(body["at"]), _zone(body))


def _calendar(body: Mapping[str, object], _depth: int) -> Rule:
    parts = body["calendar"]
    if not isinstance(parts, Mapping) or set(parts) - {"clamp"} != {*UNITS, *(name for name, _ in CLOCK)}:
        raise ValueError("its calendar is incomplete")
    clamp = parts.get("clamp", False)
    if not isinstance(clamp, bool):
        raise ValueError(f"clamp is {clamp!r:.40}")
    end = body.get("end_date")
    return Calendar(
        Step.of(*(parts[unit] for unit in UNITS)),
        read_clock(parts),
        check_date(read_date(_text(body["start_date"]))),
        None if end is None else check_date(read_date(_text(end))),
        _zone(body),
        _dst(body),
        clamp,
    )


def _rrule(body: Mapping[str, object], _depth: int) -> Rule:
    zone = _zone(body)
    rule, until = read_recurrence(body["rrule"])
    if until is not None:
        raise ValueError("an UNTIL is stored as end")
    start = read_civil_time(_text(body["start"]), zone)
    return Cron(RulePattern.of(rule.from_start(start.date()), start), zone, _dst(body))


def _solar(body: Mapping[str, object], _depth: int) -> Rule:
    offset = read_offset(body["offset"]) if "offset" in body else 0 * SECOND
    return Solar.of(body["solar"], body["latitude"], body["longitude"], offset, _zone(body))


def _combined(kind: str, make: Callable[[tuple[Rule, ...]], Rule]) -> Callable[[Mapping[str, object], int], Rule]:
    def read(body: Mapping[str, object], depth: int) -> Rule:
        parts = body[kind]
        if not isinstance(parts, list) or not parts or depth >= DEEPEST + 1:
            raise ValueError(f"{kind} holds no list of parts, or is too deep")
        return make(tuple(_rule(_mapping(part), depth + 1) for part in parts))

    return read


def _dst(body: Mapping[str, object]) -> Dst:
    if "gap" in body:
        # calendars before policies had a key of their own
        return read_dst({"gap": body["gap"]})
    return read_dst(body["dst"]) if "dst" in body else DEFAULT_DST


def _bound(body: Mapping[str, object], key: str) -> datetime | None:
    return read_stored_instant(body[key]) if key in body else None


def _zone(body: Mapping[str, object]) -> Zone:
    return read_stored_zone(_text(body["timezone"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a text, found {value!r:.40}")
    return value


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a document, found {value!r:.40}")
    return value


_Reader = tuple[Callable[[Mapping[str, object], int], Rule], frozenset[str], frozenset[str]]

_AROUND = frozenset({"start", "end", "except", "shift", "max_firings"})
_READERS: dict[str, _Reader] = {
    "cron": (_cron, frozenset({"cron", "dialect", "timezone"}), frozenset({"dst"})),
    "every": (_every, frozenset({"every", "start", "timezone"}), frozenset()),
    "at": (_at, frozenset({"at", "timezone"}), frozenset()),
    "calendar": (
        _calendar,
        frozenset({"calendar", "start_date", "timezone"}),
        frozenset({"end_date", "dst", "gap"}),
    ),
    "rrule": (_rrule, frozenset({"rrule", "start", "timezone"}), frozenset({"dst"})),
    "solar": (_solar, frozenset({"solar", "latitude", "longitude", "timezone"}), frozenset({"offset"})),
    "and": (_combined("and", AllOf), frozenset({"and"}), frozenset({"timezone"})),
    "or": (_combined("or", AnyOf), frozenset({"or"}), frozenset({"timezone"})),
}
