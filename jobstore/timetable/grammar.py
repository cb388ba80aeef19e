"""What the fields of cron dialects have in common: numbers, names, ranges, steps, lists, and their one spelling."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from jobstore.errors import InvalidTrigger
from jobstore.timetable.days import DayTerms

LONGEST = 1_000
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

_STAR = re.compile(r"\*(?:/(\d{1,4}))?")
_RANGE = re.compile(r"(\w{1,9})(?:-(\w{1,9}))?(?:/(\d{1,4}))?")


class Fault(ValueError):
    """One term of one field is wrong."""


@dataclass(frozen=True, slots=True)
class Term:
    """One entry of a field: its one spelling, the numbers it names, or a special day (of DayTerms) with its value."""

    text: str
    numbers: frozenset[int] = frozenset()
    special: str = ""
    value: int | tuple[int, int] = 0


Special = Callable[["Field", str], Term | None]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of one dialect.

    ``wraps`` allows ranges that run over the end; ``open_steps`` allows ``5/10`` (from 5 to the end); ``top`` is the
    last number that a range to the end reaches, where 7 is another name for 0; ``sunday`` is the number of Sunday in
    a field of weekdays.
    """

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    first_name: int = 0
    extra: str = ""
    special: Special | None = None
    wraps: bool = False
    open_steps: bool = True
    sunday: int | None = None

    @property
    def allowed(self) -> str:
        """What the field may hold."""
        names = f", {self.names[0]}-{self.names[-1]}" if self.names else ""
        steps = "*/5 or 1-9/2" if self.high > 9 else "*/2 or 1-5/2"
        return f"{self.low}-{self.high}{names}, *, lists (1,2), ranges (1-5), steps ({steps}){self.extra}"

    def number(self, text: str) -> int:
        """Return the number that ``text`` means in this field (raises Fault)."""
        if text in self.names:
            return self.names.index(text) + self.first_name
        if not text.isdecimal():
            words = f" or a name such as {self.names[1]}" if self.names else ""
            raise Fault(f"{text!r} is not a number{words}")
        number = int(text)
        if not self.low <= number <= self.high:
            raise Fault(f"{number} is out of range")
        return number

    def term(self, text: str) -> Term:
        """Return one entry of the field (raises Fault)."""
        star = _STAR.fullmatch(text)
        if star is not None:
            step = int(star[1] or 1)
            self._check_step(step)
            return Term("*" if step == 1 else f"*/{step}", frozenset(range(self.low, self.high + 1, step)))
        found = None if self.special is None else self.special(self, text)
        if found is not None:
            return found
        match = _RANGE.fullmatch(text)
        if match is None:
            raise Fault(f"{text[:20]!r} is not understood")
        return self._range(*match.groups())

    def from_sunday(self, number: int) -> int:
        """Return a weekday of this field as counted from Sunday, which is 0."""
        return number if self.sunday is None else (number - self.sunday) % 7

    def _range(self, first: str, last: str | None, step_text: str | None) -> Term:
        low = self.number(first)
        step = int(step_text or 1)
        if step_text is not None:
            self._check_step(step)
        if last is None:
            if step_text is None:
                one = self._one(low)
                return Term(str(one), frozenset({one}))
            if not self.open_steps:
                raise Fault(f"{first}/{step_text} has no end here, write {low}-{self.high}/{step}")
            return Term(f"{low}/{step}", frozenset(range(low, self.high + 1, step)))
        # FRI-SUN reads naturally, and Sunday is also 7
        high = 7 if self.high == 7 and self.low == 0 and last == "SUN" and low else self.number(last)
        if low == high:
            one = self._one(low)
            return Term(str(one), frozenset({one}))
        numbers = list(range(low, high + 1))
        if high < low:
            top = 6 if self.low == 0 and self.high == 7 else self.high
            if not self.wraps:
                raise Fault(f"{first}-{last} runs backwards, write {low}-{top},{self.low}-{high}")
            numbers = [*range(low, self.high + 1), *range(self.low, high + 1)]
        return Term(f"{low}-{high}" if step == 1 else f"{low}-{high}/{step}", frozenset(numbers[::step]))

    def _one(self, number: int) -> int:
        return 0 if self.low == 0 and self.high == 7 and number == 7 else number

    def _check_step(self, step: int) -> None:
        if step == 0:
            raise Fault("a step of 0 never moves")
        if step > self.high - self.low:
            # cron takes */90 for "once an hour" without a word
            raise Fault(f"a step of {step} is longer than the field; for every {step} {self.name}s use `every`")


@dataclass(frozen=True, slots=True)
class Read:
    """A field that was read: its one spelling and what it names."""

    text: str
    terms: tuple[Term, ...] = field(repr=False)

    @property
    def free(self) -> bool:
        """Whether it restricts nothing."""
        return self.text in ("*", "?")

    def numbers(self) -> frozenset[int]:
        """Return the plain numbers."""
        return frozenset().union(*(term.numbers for term in self.terms))

    def day_terms(self, of: Field) -> DayTerms | None:
        """Return what a day field names, None when it restricts nothing."""
        if self.free:
            return None
        found: dict[str, set[int | tuple[int, int]]] = {}
        for term in self.terms:
            if term.special:
                found.setdefault(term.special, set()).add(term.value)
        plain = {of.from_sunday(number) for number in self.numbers()}
        name = "days" if of.sunday is None else "weekdays"
        return DayTerms(**{name: frozenset(plain)}, **{key: frozenset(values) for key, values in found.items()})  # type: ignore[arg-type]


def read_fields(fields: tuple[Field, ...], parts: list[str]) -> list[Read]:
    """Return the fields of an expression.

    Raises:
        InvalidTrigger: With one fault for each wrong field.
    """
    read, faults = [], []
    for of, part in zip(fields, parts, strict=True):
        try:
            terms = tuple(of.term(text) for text in part.split(","))
            read.append(Read(",".join(term.text for term in terms), terms))
        except Fault as fault:
            faults.append(f"{of.name} {part[:40]!r}: {fault}; allowed are {of.allowed}")
    if faults:
        raise InvalidTrigger(*faults)
    return read


def plain_text(expression: object) -> str:
    """Return a cron expression in capitals, one space between its fields.

    Raises:
        InvalidTrigger: It is no text, too long, or not ASCII.
    """
    if not isinstance(expression, str):
        raise InvalidTrigger(f"a cron expression is a text such as '*/5 * * * *', not {expression!r:.60}")
    if not expression.isascii() or len(expression) > LONGEST:
        raise InvalidTrigger(f"a cron expression has at most {LONGEST} plain ASCII characters")
    return " ".join(expression.upper().split())
