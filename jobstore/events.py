"""Every fact a process announces, as one frozen value per fact; logs, metrics and tests listen."""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, told once, where it happened."""


@dataclass(frozen=True, slots=True)
class PassEnded(Event):
    """A claim pass ended: how many jobs were claimed, firings released, seconds spent."""

    claimed: int
    recorded: int
    released: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FiringReleased(Event):
    """A firing was marked ``dispatched`` and handed to the sender; ``lateness`` in seconds after its nominal."""

    uid: str
    job: str
    firing: str
    attempt: int
    node: str
    lateness: float


@dataclass(frozen=True, slots=True)
class FiringClosed(Event):
    """A firing became final without running: skipped, missed, cancelled or superseded, and why."""

    firing: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class FiringHeld(Event):
    """Firings of a tenant wait, because one of its limits is reached; ``limit`` is live or rate."""

    uid: str
    limit: str
    count: int


@dataclass(frozen=True, slots=True)
class FiringBegun(Event):
    """A worker may run this attempt."""

    firing: str
    attempt: int
    fence: int
    worker: str


@dataclass(frozen=True, slots=True)
class FiringFinished(Event):
    """A worker's outcome was recorded; ``state`` is ``pending`` when another attempt follows."""

    firing: str
    attempt: int
    state: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class WriteRefused(Event):
    """A fenced write matched nothing: somebody else acted first, or the writer was too late.

    ``step`` is one of claim, record, advance, admit, mark, begin, heartbeat, finish, sweep.
    """

    step: str
    subject: str


@dataclass(frozen=True, slots=True)
class Repaired(Event):
    """The sweep mended what a crash or a lost message left; ``kind`` says what was done."""

    kind: str
    subject: str


@dataclass(frozen=True, slots=True)
class PublishFailed(Event):
    """The broker raised; the messages may have got in all the same, and the sweep repeats them."""

    pool: str
    count: int
    error: str


@dataclass(frozen=True, slots=True)
class MessageDropped(Event):
    """A worker was handed a message that it does not act on.

    ``reason`` is one of forged, stale, duplicate, suspended, draining, unanswered, unreadable.
    """

    firing: str
    reason: str


@dataclass(frozen=True, slots=True)
class JobQuarantined(Event):
    """A job that cannot be read or run was set aside, in place."""

    uid: str
    job: str
    reason: str


@dataclass(frozen=True, slots=True)
class TenantPurged(Event):
    """Every trace of a deleted tenant was removed."""

    uid: str


@dataclass(frozen=True, slots=True)
class MemberGone(Event):
    """A node or worker process was declared dead: its heartbeat did not change for too long."""

    kind: str
    member: str


@dataclass(frozen=True, slots=True)
class ClockOff(Event):
    """This process's wall clock differs from MongoDB's by ``seconds``; beyond the limit it stops claiming."""

    seconds: float


@dataclass(frozen=True, slots=True)
class LoopFailed(Event):
    """A round of a loop raised; the loop waits and goes on."""

    loop: str
    error: str


Listener = Callable[[Event], None]


class Events:
    """Hands each event to every listener, in order, in the thread that announces it."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)
        self._lock = threading.Lock()

    def listen(self, listener: Listener) -> None:
        """Add a listener; it must be quick and must not raise."""
        with self._lock:
            self._listeners = [*self._listeners, listener]

    def emit(self, event: Event) -> None:
        """Announce ``event``."""
        for listener in self._listeners:
            listener(event)
