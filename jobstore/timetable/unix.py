"""The ``unix`` cron dialect: Debian's rules, read strictly and written back in one form.

Five fields (minute, hour, day of month, month, day of week), or six with seconds first.  Names, lists, ranges and steps;
``L`` and ``LW`` in the day of month, ``5L`` and ``5#2`` in the day of week; 0 and 7 are Sunday.  When both day fields
are restricted a day that matches either is meant; when one begins with ``*`` both must match.
"""

import re
from dataclasses import dataclass

from jobstore.errors import InvalidTrigger

_LONGEST = 1_000
_ALIASES = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_STAR = re.compile(r"\*(?:/(\d{1,4}))?")
_RANGE = re.compile(r"(\w{1,4})(?:-(\w{1,4}))?(?:/(\d{1,4}))?")
_NTH = re.compile(r"(\w{1,4})#([1-5])")
_LAST_WEEKDAY = re.compile(r"(\w{1,3})L")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    first_name: int = 0
    extra: str = ""

    def number(self, text: str) -> int:
        """Return the number that ``text`` means in this field (raises _Fault)."""
        if text in self.names:
            return self.names.index(text) + self.first_name
        if not text.isdecimal():
            words = f" or a name such as {self.names[1]}" if self.names else ""
            raise _Fault(f"{text!r} is not a number{words}")
        number = int(text)
        if not self.low <= number <= self.high:
            raise _Fault(f"{number} is out of range")
        return number

    @property
    def allowed(self) -> str:
        """What the field may hold."""
        names = f", {self.names[0]}-{self.names[-1]}" if self.names else ""
        return f"{self.low}-{self.high}{names}, *, lists (1,2), ranges (1-5), steps (*/5 or 1-9/2){self.extra}"


class _Fault(ValueError):
    """One term of one field is wrong."""


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31, extra=", L (last day), LW (last working day)"),
    _Field("month", 1, 12, tuple(_MONTHS), 1),
    _Field("day of week", 0, 7, tuple(_DAYS), 0, ", 5L (last Friday), 5#2 (second Friday); 0 and 7 are Sunday"),
)


def normalise(expression: object) -> str:
    """Return ``expression`` in its one form: aliases spelled out, numbers for names, five fields if seconds are 0.

    Raises:
        InvalidTrigger: It is no expression of this dialect; one fault for each wrong field.
    """
    if not isinstance(expression, str):
        raise InvalidTrigger(f"a cron expression is a text such as '*/5 * * * *', not {expression!r:.60}")
    text = expression.strip().upper()
    if not text.isascii() or len(text) > _LONGEST:
        raise InvalidTrigger(f"a cron expression has at most {_LONGEST} plain ASCII characters")
    text = _ALIASES.get(text, text)
    if text.startswith("@"):
        raise InvalidTrigger(_wrong_alias(text))
    parts = text.split()
    if len(parts) not in (5, 6):
        raise InvalidTrigger(
            f"{expression[:60]!r} has {len(parts)} fields: a cron expression has five (minute, hour, day of month, "
            "month, day of week), or six with seconds first"
        )
    fields, faults = [], []
    for field, part in zip(_FIELDS[-len(parts) :], parts, strict=True):
        try:
            fields.append(",".join(_term(field, term) for term in part.split(",")))
        except _Fault as fault:
            faults.append(f"{field.name} {part[:40]!r}: {fault}; allowed are {field.allowed}")
    if faults:
        raise InvalidTrigger(*faults)
    return " ".join(fields[1:] if len(fields) == 6 and fields[0] == "0" else fields)


def _term(field: _Field, term: str) -> str:
    star = _STAR.fullmatch(term)
    if star is not None:
        step = int(star[1] or 1)
        _check_step(field, step)
        return "*" if step == 1 else f"*/{step}"
    if field.name == "day of month" and term in ("L", "LW"):
        return term
    if field.name == "day of week":
        if nth := _NTH.fullmatch(term):
            return f"{field.number(nth[1]) % 7}#{nth[2]}"
        if last := _LAST_WEEKDAY.fullmatch(term):
            return f"{field.number(last[1]) % 7}L"
    found = _RANGE.fullmatch(term)
    if found is None:
        raise _Fault(f"{term[:20]!r} is not understood")
    return _range(field, *found.groups())


def _range(field: _Field, first: str, last: str | None, step: str | None) -> str:
    low = field.number(first)
    if step is not None:
        _check_step(field, int(step))
    if last is None:
        if step is None:
            return "0" if field.name == "day of week" and low == 7 else str(low)
        return f"{low}/{int(step)}"
    # FRI-SUN reads naturally, and Sunday is also 7
    high = 7 if field.name == "day of week" and last == "SUN" and low else field.number(last)
    if high < low:
        top = 6 if field.name == "day of week" else field.high
        raise _Fault(f"{first}-{last} runs backwards, write {low}-{top},{field.low}-{high}")
    if low == high:
        return str(low % 7) if field.name == "day of week" else str(low)
    return f"{low}-{high}" if step in (None, "1") else f"{low}-{high}/{int(step)}"


def _check_step(field: _Field, step: int) -> None:
    if step == 0:
        raise _Fault("a step of 0 never moves")
    if step > field.high - field.low:
        # cron takes */90 for "once an hour" without a word
        raise _Fault(f"a step of {step} is longer than the field; for every {step} {field.name}s use `every`")


def _wrong_alias(text: str) -> str:
    if text.startswith("@EVERY"):
        return "@every is not cron: use `every`, for example every: 5m"
    if text == "@REBOOT":
        return "@reboot names no time: a cluster has no boot"
    return f"{text[:40].lower()} is unknown: use {', '.join(name.lower() for name in _ALIASES)}"
