"""What the façade asserts about rules, and a head that a rule does not name."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.interval import IntervalTrigger

from jobstore.errors import TriggerStuck
from jobstore.timetable import Timetable
from jobstore.timetable.limits import Meter
from jobstore.timetable.rule import Document, Rule

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Backwards(Rule):
    """A rule with a fault: it does not move."""

    def after(self, instant: datetime, meter: Meter) -> datetime | None:
        return instant

    def last(self, instant: datetime, meter: Meter) -> datetime | None:
        return instant + HOUR

    def document(self) -> Document:
        return {}

    def words(self) -> str:
        return "never"


def test_a_rule_that_does_not_move_is_stopped() -> None:
    timetable = Timetable(Backwards())
    with pytest.raises(TriggerStuck, match="named 2026-01-01 00:00:00"):
        timetable.after(NOW)
    with pytest.raises(TriggerStuck):
        timetable.first(NOW)
    with pytest.raises(TriggerStuck, match="as the last instant before"):
        timetable.span(NOW, NOW)


@pytest.mark.parametrize(
    "timetable",
    [
        Timetable.from_spec({"every": "1h", "start": "2026-01-01"}, now=NOW),
        Timetable.from_spec({"cron": "0 * * * *"}, now=NOW),
        Timetable.from_trigger(OrTrigger([IntervalTrigger(hours=1, start_date=NOW, timezone=UTC)])),
    ],
)
def test_a_head_that_is_not_named_counts_as_one(timetable: Timetable) -> None:
    odd = NOW + timedelta(minutes=7)
    assert timetable.span(NOW, NOW + 5 * HOUR).count == 6
    assert timetable.span(odd, NOW + 5 * HOUR).count == 6
    alone = timetable.span(odd, odd + timedelta(minutes=10))
    assert (alone.through, alone.count, alone.exact, alone.following) == (odd, 1, True, NOW + HOUR)


def test_a_head_in_the_future_is_refused() -> None:
    with pytest.raises(ValueError, match="lies after"):
        Timetable.from_spec({"every": "1h"}, now=NOW).span(NOW + HOUR, NOW)
