"""MongoDB's clock, as one process estimates it.

Leases and eligibility are judged by the server's clock.  Updates name it as ``$$NOW``; filters need a literal bound
for the index, and plans need an instant: both come from the measured offset.
"""

from datetime import datetime, timedelta
from typing import Any, Protocol

from pymongo.database import Database

from jobstore.clock import Clock
from jobstore.connection import Document, stored


class ServerTime(Protocol):
    """The store's clock: an estimate for this side, an expression for the other."""

    @property
    def expression(self) -> Any:
        """Return what stands for "now" inside an update pipeline or ``$expr``."""
        ...

    def now(self) -> datetime:
        """Return the estimated server time: aware, UTC, whole milliseconds."""
        ...

    @property
    def offset(self) -> float:
        """Return server time minus this process's wall clock, in seconds."""
        ...

    def measure(self) -> None:
        """Ask the server; raises StoreUnavailable."""
        ...


class MeasuredServerTime:
    """Server time by ``hello``, half the round trip taken off, re-measured when older than ``every`` seconds.

    Between two measurements it runs on the monotonic clock, so a jump of the local wall clock does not move it.
    """

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._anchor: tuple[float, datetime] | None = None
        self._offset = 0.0
        self.uncertainty = 0.0

    @property
    def expression(self) -> Any:
        """Return ``$$NOW``."""
        return "$$NOW"

    @property
    def offset(self) -> float:
        """Return the server's clock minus this machine's wall clock, in seconds, when last measured."""
        return self._offset

    def now(self) -> datetime:
        """Return the estimated server time, whole milliseconds as BSON keeps them."""
        if self._anchor is None:
            self.measure()
        assert self._anchor is not None  # noqa: S101  (measure raised otherwise)
        at, server = self._anchor
        instant = server + timedelta(seconds=self._clock.monotonic() - at)
        return instant.replace(microsecond=instant.microsecond // 1000 * 1000)

    @stored
    def measure(self) -> None:
        """Ask the server for its time."""
        started = self._clock.monotonic()
        # A command decodes by the driver's own options, not by the client's: without them the time is naive.
        hello = self._database.command("hello", codec_options=self._database.codec_options)
        server: datetime = hello["localTime"]
        ended = self._clock.monotonic()
        self.uncertainty = (ended - started) / 2
        middle = started + self.uncertainty
        self._anchor = (middle, server)
        wall_at_middle = self._clock.now() - timedelta(seconds=self._clock.monotonic() - middle)
        self._offset = (server - wall_at_middle).total_seconds()


class ManualServerTime:
    """A server clock that a test moves: the expression is a literal, so ``$$NOW`` plays no part."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @property
    def expression(self) -> Any:
        """Return the clock's instant as a literal."""
        return {"$literal": self.now()}

    @property
    def offset(self) -> float:
        """Return 0."""
        return 0.0

    def now(self) -> datetime:
        """Return the clock's instant, whole milliseconds."""
        instant = self._clock.now()
        return instant.replace(microsecond=instant.microsecond // 1000 * 1000)

    def measure(self) -> None:
        """Do nothing: there is no server to ask."""
