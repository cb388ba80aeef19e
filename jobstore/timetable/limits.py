"""How much work naming an instant may take, and which instants and intervals exist at all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobstore.clock import SystemClock
from jobstore.errors import TriggerStuck

EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
LATEST = datetime(9900, 1, 1, tzinfo=UTC)
"""Instants outside these are "never": every zone's local time, and fifty years of search, stay within ``datetime``."""

SHORTEST_INTERVAL = timedelta(milliseconds=1)
LONGEST_INTERVAL = timedelta(days=36525)
SEARCH_YEARS = 50
"""A calendar pattern without a match for this long never matches (the Gregorian calendar repeats after 28 to 40)."""

TICK = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)

COUNTED_DAYS = 20_000
COUNTED_STEPS = 2_000
"""Counting stops here: days of a cron pattern; instants of kinds that can only be counted one by one."""

_PATIENT_STEPS = 1_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one question to a timetable.

    ``steps`` bounds the moves of the search, ``seconds`` its time by ``monotonic``.  Time counts only from the
    thousandth step on: a process that was frozen for a minute must not take a healthy job for a stuck one.
    """

    steps: int = 20_000
    seconds: float = 2.0
    monotonic: Callable[[], float] = SystemClock().monotonic


DEFAULT_LIMITS = Limits()


class Meter:
    """Counts the steps of one question and ends it when it takes too many."""

    __slots__ = ("_began", "_limits", "used")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._began = limits.monotonic()
        self.used = 0

    def step(self, count: int = 1) -> None:
        """Count ``count`` steps.

        Raises:
            TriggerStuck: The bound of steps or of time is passed.
        """
        self.used += count
        limits = self._limits
        if self.used > limits.steps:
            raise TriggerStuck(f"the trigger named no instant within {limits.steps} steps; do its parts ever meet?")
        if self.used > _PATIENT_STEPS and limits.monotonic() - self._began > limits.seconds:
            raise TriggerStuck(f"the trigger named no instant within {limits.seconds:g} s; do its parts ever meet?")
