"""Timetables as they are stored: a specification in which everything is explicit, with a version.

Strict: a document that this version did not write is not guessed at.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from jobstore.errors import InvalidTrigger, Unreadable
from jobstore.timetable.arithmetic import Every, Once
from jobstore.timetable.calendars import Calendar, Step, check_date
from jobstore.timetable.combine import AllOf, AnyOf, Within
from jobstore.timetable.cron import Cron
from jobstore.timetable.dialects import cron_pattern
from jobstore.timetable.durations import read_duration
from jobstore.timetable.moments import read_date, read_stored_instant
from jobstore.timetable.rule import Document, Rule
from jobstore.timetable.spec import CLOCK, UNITS, read_clock
from jobstore.timetable.zones import Zone, read_stored_zone

VERSION = 1
_DEEPEST = 4


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
    try:
        return _rule({key: value for key, value in document.items() if key != "v"}, 0)
    except (InvalidTrigger, ValueError, TypeError, KeyError) as fault:
        raise Unreadable(f"the stored timetable cannot be read: {fault}") from fault


def _rule(body: Mapping[str, object], depth: int) -> Rule:
    kind = next((kind for kind in _READERS if kind in body), None)
    if kind is None:
        raise ValueError("it names no kind")
    read, required, optional = _READERS[kind]
    keys = set(body)
    if not required <= keys or keys - required - optional:
        raise ValueError(f"its keys are {', '.join(sorted(map(str, keys)))}")
    return read(body, depth)


def _cron(body: Mapping[str, object], _depth: int) -> Rule:
    return _within(Cron(cron_pattern(body["cron"], body["dialect"]), _zone(body)), body)


def _every(body: Mapping[str, object], _depth: int) -> Rule:
    return Every(read_duration(body["every"]), read_stored_instant(body["start"]), _bound(body, "end"), _zone(body))


def _at(body: Mapping[str, object], _depth: int) -> Rule:
    return Once(read_stored_instant(body["at"]), _zone(body))


def _calendar(body: Mapping[str, object], _depth: int) -> Rule:
    parts = body["calendar"]
    if not isinstance(parts, Mapping) or set(parts) != {*UNITS, *(name for name, _ in CLOCK)}:
        raise ValueError("its calendar is incomplete")
    gap = body["gap"]
    if gap != "after" and gap != "skip":
        raise ValueError(f"gap is {gap!r:.40}")
    end = body.get("end_date")
    rule = Calendar(
        Step.of(*(parts[unit] for unit in UNITS)),
        read_clock(parts),
        check_date(read_date(_text(body["start_date"]))),
        None if end is None else check_date(read_date(_text(end))),
        _zone(body),
        "after" if gap == "after" else "skip",
    )
    return _within(rule, body)


def _combined(kind: str, make: Callable[[tuple[Rule, ...]], Rule]) -> Callable[[Mapping[str, object], int], Rule]:
    def read(body: Mapping[str, object], depth: int) -> Rule:
        parts = body[kind]
        if not isinstance(parts, list) or not parts or depth >= _DEEPEST:
            raise ValueError(f"{kind} holds no list of parts, or is too deep")
        return make(tuple(_rule(_mapping(part), depth + 1) for part in parts))

    return read


def _within(rule: Rule, body: Mapping[str, object]) -> Rule:
    return Within.of(rule, _bound(body, "start"), _bound(body, "end"))


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

_BOUNDS = frozenset({"start", "end"})
_READERS: dict[str, _Reader] = {
    "cron": (_cron, frozenset({"cron", "dialect", "timezone"}), _BOUNDS),
    "every": (_every, frozenset({"every", "start", "timezone"}), frozenset({"end"})),
    "at": (_at, frozenset({"at", "timezone"}), frozenset()),
    "calendar": (_calendar, frozenset({"calendar", "start_date", "timezone", "gap"}), _BOUNDS | {"end_date"}),
    "and": (_combined("and", AllOf), frozenset({"and"}), frozenset()),
    "or": (_combined("or", AnyOf), frozenset({"or"}), frozenset()),
}
