"""The periods of a recurrence rule, and which of their days its BY parts choose."""

from calendar import monthrange
from datetime import date, timedelta

from jobstore.timetable.recurrence import WEEKDAYS, Recurrence

_DAY = timedelta(days=1)


def period_start(rule: Recurrence, start: date, wanted: date) -> date:
    """Return the first day of a period that begins at or before ``wanted``, in phase with ``start``."""
    step = rule.date_interval
    if rule.frequency == "YEARLY":
        return date(start.year + max(0, wanted.year - start.year) // step * step, 1, 1)
    if rule.frequency == "MONTHLY":
        months = max(0, (wanted.year - start.year) * 12 + wanted.month - start.month) // step * step
        return _month(start, months)
    if rule.frequency == "WEEKLY":
        start -= (start.weekday() - WEEKDAYS.index(rule.week_start)) % 7 * _DAY
        step *= 7
    return start + max(0, (wanted - start).days) // step * step * _DAY


def period_after(rule: Recurrence, begin: date) -> date:
    """Return the first day of the next period of the rule, the end of the calendar when there is none."""
    step = rule.date_interval
    try:
        if rule.frequency == "YEARLY":
            return date(begin.year + step, 1, 1)
        if rule.frequency == "MONTHLY":
            return _month(begin, step)
        return begin + step * (7 if rule.frequency == "WEEKLY" else 1) * _DAY
    except (ValueError, OverflowError):
        return date.max


def chosen(rule: Recurrence, begin: date) -> list[date]:
    """Return the days of the period from ``begin`` that every BY part admits, in order, then those of BYSETPOS."""
    length = {"YEARLY": 366, "MONTHLY": 31, "WEEKLY": 7}.get(rule.frequency, 1)
    if rule.frequency == "YEARLY":
        length = (date(begin.year, 12, 31) - begin).days + 1
    elif rule.frequency == "MONTHLY":
        length = monthrange(begin.year, begin.month)[1]
    by = dict(rule.by)
    months = by.get("bymonth")
    found, offset = [], 0
    while offset < length:
        day = begin + offset * _DAY
        if months and day.month not in months:
            # the rest of the month is passed over
            offset += monthrange(day.year, day.month)[1] - day.day + 1
            continue
        if _admits(rule, by, day):
            found.append(day)
        offset += 1
    if "bysetpos" not in by:
        return found
    places = {place - 1 if place > 0 else len(found) + place for place in by["bysetpos"]}
    return [found[place] for place in sorted(places) if 0 <= place < len(found)]


def _admits(rule: Recurrence, by: dict[str, tuple[int, ...]], day: date) -> bool:
    if "bymonthday" in by and not _counted(day.day, monthrange(day.year, day.month)[1], by["bymonthday"]):
        return False
    plain = (0, WEEKDAYS[day.weekday()]) in rule.by_day
    if rule.by_day and not plain and not any(nth and _is_day(rule, by, day, nth, name) for nth, name in rule.by_day):
        return False
    if "byyearday" in by:
        new_year, last = date(day.year, 1, 1), date(day.year, 12, 31)
        if not _counted((day - new_year).days + 1, (last - new_year).days + 1, by["byyearday"]):
            return False
    return "byweekno" not in by or _counted(*_week(day, WEEKDAYS.index(rule.week_start)), by["byweekno"])


def _is_day(rule: Recurrence, by: dict[str, tuple[int, ...]], day: date, nth: int, name: str) -> bool:
    """Whether ``day`` is weekday number ``nth`` of its month or year."""
    if WEEKDAYS[day.weekday()] != name:
        return False
    if rule.frequency == "MONTHLY" or "bymonth" in by:
        place, of = day.day, monthrange(day.year, day.month)[1]
    else:
        new_year, last = date(day.year, 1, 1), date(day.year, 12, 31)
        place, of = (day - new_year).days + 1, (last - new_year).days + 1
    return nth == (place - 1) // 7 + 1 if nth > 0 else -nth == (of - place) // 7 + 1


def _counted(number: int, of: int, wanted: tuple[int, ...]) -> bool:
    """Whether ``number`` is wanted, from the front or from the end."""
    return number in wanted or number - of - 1 in wanted


def _week(day: date, week_start: int) -> tuple[int, int]:
    """Return the number of the week and how many weeks its year has; a week belongs to the year of its fourth day."""
    fourth = day - (day.weekday() - week_start) % 7 * _DAY + 3 * _DAY
    number = (fourth - date(fourth.year, 1, 1)).days // 7 + 1
    # the last fourth day of that year
    last = date(fourth.year, 12, 31)
    last -= (last.weekday() - fourth.weekday()) % 7 * _DAY
    return number, (last - date(fourth.year, 1, 1)).days // 7 + 1


def _month(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, 1)
