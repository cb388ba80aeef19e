"""Everything that one tenant has in MongoDB: counting it, stopping it, removing it.

A ledger may be shared: a tenant's part of it is the range of ``_id`` that begins with its uid and a colon.  A
collection of jobs is dropped only where its name holds the uid, which is never used again; anywhere else the
documents are removed one by one, because the name may belong to somebody else by the time of a repetition.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import ASCENDING

from jobstore.connection import Document, Documents, stored
from jobstore.documents import LEASE
from jobstore.lifecycle import OPEN, FiringState
from jobstore.tenant import Place
from jobstore.tenants import Collections

_BATCH: Final = 500
# What claims and admissions of ours put beside a document of stock.
_OURS: Final = (
    *LEASE,
    *("claim_token", "nominal", "decided_through", "incarnation", "revision", "fence", "slots", "state", "buffered"),
    *("advance_nonce", "quarantine", "stop_rev", "claimed_at"),
)


@dataclass(frozen=True, slots=True)
class Traces:
    """One tenant's documents in its place."""

    collections: Collections
    place: Place

    @property
    def _firings(self) -> Documents:
        return self.collections.firings(self.place)

    def _range(self) -> Document:
        uid = self.place.uid
        return {"_id": {"$gte": f"{uid}:", "$lt": f"{uid};"}}

    @stored
    def count_open(self) -> dict[FiringState, int]:
        """Return how many firings have not ended, by state."""
        wanted = {"state": {"$in": list(OPEN)}, "attend_at": {"$exists": True}, "tenant": self.place.uid}
        groups = self._firings.aggregate([{"$match": wanted}, {"$group": {"_id": "$state", "n": {"$sum": 1}}}])
        counts: dict[FiringState, int] = dict.fromkeys(OPEN, 0)
        return counts | {group["_id"]: int(group["n"]) for group in groups}

    @stored
    def count(self) -> dict[str, int]:
        """Return how many jobs and firings there are."""
        return {
            "jobs": self.collections.jobs(self.place).count_documents(self.place.scope()),
            "firings": self._firings.count_documents(self._range()),
        }

    def unbegun(self, states: Sequence[str]) -> Iterator[list[Document]]:
        """Yield ids and attempts of the open firings in ``states``, batch by batch, while there are any.

        The caller ends each batch; what it leaves open would come again, so an equal batch ends the iteration.
        """
        before: list[Document] = []
        while (batch := self._open(states)) and batch != before:
            yield batch
            before = batch

    @stored
    def _open(self, states: Sequence[str]) -> list[Document]:
        # The index of open firings: a shared ledger has few of them, and any number of ended ones of this tenant.
        return list(
            self._firings.find(
                {"state": {"$in": list(states)}, "attend_at": {"$exists": True}, "tenant": self.place.uid},
                projection={"_id": 1, "attempt": 1},
                sort=[("_id", ASCENDING)],
                limit=_BATCH,
            )
        )

    @stored
    def purge(self, began: datetime) -> dict[str, int]:
        """Remove the jobs and firings there were when it ``began``; return how many of each.  Again does no harm.

        An adopted collection belongs to APScheduler's users: only what was put beside their jobs is taken away.
        """
        jobs = self.collections.jobs(self.place)
        firings = self._firings.delete_many(self._range()).deleted_count
        if self.place.codec == "pickled":
            stripped = jobs.update_many({"incarnation": {"$exists": True}}, {"$unset": dict.fromkeys(_OURS, "")})
            return {"jobs": 0, "jobs_given_back": stripped.modified_count, "firings": firings}
        removed = jobs.delete_many({"tenant": self.place.uid}).deleted_count
        if self.place.jobs == f"jobs.{self.place.uid}":
            removed += jobs.count_documents({})
            jobs.drop()
        elif self.place.prefix:
            # Documents that were edited by hand to name somebody else; the prefix may soon be another's.
            mine = {"$gte": self.place.prefix, "$lt": self.place.prefix + "\uffff"}
            removed += jobs.delete_many({"_id": mine, "created_at": {"$not": {"$gt": began}}}).deleted_count
        return {"jobs": removed, "firings": firings}

    @stored
    def purge_again(self) -> dict[str, int]:
        """Remove what a process that had stood still wrote after the purge; return how much."""
        jobs = self.collections.jobs(self.place)
        removed = jobs.delete_many({"tenant": self.place.uid}).deleted_count
        firings = self._firings.delete_many(self._range()).deleted_count
        if self.place.jobs == f"jobs.{self.place.uid}":
            jobs.drop()
        return {"jobs": removed, "firings": firings}


def place_fields(place: Place) -> Document:
    """Return the stored form of a place."""
    return {
        "uid": place.uid,
        "database": place.database,
        "jobs": place.jobs,
        "firings": place.firings,
        "prefix": place.prefix,
        "codec": place.codec,
    }


def read_place(fields: Mapping[str, Any]) -> Place:
    """Return the place that ``place_fields`` wrote."""
    return Place(**fields)
