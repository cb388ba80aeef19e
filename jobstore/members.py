"""Signs of life: one document per node process and one per worker process.

A member is judged by "its (boot, counter) did not change for D seconds on my own monotonic clock since I first read
it", never by a wall-clock time in the document: after ten minutes without MongoDB every such time is past, and every
living worker's run would be started a second time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from pymongo import ReturnDocument
from pymongo.database import Database

from jobstore.clock import Clock
from jobstore.connection import Document, stored

Kind = Literal["nodes", "workers"]
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member as read: ``counter`` grows with every heartbeat, ``details`` is what it tells about itself."""

    id: str
    boot: str
    counter: int
    seen_at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)


class Members:
    """The collection of one kind of member."""

    def __init__(self, control: Database[Document], kind: Kind) -> None:
        self._members = control[kind]
        self.kind = kind

    @stored
    def beat(self, member: str, *, boot: str, counter: int, at: datetime, details: Mapping[str, Any]) -> bool:
        """Write this member's heartbeat; return whether somebody wants it to drain and stop.

        Shape: ``{_id: "node-a", v: 1, boot: "9f…", counter: NumberLong(17), seen_at: ISODate, details: {...}}``;
        ``seen_at`` is for people and is never compared with a clock.
        """
        found = self._members.find_one_and_update(
            {"_id": member},
            {"$set": {"v": VERSION, "boot": boot, "counter": counter, "seen_at": at, "details": dict(details)}},
            projection={"drain": 1},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return bool(found and found.get("drain", False))

    @stored
    def ask_to_drain(self, members: Iterable[Member]) -> int:
        """Ask members, as read, to drain and stop; they see it at their next heartbeat.  Return how many there were."""
        asked = 0
        for member in members:
            same = {"_id": member.id, "boot": member.boot}
            asked += self._members.update_one(same, {"$set": {"drain": True}}).matched_count
        return asked

    @stored
    def leave(self, member: str, *, boot: str) -> None:
        """Remove this member's own document: it goes on purpose and holds nothing any more."""
        self._members.delete_one({"_id": member, "boot": boot})

    @stored
    def remove(self, members: Iterable[Member]) -> None:
        """Remove members that were declared dead, if they have not come back since."""
        for member in members:
            self._members.delete_one({"_id": member.id, "boot": member.boot, "counter": member.counter})

    @stored
    def all(self) -> list[Member]:
        """Return every member, in order of id."""
        return [
            Member(
                id=document["_id"],
                boot=document["boot"],
                counter=int(document["counter"]),
                seen_at=document["seen_at"],
                details=document.get("details", {}),
            )
            for document in self._members.find({"v": VERSION}, sort=[("_id", 1)])
        ]


@dataclass(slots=True)
class Watch:
    """Remembers since when each member has stood still, on this process's monotonic clock."""

    clock: Clock
    dead_after: float
    _since: dict[str, tuple[str, int, float]] = field(default_factory=dict)

    def observe(self, members: Sequence[Member]) -> tuple[list[Member], list[Member]]:
        """Return (living, dead) of ``members`` as just read."""
        now = self.clock.monotonic()
        living: list[Member] = []
        dead: list[Member] = []
        for member in members:
            boot, counter, since = self._since.get(member.id, ("", -1, now))
            if (boot, counter) != (member.boot, member.counter):
                since = now
                self._since[member.id] = (member.boot, member.counter, now)
            (dead if now - since > self.dead_after else living).append(member)
        known = {member.id for member in members}
        self._since = {name: seen for name, seen in self._since.items() if name in known}
        return living, dead


@dataclass(slots=True)
class Absence:
    """Remembers since when a name that should be there has been missing (a worker whose document is gone)."""

    clock: Clock
    _since: dict[str, float] = field(default_factory=dict)

    def missing_for(self, present: Iterable[str], wanted: Iterable[str]) -> dict[str, float]:
        """Return how many seconds each of ``wanted`` has been missing from ``present``."""
        now = self.clock.monotonic()
        gone = set(wanted) - set(present)
        self._since = {name: self._since.get(name, now) for name in gone}
        return {name: now - since for name, since in self._since.items()}
