"""What running code may ask about the firing it runs for."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime

from jobstore.clock import from_posix
from jobstore.firing import Firing
from jobstore.ids import FiringKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The instants of the timetable that one firing answers for; ``exact`` is False when counting was cut short."""

    start: datetime
    through: datetime
    count: int
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringContext:
    """The firing that is running here.

    Attributes:
        tenant: The tenant's id, ``uid`` its never reused form.
        job: The job's id.
        id: The firing's id, equal for all its attempts.
        kind: ``scheduled``, ``manual`` or ``backfill``.
        nominal: The last instant of the timetable that this firing answers for; ``covers`` has all of them.
        effective: When it was to run: the nominal instant and the job's spread.
        attempt: 1 for the first try.
        fence: Grows with every attempt at any firing of the job: an outside system that remembers the greatest
            fence it has seen can refuse a late writer.
    """

    tenant: str
    uid: str
    job: str
    id: str
    kind: FiringKind
    nominal: datetime
    effective: datetime
    covers: Span
    attempt: int
    fence: int
    _previous: Callable[[], datetime | None] = field(repr=False, compare=False)
    _cancelled: Callable[[], bool] = field(repr=False, compare=False)

    def previous_success(self) -> datetime | None:
        """Return the nominal instant of the job's last success before this firing, asked of the ledger now.

        Raises:
            StoreUnavailable: MongoDB did not answer.
        """
        return self._previous()

    def cancelled(self) -> bool:
        """Return whether this attempt is no longer ours and should stop; costs nothing to ask."""
        return self._cancelled()


def context_of(
    firing: Firing, *, tenant: str, previous: Callable[[], datetime | None], cancelled: Callable[[], bool]
) -> FiringContext:
    """Return the context of a firing that has begun."""
    covers = firing.covers
    last = from_posix(covers.through)
    return FiringContext(
        tenant=tenant,
        uid=firing.uid,
        job=firing.job,
        id=firing.id,
        kind=firing.kind,
        nominal=last,
        effective=last,
        covers=Span(start=from_posix(covers.start), through=last, count=covers.count, exact=covers.exact),
        attempt=firing.attempt,
        fence=firing.fence or 0,
        _previous=previous,
        _cancelled=cancelled,
    )


running: ContextVar[FiringContext] = ContextVar("horarium_firing")


def current_firing() -> FiringContext:
    """Return the firing that this code runs for.

    Raises:
        LookupError: It is not run by a worker for a firing, or in a thread of its own.
    """
    try:
        return running.get()
    except LookupError:
        raise LookupError("no firing is running here: this code was not called by a Horarium worker") from None
