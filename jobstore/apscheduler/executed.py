"""The ledger as the executor for APScheduler reads it: its own records, which name references."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import ASCENDING

from jobstore.connection import Document, stored
from jobstore.firing import Firing, read_firing
from jobstore.lifecycle import FINAL, OPEN
from jobstore.store import Store
from jobstore.tenant import Place

KIND: Final = "reference"
_OPEN_INDEX: Final = "open"


class Executed:
    """The records of one tenant's executor, in whatever ledger they are."""

    def __init__(self, store: Store, place: Place) -> None:
        self._firings = store.collections.firings(place)
        self._mine: Document = {"tenant": place.uid, "target.kind": KIND}

    @stored
    def open_of(self, job: str, alias: str) -> list[Firing]:
        """Return a job's records that are not final, the earliest run time first."""
        wanted = {"state": {"$in": list(OPEN)}, "attend_at": {"$exists": True}, "job": job, "incarnation": alias}
        found = self._firings.find(
            self._mine | wanted, sort=[("nominal", ASCENDING), ("_id", ASCENDING)], hint=_OPEN_INDEX
        )
        return [read_firing(document) for document in found]

    @stored
    def ended(self, ids: Sequence[str]) -> list[Firing]:
        """Return those of ``ids`` that are final, in the order in which they ended."""
        found = self._firings.find({"_id": {"$in": list(ids)}, "state": {"$in": sorted(FINAL)}})
        return sorted(map(read_firing, found), key=lambda firing: (firing.finished_at or firing.created_at, firing.id))

    @stored
    def unbegun(self, *, until: datetime, limit: int) -> list[Firing]:
        """Return dispatched records that no worker has begun by ``attend_at``, the longest overdue first."""
        wanted = {"state": "dispatched", "attend_at": {"$lte": until}}
        found = self._firings.find(self._mine | wanted, sort=[("attend_at", ASCENDING)], limit=limit, hint=_OPEN_INDEX)
        return [read_firing(document) for document in found]

    @stored
    def pending(self, *, limit: int) -> list[Firing]:
        """Return records that are not released, the earliest run time first."""
        wanted = {"state": "pending", "attend_at": {"$exists": True}}
        found = self._firings.find(
            self._mine | wanted, sort=[("nominal", ASCENDING), ("_id", ASCENDING)], limit=limit, hint=_OPEN_INDEX
        )
        return [read_firing(document) for document in found]

    @stored
    def running(self) -> list[Firing]:
        """Return what workers have begun and not finished."""
        wanted: dict[str, Any] = {"state": "running", "attend_at": {"$exists": True}}
        return [read_firing(document) for document in self._firings.find(self._mine | wanted, hint=_OPEN_INDEX)]
