"""Releasing admitted firings: mark them in bulk, then hand the messages to the sender.

The mark comes first, so that a worker finds ``dispatched``; what was marked and never begun is repeated by the sweep.
A publish that raises may have got in all the same, so nothing is undone.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cluster.gating import Gatekeeper
from cluster.policy import NodePolicy
from jobstore.clock import Clock, to_posix
from jobstore.errors import BrokerUnavailable
from jobstore.events import FiringReleased, PublishFailed, WriteRefused
from jobstore.ledger import Ledger, Mark
from jobstore.pools import Routes
from jobstore.runtime import Runtime
from jobstore.servertime import ServerTime
from workers.sender import Sender
from workers.wire import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A firing whose attempt holds a slot and a fence, and may be released; ``due`` is its last instant, POSIX."""

    uid: str
    job: str
    firing: str
    attempt: int
    fence: int
    epoch: int
    due: float
    pool: str
    time_limit_s: float | None

    def message(self, lane: str) -> Message:
        """Return the message that tells a worker of the pool ``lane`` to begin."""
        return Message(
            uid=self.uid,
            firing=self.firing,
            attempt=self.attempt,
            epoch=self.epoch,
            pool=lane,
            time_limit_s=self.time_limit_s,
        )


@dataclass(slots=True)
class Breaker:
    """Keeps a node from hammering a broker that does not answer: open for half a second, doubling to five."""

    clock: Clock
    _until: float = 0.0
    _wait: float = 0.5

    def closed(self) -> bool:
        """Return whether a publish may be tried."""
        return self.clock.monotonic() >= self._until

    def failed(self) -> None:
        """Open it."""
        self._until = self.clock.monotonic() + self._wait
        self._wait = min(5.0, self._wait * 2)

    def worked(self) -> None:
        """Close it."""
        self._until, self._wait = 0.0, 0.5


@dataclass(slots=True)
class Dispatcher:
    """Marks and publishes for one node."""

    sender: Sender
    runtime: Runtime
    time: ServerTime
    policy: NodePolicy
    node: str
    routes: Routes
    gate: Gatekeeper | None = None
    breaker: Breaker = field(init=False)
    _unsent: dict[str, Message] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.breaker = Breaker(self.runtime.clock)

    def release(self, ledger: Ledger, admitted: Sequence[Admitted]) -> list[Message]:
        """Mark what is admitted; return the messages of those that were still waiting for just that.

        While the breaker is open nothing is marked: the records stay pending, and release finds them.
        """
        if not admitted or not self.breaker.closed():
            return []
        now = self.time.now()
        if self.gate is not None:
            admitted = self.gate.pass_through(admitted, now)
        lanes = {one.firing: self.routes.pool(one.uid, one.pool) for one in admitted}
        marks = [
            Mark(one.firing, one.attempt, one.fence, lanes[one.firing] if lanes[one.firing] != one.pool else None)
            for one in admitted
        ]
        republish_at = now + self.policy.republish_wait(1)
        marked = ledger.mark(marks, node=self.node, at=now, republish_at=republish_at)
        self.runtime.points.reach("mark.after")
        for one in admitted:
            if one.firing in marked:
                late = to_posix(now) - one.due
                self.runtime.events.emit(
                    FiringReleased(one.uid, one.job, one.firing, one.attempt, self.node, round(late, 6))
                )
            else:
                self.runtime.events.emit(WriteRefused("mark", one.firing))
        return [one.message(lanes[one.firing]) for one in admitted if one.firing in marked]

    def publish(self, messages: Sequence[Message]) -> bool:
        """Hand messages to the broker, bounded in time; return False if any may not have got in."""
        if not messages:
            return True
        try:
            self.sender.send(messages)
        except BrokerUnavailable as error:
            self.breaker.failed()
            self.leave(messages)
            self.runtime.events.emit(PublishFailed(messages[0].pool, len(messages), str(error)))
            return False
        self.breaker.worked()
        self.runtime.points.reach("publish.after")
        return True

    def leave(self, messages: Sequence[Message]) -> None:
        """Keep messages that were marked and not published, for this node's next sweep to repeat."""
        with self._lock:
            self._unsent |= {message.firing: message for message in messages}

    def unsent(self) -> list[Message]:
        """Return, once, the messages that may not have got in; what is lost with this node the sweep finds."""
        with self._lock:
            taken, self._unsent = list(self._unsent.values()), {}
        return taken


def admitted_from(document: dict[str, Any], *, fence: int) -> Admitted:
    """Return a firing to release, from its record."""
    return Admitted(
        uid=document["tenant"],
        job=document["job"],
        firing=document["_id"],
        attempt=document["attempt"],
        fence=fence,
        epoch=document["epoch"],
        due=document["covers"]["through"],
        pool=document["pool"],
        time_limit_s=document["time_limit_s"],
    )


def trust_ends(started: float, policy: NodePolicy) -> float:
    """Return until when, on the monotonic clock, a claim begun at ``started`` may be acted upon."""
    return started + (policy.lease - policy.margin) / timedelta(seconds=1)
