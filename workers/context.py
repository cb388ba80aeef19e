"""What running code may ask about the firing it runs for."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from jobstore.clock import from_posix
from jobstore.firing import Firing
from jobstore.ids import FiringKind
from workers.notebook import Notebook

OnceScope = Literal["job", "tenant"]


class Once(Protocol):
    """Sets a marker; see ``FiringContext.once``."""

    def __call__(self, key: str, scope: OnceScope, keep: timedelta | None) -> bool:
        """Return whether this call set it."""
        ...


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
    _notebook: Notebook = field(repr=False, compare=False)
    _once: Once = field(repr=False, compare=False)

    def previous_success(self) -> datetime | None:
        """Return the nominal instant of the job's last success before this firing, asked of the ledger now.

        Raises:
            StoreUnavailable: MongoDB did not answer.
        """
        return self._previous()

    def cancelled(self) -> bool:
        """Return whether this attempt is no longer ours, or was asked to end, and should stop; costs nothing to ask."""
        return self._cancelled()

    def log(self, text: object) -> None:
        """Keep a line with the firing: the newest 100, at most 16 KiB of them, each cut at 500 characters.

        It costs no write of its own: the next heartbeat, or the end of the run, takes it along.
        """
        self._notebook.log(text)

    def progress(self, fraction: float, text: object = "") -> None:
        """Say how far the run is, written as ``log`` is; ``text`` is cut at 200 characters.

        Raises:
            ValueError: ``fraction`` is not between 0 and 1.
        """
        self._notebook.progress(fraction, text)

    def once(self, key: str, *, scope: OnceScope = "job", keep: timedelta | None = None) -> bool:
        """Return True to exactly one of all calls with this key, in whatever attempt, firing or worker.

        The marker is set before what it stands for is done: code that dies in between has done it never.

        Args:
            key: 1 to 200 characters.
            scope: What the key is unique in: the job, or all jobs of the tenant.
            keep: How long the marker is remembered; as long as the tenant when None.

        Raises:
            ValueError: The key is too long or empty, ``keep`` is not positive.
            StoreUnavailable: MongoDB did not answer; the marker may have been set.
        """
        return self._once(key, scope, keep)


def context_of(
    firing: Firing,
    *,
    tenant: str,
    previous: Callable[[], datetime | None],
    cancelled: Callable[[], bool],
    notebook: Notebook,
    once: Once,
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
        _notebook=notebook,
        _once=once,
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
