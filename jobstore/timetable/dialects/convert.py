"""From one cron dialect to another, saying in words what changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jobstore.errors import InvalidTrigger
from jobstore.timetable.days import ALL_MONTHS, DayTerms
from jobstore.timetable.dialects.compiled import CronPattern
from jobstore.timetable.dialects.registry import DIALECTS, cron_pattern

_SUNDAY = {"unix": 0, "apscheduler": 6, "celery": 0, "quartz": 1}
_ORDINALS = ("1st", "2nd", "3rd", "4th", "5th")
_APS_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

Written = str | dict[str, str]


@dataclass(frozen=True, slots=True)
class Conversion:
    """An expression in another dialect that names the same instants; ``changes`` are sentences."""

    expression: Written
    meaning: str
    changes: tuple[str, ...]


def convert(expression: str | Mapping[str, object], source: str, target: str) -> Conversion:
    """Return ``expression`` of the dialect ``source`` as the dialect ``target`` writes it.

    Raises:
        InvalidTrigger: It is wrong in ``source``, or ``target`` cannot say it; the message says which part.
    """
    read = cron_pattern(expression, source)
    if target not in DIALECTS:
        cron_pattern(expression, target)
    written = _Writer(read, target).written()
    again = cron_pattern(written, target)
    if not _same(again, read):
        raise InvalidTrigger(
            f"{target} cannot say this: {read.words()}"
        )  # pragma: no cover - the writer refuses before
    return Conversion(written, read.words(), tuple(_changes(expression, read, source, written, again, target)))


def _changes(
    text: object, read: CronPattern, source: str, written: Written, again: CronPattern, target: str
) -> Iterable[str]:
    try:
        as_it_stands: CronPattern | None = cron_pattern(text, target)
    except InvalidTrigger as refusal:
        as_it_stands = None
        if written != text:
            yield f"as it stands it is refused by {target}: {refusal.faults[0]}"
    if as_it_stands is not None and not _same(as_it_stands, read):
        yield f"as it stands {target} reads it as: {as_it_stands.words()}"
    weekdays = read.dates.weekdays
    if weekdays is not None and _SUNDAY[source] != _SUNDAY[target]:
        yield f"Sunday is {_SUNDAY[source]} in {source} and {_SUNDAY[target]} in {target}, so weekdays are renumbered"
    if target == "quartz" and source != "quartz":
        yield "quartz has seconds first, and ? in the day field that restricts nothing"
    if source == "quartz" and target != "quartz":
        yield f"the seconds field and ? of quartz have no place in {target} where they say nothing"
    if read.interval_like != again.interval_like:
        yield (
            "across clock changes it "
            + ("follows real time" if again.interval_like else "comes once for each local time")
            + f" in {target}, which it did not in {source}"
        )


def _same(one: CronPattern, other: CronPattern) -> bool:
    return one.times == other.times and one.dates.meaning() == other.dates.meaning()


def _split(terms: DayTerms) -> tuple[DayTerms | None, DayTerms | None]:
    """Return the part of a day field that counts days, and the part that counts weekdays."""
    weekdays = DayTerms(weekdays=terms.weekdays, nth=terms.nth, last_weekdays=terms.last_weekdays)
    days = DayTerms(terms.days, terms.from_end, terms.nearest, terms.nearest_from_end)
    none = DayTerms()
    return (None if days == none else days), (None if weekdays == none else weekdays)


class _Writer:
    """Writes a pattern in one dialect."""

    def __init__(self, pattern: CronPattern, target: str) -> None:
        self.pattern = pattern
        self.target = target
        self.dates = pattern.dates

    def written(self) -> Written:
        if self.dates.weeks is not None and self.target != "apscheduler":
            self._refuse("ISO weeks")
        if self.dates.years is not None and self.target == "celery":
            self._refuse("years")
        if self.pattern.times.seconds != (0,) and self.target == "celery":
            self._refuse("seconds")
        return self._apscheduler() if self.target == "apscheduler" else self._text()

    def _text(self) -> str:
        days, weekdays = self._day_fields()
        times = self.pattern.times
        clock = [_clock(times.minutes, 60, self.pattern), _clock(times.hours, 24, self.pattern)]
        second = _clock(times.seconds, 60, self.pattern)
        year = "" if self.dates.years is None else _runs(self.dates.years)
        fields = [*clock, days, self._month(), weekdays]
        if self.target == "quartz" or second != "0" or year:
            fields.insert(0, second)
        return " ".join([*fields, year]).strip()

    def _month(self) -> str:
        return "*" if self.dates.months == ALL_MONTHS else _runs(self.dates.months)

    def _day_fields(self) -> tuple[str, str]:
        """Return the two day fields as the target says them."""
        dates = self.dates
        days, extra = (None, None) if dates.days is None else _split(dates.days)
        weekdays, either = dates.weekdays, dates.either and dates.days is not None and dates.weekdays is not None
        if extra is not None:
            if weekdays is not None:
                self._refuse("a weekday of the month together with a day of the week")
            weekdays, either = extra, days is not None
        texts = ("*" if days is None else self._days(days), "*" if weekdays is None else self._weekdays(weekdays))
        if self.target == "quartz":
            if days is not None and weekdays is not None:
                self._refuse("both day fields")
            return (texts[0], "?") if weekdays is None else ("?", texts[1])
        if days is None or weekdays is None:
            return texts
        if self.target == "celery":
            if either:
                self._refuse("day of month or day of week, where one is enough")
            return texts
        return self._unix_both(days, weekdays, texts, either=either)

    def _unix_both(
        self, days: DayTerms, weekdays: DayTerms, texts: tuple[str, str], *, either: bool
    ) -> tuple[str, str]:
        if either:
            return texts
        for position, (values, low, high) in enumerate(((days.days, 1, 31), (weekdays.weekdays, 0, 7))):
            starred = _starred(values | ({7} if position and 0 in values else set()), low, high)
            if starred is not None:
                return (starred, texts[1]) if position == 0 else (texts[0], starred)
        return self._refuse("day of month and day of week, where both must match")

    def _days(self, terms: DayTerms) -> str:
        special = [("L" if not back else f"L-{back}") for back in sorted(terms.from_end)]
        special += [f"{day}W" for day in sorted(terms.nearest)]
        for back in sorted(terms.nearest_from_end):
            if back and self.target == "unix":
                self._refuse("the working day nearest to a day counted from the end")
            special.append("LW" if not back else f"L-{back}W")
        if special and self.target == "celery":
            self._refuse("L and W")
        return ",".join([*([_runs(terms.days)] if terms.days else []), *special])

    def _weekdays(self, terms: DayTerms) -> str:
        first = _SUNDAY[self.target]
        special = [f"{day + first}#{nth}" for day, nth in sorted(terms.nth)]
        special += [f"{day + first}L" for day in sorted(terms.last_weekdays)]
        if special and self.target == "celery":
            self._refuse("# and L")
        plain = _runs({day + first for day in terms.weekdays})
        return ",".join([*([plain] if terms.weekdays else []), *special])

    def _apscheduler(self) -> Written:
        dates, times = self.dates, self.pattern.times
        days, extra = (None, None) if dates.days is None else _split(dates.days)
        weekdays, nth = (None, extra) if dates.weekdays is None else _plain_and_nth(dates.weekdays)
        if dates.days is not None and dates.weekdays is not None and dates.either:
            if weekdays is not None:
                self._refuse("day of month or day of week, where one is enough")
        elif nth is not None and (dates.days is not None and dates.weekdays is not None):
            self._refuse("a weekday of the month together with other days")
        if weekdays is not None and nth is not None:
            self._refuse("plain weekdays together with one of the month")
        said = {
            "year": "*" if dates.years is None else _runs(dates.years),
            "month": self._month(),
            "day": self._aps_days(days, nth),
            "week": "*" if dates.weeks is None else _runs(dates.weeks),
            "day_of_week": "*" if weekdays is None else _runs({(day - 1) % 7 for day in weekdays.weekdays}),
            "hour": _clock(times.hours, 24, self.pattern),
            "minute": _clock(times.minutes, 60, self.pattern),
            "second": _clock(times.seconds, 60, self.pattern),
        }
        if (said["year"], said["week"], said["second"]) == ("*", "*", "0") and " " not in said["day"]:
            return " ".join(said[name] for name in ("minute", "hour", "day", "month", "day_of_week"))
        return said

    def _aps_days(self, days: DayTerms | None, nth: DayTerms | None) -> str:
        found = []
        if days is not None:
            if days.nearest or days.nearest_from_end or days.from_end - {0}:
                self._refuse("W and L-n")
            found += [_runs(days.days)] if days.days else []
            found += ["last"] if days.from_end else []
        if nth is not None:
            found += [f"{_ORDINALS[n - 1]} {_APS_DAYS[day]}" for day, n in sorted(nth.nth)]
            found += [f"last {_APS_DAYS[day]}" for day in sorted(nth.last_weekdays)]
        return ",".join(found) or "*"

    def _refuse(self, what: str) -> "tuple[str, str]":
        raise InvalidTrigger(f"{self.target} cannot say {what}: {self.pattern.words()}")


def _plain_and_nth(terms: DayTerms) -> tuple[DayTerms | None, DayTerms | None]:
    plain, nth = DayTerms(weekdays=terms.weekdays), DayTerms(nth=terms.nth, last_weekdays=terms.last_weekdays)
    return (plain if plain.weekdays else None), (None if nth == DayTerms() else nth)


def _clock(values: tuple[int, ...], size: int, pattern: CronPattern) -> str:
    """Return an hour, minute or second field; steps only where they keep the rule for clock changes."""
    if len(values) == size:
        return "*"
    starred = _starred(frozenset(values), 0, size - 1) if pattern.interval_like else None
    return starred or _runs(values)


def _starred(values: Iterable[int], low: int, high: int) -> str | None:
    ordered = sorted(values)
    if len(ordered) < 2 or ordered[0] != low:
        return None
    step = ordered[1] - low
    return f"*/{step}" if ordered == list(range(low, high + 1, step)) else None


def _runs(values: Iterable[int]) -> str:
    """Return numbers as a list with ranges."""
    ordered = sorted(values)
    found: list[str] = []
    index = 0
    while index < len(ordered):
        end = index
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        found.append(str(ordered[index]) if end == index else f"{ordered[index]}-{ordered[end]}")
        index = end + 1
    return ",".join(found)
