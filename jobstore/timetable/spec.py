"""Specifications as people write them, in YAML, JSON or Python: one key chooses the kind.

``{"cron": "0 9 * * MON-FRI"}``, ``{"every": "1m30s"}``, ``{"at": "2026-12-31T23:59"}``,
``{"calendar": {"months": 1, "hour": 2}}``, ``{"rrule": "FREQ=MONTHLY;BYDAY=-1FR"}``, ``{"solar": "sunset", ...}``,
``{"any": [spec, spec]}``; ``timezone``, ``start``, ``end``, ``except``, ``shift`` and ``max_firings`` go with each.
"""

import difflib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import TypeVar

from jobstore.errors import InvalidTrigger, TriggerStuck
from jobstore.timetable.arithmetic import Every, Once
from jobstore.timetable.calendars import Calendar, check_date
from jobstore.timetable.closed import Calendars, read_closed, read_shift
from jobstore.timetable.combine import AllOf, AnyOf
from jobstore.timetable.compose import Around, check_max_firings
from jobstore.timetable.cron import Cron
from jobstore.timetable.dialects import DIALECTS, cron_pattern
from jobstore.timetable.durations import read_interval, read_offset
from jobstore.timetable.limits import EARLIEST, SECOND, Meter
from jobstore.timetable.moments import read_civil_time, read_date, read_instant
from jobstore.timetable.policy import DEFAULT_DST, read_dst
from jobstore.timetable.recurrence import read_recurrence, read_until
from jobstore.timetable.rrule import RulePattern
from jobstore.timetable.rule import Rule
from jobstore.timetable.solar import Solar
from jobstore.timetable.step import UNITS, Step
from jobstore.timetable.zones import Zone, read_zone

T = TypeVar("T")

CLOCK = (("hour", 23), ("minute", 59), ("second", 59))
DEEPEST, MOST_PARTS = 4, 16

_COMMON = ("timezone", "start", "end", "except", "shift", "max_firings")
_KINDS: dict[str, tuple[str, ...]] = {
    "cron": ("dialect", "dst"),
    "every": (),
    "at": (),
    "calendar": ("start_date", "end_date", "dst"),
    "rrule": ("dst",),
    "solar": ("latitude", "longitude", "offset"),
    "any": (),
    "all": (),
    # as stored
    "or": (),
    "and": (),
}
KEYS = tuple(dict.fromkeys([*_KINDS, *(key for keys in _KINDS.values() for key in keys), *_COMMON]))
"""Every key that a specification may have."""

PHASES = (("every", "start"), ("calendar", "start_date"), ("rrule", "start"), ("cron", "start"), ("solar", "start"))
"""What a specification may leave out and the stored form names, because it was counted from the present."""

_FORMS = "cron: '*/5 * * * *', every: 5s, at: 2026-12-31T23:59, or calendar: {months: 1, hour: 2}"
_SHIFTED_WEEK = 2_000


def read_spec(
    spec: Mapping[str, object], zone: str, now: datetime, calendars: Calendars | None = None, depth: int = 0
) -> Rule:
    """Return the rule that ``spec`` means; ``zone`` is used where it names none, ``now`` anchors what has no start.

    Raises:
        InvalidTrigger: With everything that is wrong.
    """
    if not isinstance(spec, Mapping):
        raise InvalidTrigger(f"a trigger is a mapping such as {_FORMS}, not {spec!r:.60}")
    kinds = [kind for kind in _KINDS if kind in spec]
    if len(kinds) != 1:
        found = f"has {' and '.join(kinds)}: give only one" if kinds else f"needs one of {_FORMS}"
        raise InvalidTrigger(f"a trigger {found}", *_unknown(spec, KEYS))
    return _Reader(spec, kinds[0], zone, now, calendars or {}, depth).rule()


class _Reader:
    """Reads one specification and gathers its faults, so that people see all of them at once."""

    def __init__(
        self, spec: Mapping[str, object], kind: str, zone: str, now: datetime, calendars: Calendars, depth: int
    ) -> None:
        self.spec, self.kind, self.calendars, self.depth = spec, kind, calendars, depth
        self.now = now.astimezone(UTC).replace(microsecond=0)
        self.faults = _unknown(spec, (kind, *_KINDS[kind], *_COMMON))
        self.zone_name = spec.get("timezone") or zone
        self.zone: Zone = self.attempt("timezone", _zone, self.zone_name) or UTC
        self.start = self.instant("start")
        self.end = self.instant("end", end_of_day=True)
        if self.start is not None and self.end is not None and self.end < self.start:
            self.faults.append("end lies before start")
        self.dst = self.optional("dst", read_dst) or DEFAULT_DST
        self.shift = self.optional("shift", lambda value: read_shift(value, calendars))
        self.closed = self.optional("except", lambda value: read_closed(value, calendars)) or ()
        self.max_firings = self.optional("max_firings", check_max_firings)
        if self.max_firings is not None and self.start is None and kind in ("cron", "solar", "any", "all", "or", "and"):
            # the first of so many must be some instant
            self.start = self.now

    def rule(self) -> Rule:
        """Return the rule (raises InvalidTrigger)."""
        makers = {
            "cron": self._cron,
            "every": self._every,
            "at": self._at,
            "calendar": self._calendar,
            "rrule": self._rrule,
            "solar": self._solar,
        }
        made = makers.get(self.kind, self._combined)()
        if made is None or self.faults:
            raise InvalidTrigger(*self.faults)
        start = None if self.kind == "rrule" else self.start
        around = Around(self.zone, start, self.end, self.dst, self.shift, self.closed, self.max_firings)
        whole = around.compose(made)
        self._check(whole)
        return whole

    def attempt(self, key: str, read: Callable[..., T], *given: object) -> T | None:
        """Return what ``read`` returns; None, and a fault, when it refuses."""
        try:
            return read(*given)
        except InvalidTrigger as fault:
            self.faults.extend(f"{key}: {each}" for each in fault.faults)
        except ValueError as fault:
            self.faults.append(f"{key}: {fault}")
        return None

    def optional(self, key: str, read: Callable[[object], T]) -> T | None:
        """Return what ``read`` makes of an entry, None when there is none."""
        value = self.spec.get(key)
        return None if value is None else self.attempt(key, read, value)

    def instant(self, key: str, *, end_of_day: bool = False) -> datetime | None:
        """Return the optional instant under ``key``."""
        return self.optional(key, lambda value: read_instant(value, self.zone, end_of_day=end_of_day))

    def _check(self, whole: Rule) -> None:
        base = whole.unfiltered()
        fires = bool(self.closed) and not _never(whole, self.now)
        if self.closed and not fires and not _never(base, self.now):
            raise InvalidTrigger(f"everything that is to come is kept out: {whole.words()}")
        if not fires and _never(whole, EARLIEST):
            raise InvalidTrigger(f"the trigger never fires: {whole.words()}")
        if self.shift is not None:
            count, exact = base.count(self.now, self.now + 7 * 86_400 * SECOND, Meter())
            if count > _SHIFTED_WEEK or not exact:
                raise InvalidTrigger("shift is for what fires a few times a day")

    def _cron(self) -> Rule | None:
        dialect = self.spec.get("dialect") or "unix"
        if dialect not in DIALECTS:
            self.faults.append(f"dialect: {dialect!r:.40} is not known, use {', '.join(DIALECTS)}")
            return None
        pattern = self.attempt("cron", cron_pattern, self.spec["cron"], dialect)
        return None if pattern is None else Cron(pattern, self.zone, self.dst)

    def _every(self) -> Rule | None:
        every = self.attempt("every", read_interval, self.spec["every"])
        anchor = self.now if self.start is None else self.start
        if self.end is not None:
            # a file that is applied again after its end has passed must not become a fault
            anchor = min(anchor, self.end)
        return None if every is None else Every(every, anchor, self.end, self.zone)

    def _at(self) -> Rule | None:
        at = self.attempt("at", read_instant, self.spec["at"], self.zone)
        if at is None:
            return None
        if (self.start is not None and at < self.start) or (self.end is not None and at > self.end):
            self.faults.append("at lies outside start and end, so it never fires")
        return Once(at, self.zone)

    def _calendar(self) -> Rule | None:
        parts = self.spec["calendar"]
        if not isinstance(parts, Mapping):
            self.faults.append("calendar: give a mapping such as {months: 1, hour: 2}")
            return None
        known = (*UNITS, *(name for name, _ in CLOCK), "clamp")
        self.faults += [f"calendar: {fault}" for fault in _unknown(parts, known)]
        step = self.attempt("calendar", Step.of, *(parts.get(unit, 0) for unit in UNITS))
        clock = self.attempt("calendar", read_clock, parts)
        clamp = parts.get("clamp", False)
        if not isinstance(clamp, bool):
            self.faults.append(f"calendar: clamp is true or false, not {clamp!r:.40}")
        start = self._date("start_date") or self.now.astimezone(self.zone).date()
        end = self._date("end_date")
        if end is not None and end < start:
            self.faults.append("end_date lies before start_date")
        if step is None or clock is None:
            return None
        return Calendar(step, clock, start, end, self.zone, self.dst, bool(clamp))

    def _rrule(self) -> Rule | None:
        read = self.attempt("rrule", read_recurrence, self.spec["rrule"])
        given = self.spec.get("start")
        start = self.attempt("start", read_civil_time, self.now if given is None else given, self.zone)
        if read is None or start is None:
            return None
        rule, until = read
        if until is not None:
            end = self.attempt("rrule", lambda: read_instant(read_until(until), self.zone, end_of_day=True))
            self.end = end if self.end is None or end is None else min(self.end, end)
        pattern = self.attempt("rrule", RulePattern.of, rule.from_start(start.date()), start)
        return None if pattern is None else Cron(pattern, self.zone, self.dst)

    def _solar(self) -> Rule | None:
        offset = self.optional("offset", read_offset)
        place = (self.spec.get("latitude"), self.spec.get("longitude"))
        return self.attempt("solar", Solar.of, self.spec["solar"], *place, offset or 0 * SECOND, self.zone)

    def _combined(self) -> Rule | None:
        parts = self.spec[self.kind]
        if not isinstance(parts, list | tuple) or not 1 <= len(parts) <= MOST_PARTS or self.depth >= DEEPEST:
            self.faults.append(f"{self.kind}: give a list of 1 to {MOST_PARTS} triggers, at most {DEEPEST} deep")
            return None
        read = [
            self.attempt(
                f"{self.kind}[{index}]", read_spec, part, self.zone_name, self.now, self.calendars, self.depth + 1
            )
            for index, part in enumerate(parts)
        ]
        rules = tuple(part for part in read if part is not None)
        return AnyOf(rules) if self.kind in ("any", "or") else AllOf(rules)

    def _date(self, key: str) -> date | None:
        found = self.optional(key, read_date)
        return None if found is None else self.attempt(key, check_date, found)


def _never(rule: Rule, instant: datetime) -> bool:
    try:
        return rule.after(instant, Meter()) is None
    except TriggerStuck:
        return True


def read_clock(parts: Mapping[str, object]) -> time:
    """Return the time of day under hour, minute and second (raises ValueError)."""
    found = []
    for name, high in CLOCK:
        value = parts.get(name, 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= high:
            raise ValueError(f"{name} is a whole number from 0 to {high}, not {value!r:.40}")
        found.append(value)
    hour, minute, second = found
    return time(hour, minute, second)


def _zone(name: object) -> Zone:
    if not isinstance(name, str):
        raise ValueError(f"write a name such as Europe/Berlin or UTC, not {name!r:.40}")
    return read_zone(name)


def _unknown(spec: Mapping[str, object], allowed: tuple[str, ...]) -> list[str]:
    faults = []
    for key in spec:
        if key not in allowed:
            near = difflib.get_close_matches(str(key)[:60], allowed, n=1)
            hint = f"did you mean {near[0]}?" if near else f"allowed are {', '.join(dict.fromkeys(allowed))}"
            faults.append(f"{str(key)[:60]!r} is not a key here: {hint}")
    return faults
