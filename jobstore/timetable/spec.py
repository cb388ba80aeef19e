"""Specifications as people write them, in YAML, JSON or Python: one key chooses the kind.

``{"cron": "0 9 * * MON-FRI"}``, ``{"every": "1m30s"}``, ``{"at": "2026-12-31T23:59"}``,
``{"calendar": {"months": 1, "hour": 2}}``; ``timezone``, ``start`` and ``end`` go with each.
"""

import difflib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import TypeVar

from jobstore.errors import InvalidTrigger
from jobstore.timetable.arithmetic import Every, Once
from jobstore.timetable.calendars import Calendar, Step, check_date
from jobstore.timetable.combine import Within
from jobstore.timetable.cron import Cron
from jobstore.timetable.dialects import DIALECTS, cron_pattern
from jobstore.timetable.durations import read_interval
from jobstore.timetable.limits import EARLIEST, Meter
from jobstore.timetable.moments import read_date, read_instant
from jobstore.timetable.rule import Rule
from jobstore.timetable.zones import Zone, read_zone

T = TypeVar("T")

UNITS = ("years", "months", "weeks", "days")
CLOCK = (("hour", 23), ("minute", 59), ("second", 59))

_COMMON = ("timezone", "start", "end")
_KEYS = {
    "cron": ("cron", "dialect", *_COMMON),
    "every": ("every", *_COMMON),
    "at": ("at", *_COMMON),
    "calendar": ("calendar", "start_date", "end_date", *_COMMON),
}
_FORMS = "cron: '*/5 * * * *', every: 5s, at: 2026-12-31T23:59, or calendar: {months: 1, hour: 2}"


def read_spec(spec: Mapping[str, object], zone: str, now: datetime) -> Rule:
    """Return the rule that ``spec`` means; ``zone`` is used where it names none, ``now`` anchors what has no start.

    Raises:
        InvalidTrigger: With everything that is wrong.
    """
    if not isinstance(spec, Mapping):
        raise InvalidTrigger(f"a trigger is a mapping such as {_FORMS}, not {spec!r:.60}")
    kinds = [kind for kind in _KEYS if kind in spec]
    if len(kinds) != 1:
        found = f"has {' and '.join(kinds)}: give only one" if kinds else f"needs one of {_FORMS}"
        raise InvalidTrigger(f"a trigger {found}", *_unknown(spec, sum(_KEYS.values(), ())))
    return _Reader(spec, kinds[0], zone, now).rule()


class _Reader:
    """Reads one specification and gathers its faults, so that people see all of them at once."""

    def __init__(self, spec: Mapping[str, object], kind: str, zone: str, now: datetime) -> None:
        self.spec = spec
        self.kind = kind
        self.now = now.astimezone(UTC).replace(microsecond=0)
        self.faults = _unknown(spec, _KEYS[kind])
        self.zone: Zone = self.attempt("timezone", _zone, spec.get("timezone") or zone) or UTC
        self.start = self.instant("start")
        self.end = self.instant("end", end_of_day=True)
        if self.start is not None and self.end is not None and self.end < self.start:
            self.faults.append("end lies before start")

    def rule(self) -> Rule:
        """Return the rule (raises InvalidTrigger)."""
        made = {"cron": self._cron, "every": self._every, "at": self._at, "calendar": self._calendar}[self.kind]()
        if made is None or self.faults:
            raise InvalidTrigger(*self.faults)
        if made.after(EARLIEST, Meter()) is None:
            raise InvalidTrigger(f"the trigger never fires: {made.words()}")
        return made

    def attempt(self, key: str, read: Callable[..., T], *given: object) -> T | None:
        """Return what ``read`` returns; None, and a fault, when it refuses."""
        try:
            return read(*given)
        except InvalidTrigger as fault:
            self.faults.extend(f"{key}: {each}" for each in fault.faults)
        except ValueError as fault:
            self.faults.append(f"{key}: {fault}")
        return None

    def instant(self, key: str, *, end_of_day: bool = False) -> datetime | None:
        """Return the optional instant under ``key``."""
        value = self.spec.get(key)
        if value is None:
            return None
        return self.attempt(key, lambda: read_instant(value, self.zone, end_of_day=end_of_day))

    def _cron(self) -> Rule | None:
        dialect = self.spec.get("dialect") or "unix"
        if dialect not in DIALECTS:
            self.faults.append(f"dialect: {dialect!r:.40} is not known, use {', '.join(DIALECTS)}")
            return None
        pattern = self.attempt("cron", cron_pattern, self.spec["cron"], dialect)
        return None if pattern is None else Within.of(Cron(pattern, self.zone), self.start, self.end)

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
        self.faults += [f"calendar: {fault}" for fault in _unknown(parts, (*UNITS, *(name for name, _ in CLOCK)))]
        step = self.attempt("calendar", Step.of, *(parts.get(unit, 0) for unit in UNITS))
        clock = self.attempt("calendar", read_clock, parts)
        start = self._date("start_date") or self.now.astimezone(self.zone).date()
        end = self._date("end_date")
        if end is not None and end < start:
            self.faults.append("end_date lies before start_date")
        if step is None or clock is None:
            return None
        return Within.of(Calendar(step, clock, start, end, self.zone, "after"), self.start, self.end)

    def _date(self, key: str) -> date | None:
        value = self.spec.get(key)
        found = None if value is None else self.attempt(key, read_date, value)
        return None if found is None else self.attempt(key, check_date, found)


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
