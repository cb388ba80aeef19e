"""The text of a recurrence rule (RFC 5545), read strictly: what it may say, and its one spelling."""

import re
from dataclasses import dataclass
from datetime import date, datetime

from jobstore.timetable.pattern import TimesOfDay

_LONGEST = 500
_MOST = 10_000
_UNITS = {"HOURLY": ("hour", 24), "MINUTELY": ("minute", 60), "SECONDLY": ("second", 60)}
_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", *_UNITS)
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
# name here, lowest, highest, whether counting from the end is allowed
_LISTS = {
    "BYMONTH": ("bymonth", 1, 12, False),
    "BYWEEKNO": ("byweekno", 1, 53, True),
    "BYYEARDAY": ("byyearday", 1, 366, True),
    "BYMONTHDAY": ("bymonthday", 1, 31, True),
    "BYHOUR": ("byhour", 0, 23, False),
    "BYMINUTE": ("byminute", 0, 59, False),
    "BYSECOND": ("bysecond", 0, 59, False),
    "BYSETPOS": ("bysetpos", 1, 366, True),
}
_KEYS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "WKST", *_LISTS)
_BY_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"\d{8}(T\d{6}Z?)?")
_NOT_WITH = {
    "BYWEEKNO": ("MONTHLY", "WEEKLY", "DAILY", *_UNITS),
    "BYYEARDAY": ("MONTHLY", "WEEKLY", "DAILY"),
    "BYMONTHDAY": ("WEEKLY",),
}


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule that was read; ``text`` is its one spelling, without UNTIL.  Lists are in order."""

    text: str
    frequency: str
    interval: int
    count: int | None
    week_start: str
    by: tuple[tuple[str, tuple[int, ...]], ...]
    by_day: tuple[tuple[int, str], ...]

    @property
    def below_a_day(self) -> bool:
        """Whether it is like an interval: hourly, or shorter."""
        return self.frequency in _UNITS

    @property
    def date_interval(self) -> int:
        """The interval between dates."""
        return 1 if self.below_a_day else self.interval

    @property
    def years_at_a_step(self) -> int:
        """How many years one step of dates takes, rounded up."""
        days = {"YEARLY": 365, "MONTHLY": 28, "WEEKLY": 7}.get(self.frequency, 1) * self.date_interval
        return -(-days // 365)

    def from_start(self, start: date) -> "Recurrence":
        """Return the rule with the date that its start gives it, where it names none itself."""
        named = {name for name, _ in self.by} & {"byweekno", "byyearday", "bymonthday"}
        if named or self.by_day or self.below_a_day or self.frequency == "DAILY":
            return self
        by, by_day = dict(self.by), self.by_day
        if self.frequency == "WEEKLY":
            by_day = ((0, WEEKDAYS[start.weekday()]),)
        else:
            by["bymonthday"] = (start.day,)
            if self.frequency == "YEARLY":
                by.setdefault("bymonth", (start.month,))
        return Recurrence(
            self.text, self.frequency, self.interval, self.count, self.week_start, tuple(by.items()), by_day
        )

    def times(self, start: datetime) -> TimesOfDay:
        """Return the times of day, which a start gives where the rule names none."""
        by = dict(self.by)
        found = []
        coarser = True
        for unit, size in (("hour", 24), ("minute", 60), ("second", 60)):
            given, begins = by.get(f"by{unit}"), getattr(start, unit)
            if self.below_a_day and _UNITS[self.frequency][0] == unit:
                values = [n for n in range(size) if (n - begins) % self.interval == 0 and (not given or n in given)]
                coarser = False
            elif given:
                values = list(given)
            else:
                values = list(range(size)) if self.below_a_day and coarser else [begins]
            found.append(tuple(values))
        return TimesOfDay(*found)


def read_recurrence(value: object) -> tuple[Recurrence, str | None]:
    """Return the rule of a text, and its UNTIL.

    Raises:
        ValueError: It is malformed, or says what RFC 5545 does not allow.
    """
    if not isinstance(value, str) or not value.isascii() or len(value) > _LONGEST:
        raise ValueError(f"a recurrence rule is a text such as FREQ=MONTHLY;BYDAY=-1FR, not {value!r:.60}")
    parts: dict[str, str] = {}
    for part in value.strip().upper().removeprefix("RRULE:").split(";"):
        key, equals, given = part.strip().partition("=")
        if key not in _KEYS or not equals or key in parts:
            why = "twice" if key in parts else f"not known: there are {', '.join(_KEYS)}"
            raise ValueError(f"{part[:40]!r} is {why}")
        parts[key] = given
    frequency = parts.get("FREQ", "")
    if frequency not in _FREQUENCIES:
        raise ValueError(f"FREQ is {', '.join(_FREQUENCIES)}, not {frequency[:40]!r}")
    by = tuple((spec[0], _numbers(key, parts[key], *spec[1:])) for key, spec in _LISTS.items() if key in parts)
    found = _checked(
        Recurrence(
            "",
            frequency,
            _number("INTERVAL", parts.get("INTERVAL", "1"), 1, _MOST),
            _number("COUNT", parts["COUNT"], 1, _MOST) if "COUNT" in parts else None,
            _one_of("WKST", parts.get("WKST", "MO"), WEEKDAYS),
            by,
            _by_day(parts["BYDAY"]) if "BYDAY" in parts else (),
        ),
        parts,
    )
    return found, parts.get("UNTIL")


def read_until(until: str) -> datetime | date:
    """Return an UNTIL: a date, local time, or with Z an aware instant (raises ValueError)."""
    if _UNTIL.fullmatch(until) is None:
        raise ValueError(f"UNTIL is written 20261231, 20261231T235900 or 20261231T225900Z, not {until[:40]!r}")
    return datetime.fromisoformat(until) if "T" in until else date.fromisoformat(until)


def _checked(rule: Recurrence, parts: dict[str, str]) -> Recurrence:
    for key, frequencies in _NOT_WITH.items():
        if key in parts and rule.frequency in frequencies:
            raise ValueError(f"{key} does not go with FREQ={rule.frequency}")
    if any(nth for nth, _ in rule.by_day) and (rule.frequency not in ("MONTHLY", "YEARLY") or "BYWEEKNO" in parts):
        raise ValueError("BYDAY counts weekdays (such as -1FR) only with FREQ=MONTHLY, or YEARLY without BYWEEKNO")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("give COUNT or UNTIL, not both")
    if rule.below_a_day:
        unit, size = _UNITS[rule.frequency]
        if size % rule.interval:
            raise ValueError(
                f"INTERVAL={rule.interval} does not divide {size} {unit}s: use `every` for that distance in real time"
            )
    if "BYSETPOS" in parts:
        if rule.below_a_day or rule.times(datetime(2000, 1, 1)).size > 1:  # noqa: DTZ001 - civil time has no zone
            raise ValueError("BYSETPOS goes with rules of one time a day")
        if not rule.by_day and len(rule.by) < 2:
            raise ValueError("BYSETPOS needs another BY part to choose from")
    spelled = [f"FREQ={rule.frequency}"]
    spelled += [f"INTERVAL={rule.interval}"] * (rule.interval != 1) + [f"COUNT={rule.count}"] * (rule.count is not None)
    spelled += [f"WKST={rule.week_start}"] * (rule.week_start != "MO")
    names = {spec[0]: key for key, spec in _LISTS.items()}
    spelled += [f"{names[name]}={','.join(map(str, values))}" for name, values in rule.by]
    if rule.by_day:
        spelled.append("BYDAY=" + ",".join(f"{nth or ''}{day}" for nth, day in rule.by_day))
    return Recurrence(
        ";".join(spelled), rule.frequency, rule.interval, rule.count, rule.week_start, rule.by, rule.by_day
    )


def _by_day(value: str) -> tuple[tuple[int, str], ...]:
    found = set()
    for term in value.split(","):
        match = _BY_DAY.fullmatch(term.strip())
        nth = int(match[1] or 0) if match is not None else 0
        if match is None or abs(nth) > 53 or (match[1] is not None and nth == 0):
            raise ValueError(f"BYDAY is a list such as MO,WE or -1FR, not {value[:40]!r}")
        found.add((nth, match[2]))
    return tuple(sorted(found, key=lambda pair: (pair[0], WEEKDAYS.index(pair[1]))))


def _numbers(key: str, value: str, low: int, high: int, from_end: object) -> tuple[int, ...]:
    def one(term: str) -> int:
        back = term.startswith("-") and bool(from_end)
        return -_number(key, term[1:], low, high) if back else _number(key, term.removeprefix("+"), low, high)

    return tuple(sorted({one(term.strip()) for term in value.split(",")}))


def _number(key: str, text: str, low: int, high: int) -> int:
    if not text.isdecimal() or len(text) > 5 or not low <= int(text) <= high:
        raise ValueError(f"{key} is a whole number from {low} to {high}, not {text[:40]!r}")
    return int(text)


def _one_of(key: str, text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        raise ValueError(f"{key} is one of {', '.join(allowed)}, not {text[:40]!r}")
    return text
