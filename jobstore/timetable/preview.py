"""What a timetable names next, with what is remarkable about it: for people, before they save a job."""

from dataclasses import dataclass
from datetime import UTC, datetime

from jobstore.timetable.facade import Timetable
from jobstore.timetable.limits import TICK
from jobstore.timetable.rule import Mark, Rule
from jobstore.timetable.zones import Zone

_MOST_SKIPPED = 100


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An instant of a timetable: UTC, and in local time as "Sun 2026-03-29 03:00:00 +02:00".

    ``skipped`` instants are not named by the timetable: a gap, a holiday or an exclusion keeps them out.
    """

    at: datetime
    local: str
    marks: tuple[Mark, ...]
    skipped: bool = False


def preview(timetable: Timetable, start: datetime, count: int) -> list[Occurrence]:
    """Return the first ``count`` instants from ``start`` on, and what is skipped before and among them.

    At most a hundred skipped instants are listed in front of each one that is named.

    Raises:
        TriggerStuck: An instant was not found within the limits.
    """
    rule, zone = timetable.rule, zone_of(timetable.rule)
    everything = Timetable(rule.unfiltered(), timetable.limits)
    found: list[Occurrence] = []
    bound, named = start - TICK, 0
    while named < count:
        instant = timetable.after(bound)
        skipped = everything.after(bound)
        for _ in range(_MOST_SKIPPED):
            if skipped is None or (instant is not None and skipped >= instant):
                break
            reason = rule.why_not(skipped)
            found.append(Occurrence(skipped, _local(skipped, zone), () if reason is None else (reason,), skipped=True))
            skipped = everything.after(skipped)
        if instant is None:
            break
        marks = tuple(sorted(rule.marks(instant)))
        found.append(Occurrence(instant, _local(instant, zone), marks))
        bound, named = instant, named + 1
    return found


def zone_of(rule: Rule) -> Zone:
    """Return the zone that a rule is shown in: its own, or that of its first part."""
    zone: Zone | None = getattr(rule, "zone", None)
    if zone is not None:
        return zone
    inner = getattr(rule, "rule", None) or next(iter(getattr(rule, "parts", ())), None)
    return UTC if inner is None else zone_of(inner)


def _local(instant: datetime, zone: Zone) -> str:
    local = instant.astimezone(zone)
    text = local.isoformat(sep=" ", timespec="seconds")
    return f"{local:%a} {text[:19]} {text[19:]}"
