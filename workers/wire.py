"""The message that tells a worker to begin one attempt.  Pure.

The body carries no arguments and no task name: only who, which firing, which attempt, and a signature.  Everything
else a worker reads from the ledger, so a message can be repeated, late or forged without doing harm.

Shape of the keyword arguments of ``horarium.run``::

    {v: 1, uid: "acme-k3x9q2", firing: "acme-k3x9q2:abc…", attempt: 1, epoch: 1, mac: "9f…"}
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from jobstore.ids import uid_of

WIRE_VERSION: Final = 1
TASK: Final = "horarium.run"
# Between the soft limit, which raises in the running code, and the end of a process that does not heed it.
KILL_GRACE_S: Final = 10.0
# How long a worker goes on trying to write an outcome: longer than the longest outage of MongoDB we promise to survive.
FINISH_WITHIN_S: Final = 20 * 60.0
# Celery's own hard limit would also end a process that has done its work and waits for MongoDB, so it comes last.
HARD_GRACE_S: Final = KILL_GRACE_S + FINISH_WITHIN_S

Fault = Literal["unreadable", "forged"]
_FIELDS: Final = frozenset(("v", "uid", "firing", "attempt", "epoch", "mac"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One attempt to be handed to a pool; ``time_limit_s`` ends the run."""

    uid: str
    firing: str
    attempt: int
    epoch: int
    pool: str
    time_limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What a message says, once its signature has been checked."""

    uid: str
    firing: str
    attempt: int
    epoch: int


class BadMessage(ValueError):
    """A message that must be dropped; ``fault`` says why, ``firing`` what it claims to be about."""

    def __init__(self, fault: Fault, firing: str = "") -> None:
        super().__init__(fault)
        self.fault = fault
        self.firing = firing


def queue_of(pool: str) -> str:
    """Return the broker queue that the workers of ``pool`` consume."""
    return f"horarium.{pool}"


def task_id(message: Message) -> str:
    """Return the Celery task id: equal for every delivery of the same attempt."""
    return f"{message.firing}.{message.attempt}"


def time_limits(message: Message) -> tuple[float, float] | None:
    """Return (hard, soft) limits in seconds, or None if the run is not limited."""
    soft = message.time_limit_s
    return None if soft is None else (soft + HARD_GRACE_S, soft)


def sign(key: bytes, *, uid: str, firing: str, attempt: int, epoch: int) -> str:
    """Return the HMAC-SHA256 of a message as hexadecimal text."""
    text = f"horarium.run|{WIRE_VERSION}|{len(uid)}:{uid}|{len(firing)}:{firing}|{attempt}|{epoch}"
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()


def encode(message: Message, key: bytes) -> dict[str, str | int]:
    """Return the keyword arguments of ``horarium.run``."""
    return {
        "v": WIRE_VERSION,
        "uid": message.uid,
        "firing": message.firing,
        "attempt": message.attempt,
        "epoch": message.epoch,
        "mac": sign(key, uid=message.uid, firing=message.firing, attempt=message.attempt, epoch=message.epoch),
    }


def decode(fields: Mapping[str, object], key: bytes) -> Order:
    """Return what the keyword arguments of a received message say.

    Raises:
        BadMessage: It is of another version, damaged, or not signed with our key.
    """
    firing = fields.get("firing")
    if not isinstance(firing, str):
        raise BadMessage("unreadable")
    if fields.keys() != _FIELDS or not _whole(fields["v"]) or fields["v"] != WIRE_VERSION:
        raise BadMessage("unreadable", firing[:100])
    uid, attempt, epoch, mac = fields["uid"], fields["attempt"], fields["epoch"], fields["mac"]
    if not (isinstance(uid, str) and isinstance(mac, str) and _whole(attempt) and _whole(epoch)):
        raise BadMessage("unreadable", firing[:100])
    order = Order(uid, firing, int(str(attempt)), int(str(epoch)))
    expected = sign(key, uid=order.uid, firing=order.firing, attempt=order.attempt, epoch=order.epoch)
    # A ledger may be shared: a message of one tenant must not reach another's record in it.
    if not hmac.compare_digest(expected.encode(), mac.encode()) or uid_of(firing) != uid:
        raise BadMessage("forged", firing[:100])
    return order


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
