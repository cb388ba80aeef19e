"""The agenda: one small document a tenant that says when something is due there next.

A hint that may be early and is never late.  Every write that brings something nearer bumps before and after itself;
a claimer reads ``seq`` before it looks and raises ``next`` by compare-and-set on that ``seq``.

Shape::

    {_id: "acme-k3x9q2", v: 1, next: 1795683000.0, seq: NumberLong(41), bumped: "9f…"}

``next`` is POSIX seconds, as ``next_run_time`` of a job; null when nothing will ever be due.  ``bumped`` changes with
every bump, not with a raise, so that a change stream wakes nodes for news only.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pymongo import ASCENDING, UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from jobstore.connection import Document, stored
from jobstore.ids import IdSource


@dataclass(frozen=True, slots=True)
class Entry:
    """One tenant's line of the agenda, as read: ``seq`` guards the raise."""

    uid: str
    next: float
    seq: int


@dataclass(frozen=True, slots=True)
class Line:
    """One tenant's line, which may say that nothing will be due (``next`` None)."""

    uid: str
    next: float | None
    seq: int


class Agenda:
    """Reads, bumps and raises."""

    def __init__(self, control: Database[Document], ids: IdSource) -> None:
        self._agenda = control["agenda"]
        self._ids = ids

    @stored
    def ensure(self) -> None:
        """Create the index (idempotent)."""
        self._agenda.create_index([("next", ASCENDING)], name="next")

    @stored
    def due(self, until: float, *, limit: int) -> list[Entry]:
        """Return the tenants that may have something due at ``until`` (POSIX seconds), the most overdue first."""
        found = self._agenda.find({"next": {"$lte": until}}, sort=[("next", ASCENDING)], limit=limit)
        return [Entry(document["_id"], float(document["next"]), int(document["seq"])) for document in found]

    @stored
    def get(self, uid: str) -> Line | None:
        """Return one tenant's line."""
        found = self._agenda.find_one({"_id": uid})
        return None if found is None else Line(uid, found["next"], int(found["seq"]))

    @stored
    def bump(self, uid: str, instant: float) -> None:
        """Say that something may be due at ``instant``; called before and after the write that makes it so."""
        # Null sorts below every number, so a plain $min would keep it; here null means "never".
        change = {
            "next": {"$min": [{"$ifNull": ["$next", {"$literal": instant}]}, {"$literal": instant}]},
            "seq": {"$add": [{"$ifNull": ["$seq", {"$literal": 0}]}, 1]},
            "bumped": {"$literal": self._ids.token()},
            "v": {"$literal": 1},
        }
        with suppress(DuplicateKeyError):  # two first bumps at once: the other inserted, ours is repeated
            self._agenda.update_one({"_id": uid}, [{"$set": change}], upsert=True)
            return
        self._agenda.update_one({"_id": uid}, [{"$set": change}])

    @stored
    def raise_all(self, raises: Sequence[tuple[Entry, float | None]]) -> int:
        """Raise each entry to what was seen, unless a bump came in between; return how many were raised."""
        if not raises:
            return 0
        result = self._agenda.bulk_write(
            [UpdateOne({"_id": entry.uid, "seq": entry.seq}, {"$set": {"next": instant}}) for entry, instant in raises],
            ordered=False,
        )
        return result.matched_count

    @stored
    def remove(self, uid: str) -> None:
        """Forget a tenant that is gone."""
        self._agenda.delete_one({"_id": uid})
