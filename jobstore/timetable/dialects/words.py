"""Cron expressions in words, from what they mean and not from how they were written."""

from collections.abc import Iterable, Sequence

from jobstore.timetable.days import ALL_MONTHS, CronDays, DayTerms
from jobstore.timetable.pattern import TimesOfDay

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MOST_TIMES = 6


def pattern_words(days: CronDays, times: TimesOfDay) -> str:
    """Return "at 02:30 on Monday to Friday", "every 5 minutes in June"."""
    said = [_times(times), _days(days)]
    if days.weeks is not None:
        said.append(f"in ISO week{'s' if len(days.weeks) > 1 else ''} {_numbers(days.weeks)}")
    if days.months != ALL_MONTHS and not (said[1] and _is_one_date(days)):
        said.append("in " + _listed(_runs(days.months, lambda n: _MONTHS[n - 1])))
    if days.years is not None:
        said.append("in " + _numbers(days.years))
    return " ".join(each for each in said if each)


def _times(times: TimesOfDay) -> str:
    hours, minutes, seconds = times.hours, times.minutes, times.seconds
    if times.size <= _MOST_TIMES:
        shown = [times[index].isoformat("minutes" if seconds == (0,) else "seconds") for index in range(times.size)]
        return "at " + _listed(shown)
    of_hours = "" if len(hours) == 24 else f" of hour{'s' if len(hours) > 1 else ''} {_numbers(hours)}"
    if (step := _step(hours, 24)) and step > 1:
        of_hours = f" of every {_ordinal(step)} hour"
    if seconds == (0,):
        if minutes == (0,):
            if not of_hours:
                return "every hour"
            return f"every {step} hours" if step and step > 1 and 24 % step == 0 else f"at the start{of_hours}"
        step = _step(minutes, 60)
        if step and 60 % step == 0:
            return f"every {_many(step, 'minute')}{of_hours}"
        return f"at minute{'s' if len(minutes) > 1 else ''} {_numbers(minutes)}{of_hours or ' of every hour'}"
    step = _step(seconds, 60)
    every = step is not None and 60 % step == 0
    said = (
        f"every {_many(step or 1, 'second')}" if every else f"at second{'s' * (len(seconds) > 1)} {_numbers(seconds)}"
    )
    if len(minutes) < 60:
        of_minutes = f" of minute{'s' if len(minutes) > 1 else ''} {_numbers(minutes)}"
        return said + of_minutes + of_hours
    return said + ("" if every else " of every minute") + of_hours


def _days(days: CronDays) -> str:
    dom = "" if days.days is None else _day_terms(days.days)
    dow = "" if days.weekdays is None else _day_terms(days.weekdays)
    if days.days is not None and _is_one_date(days):
        (month,) = days.months
        return f"on {_MONTHS[month - 1]} {_numbers(days.days.days)}"
    if not dom:
        return f"on {dow}" if dow else ""
    of_month = "" if "the last day" in dom or "nearest" in dom else " of every month"
    dom = f"{dom}{of_month}" if _only_numbers(days.days) else dom
    if not dow:
        return f"on {dom}"
    return f"on {dom} or on {dow}" if days.either else f"on {dom}, if it is {dow}"


def _day_terms(terms: DayTerms) -> str:
    said = []
    if terms.days:
        word = "days" if len(terms.days) > 1 else "day"
        said.append(f"the {_listed(_runs(terms.days, _ordinal))} {word}")
    for back in sorted(terms.from_end):
        said.append(
            "the last day of every month"
            if not back
            else f"{_many(back, 'day', 'a day')} before the last of every month"
        )
    said += [f"the Monday to Friday nearest to the {_ordinal(day)} of every month" for day in sorted(terms.nearest)]
    for back in sorted(terms.nearest_from_end):
        said.append(
            "the last Monday to Friday of every month"
            if not back
            else f"the Monday to Friday nearest to {_many(back, 'day', 'a day')} before the last of every month"
        )
    if terms.weekdays:
        # a week begins on Monday for whoever reads "Monday to Friday"
        said.append(_listed(_runs({day or 7 for day in terms.weekdays}, lambda n: _WEEKDAYS[n % 7])))
    said += [f"the {_ordinal(nth)} {_WEEKDAYS[weekday]} of every month" for weekday, nth in sorted(terms.nth)]
    said += [f"the last {_WEEKDAYS[weekday]} of every month" for weekday in sorted(terms.last_weekdays)]
    return _listed(said)


def _only_numbers(terms: DayTerms | None) -> bool:
    return terms is not None and DayTerms(days=terms.days) == terms


def _is_one_date(days: CronDays) -> bool:
    return len(days.months) == 1 and days.weekdays is None and _only_numbers(days.days)


def _step(values: Sequence[int], size: int) -> int | None:
    """Return the step when ``values`` are 0, step, 2 * step... to the end."""
    if len(values) < 2 or values[0] != 0:
        return None
    step = values[1]
    return step if tuple(values) == tuple(range(0, size, step)) else None


def _runs(values: Iterable[int], name: object) -> list[str]:
    """Return the names of ``values``, three or more in a row as a range."""
    say = name if callable(name) else str
    ordered = sorted(values)
    found, index = [], 0
    while index < len(ordered):
        end = index
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        if end - index >= 2:
            found.append(f"{say(ordered[index])} to {say(ordered[end])}")
        else:
            found += [say(value) for value in ordered[index : end + 1]]
        index = end + 1
    return found


def _numbers(values: Iterable[int]) -> str:
    return _listed(_runs(values, str))


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _many(count: int, unit: str, one: str | None = None) -> str:
    return (one or unit) if count == 1 else f"{count} {unit}s"


def _ordinal(number: int) -> str:
    if 10 < number % 100 < 14:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
