"""Quarantine: jobs and firings that cannot be read or run, where they are, with their reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo import ASCENDING

from jobstore.connection import Document, Documents, stored
from jobstore.errors import Unreadable
from jobstore.firing import Firing, read_firing
from jobstore.ids import uid_of
from jobstore.ledger import RETENTION
from jobstore.lifecycle import OPEN, after, before, job_after
from jobstore.tenant import Place
from jobstore.tenants import Collections

# An open record that nobody can act upon is looked at this seldom: at every round it would crowd out the others.
UNREADABLE_EVERY: Final = timedelta(hours=1)
UNKNOWN_TENANT_EVERY: Final = timedelta(minutes=1)


@stored
def set_aside(firings: Documents, document: Mapping[str, Any], reason: str, *, at: datetime) -> None:
    """Put an open record that cannot be read into quarantine, by the raw values found."""
    firings.update_one(
        {"_id": document["_id"], "state": document.get("state"), "attend_at": document.get("attend_at")},
        {"$set": {"attend_at": at + UNREADABLE_EVERY, "quarantine": {"reason": reason[:2000], "at": at}}},
    )


@stored
def put_off(firings: Documents, documents: Sequence[Mapping[str, Any]], *, at: datetime) -> None:
    """Look later at open records of a tenant that this node does not know."""
    ids = [document["_id"] for document in documents]
    firings.update_many(
        {"_id": {"$in": ids}, "state": {"$in": list(OPEN)}, "attend_at": {"$lte": at}},
        {"$set": {"attend_at": at + UNKNOWN_TENANT_EVERY}},
    )


def read_own(document: Mapping[str, Any]) -> Firing:
    """Return the firing of an open record, which must name the tenant that its id names.

    Raises:
        Unreadable: It does not, so somebody edited it by hand; or it cannot be read at all.
    """
    if uid_of(str(document.get("_id"))) != document.get("tenant"):
        raise Unreadable(f"the firing {document.get('_id')!r:.80} names the tenant {document.get('tenant')!r:.80}")
    return read_firing(document)


@dataclass(frozen=True, slots=True)
class Quarantine:
    """One tenant's jobs and firings in quarantine."""

    collections: Collections
    place: Place

    @stored
    def jobs(self, *, limit: int) -> list[Document]:
        """Return the documents of jobs in quarantine, in no order."""
        wanted = {"next_run_time": {"$type": "null"}, "state": job_after("quarantine")} | self.place.scope()
        # Stock's index is sparse; with a type in the filter it serves all the same.
        return list(self.collections.jobs(self.place).find(wanted, limit=limit, hint="next_run_time_1"))

    @stored
    def firings(self, *, limit: int) -> list[Document]:
        """Return the open records in quarantine, the earliest id first."""
        wanted = {"state": {"$in": list(OPEN)}, "attend_at": {"$exists": True}, "quarantine": {"$exists": True}}
        found = self.collections.firings(self.place).find(
            wanted | {"tenant": self.place.uid}, sort=[("_id", ASCENDING)], limit=limit
        )
        return list(found)

    @stored
    def retry(self, firing: str, *, at: datetime) -> bool:
        """Let nodes look at a record in quarantine at once, as if it were new; False if there is none."""
        result = self.collections.firings(self.place).update_one(
            self._one(firing) | {"state": {"$in": list(OPEN)}},
            {"$set": {"attend_at": at, "publishes": 1}, "$unset": {"quarantine": ""}},
        )
        return result.matched_count == 1

    @stored
    def discard(self, firing: str, *, at: datetime) -> bool:
        """Cancel a record in quarantine that has not begun; False if there is none."""
        ended = {"state": after("cancel"), "reason": "discarded", "finished_at": at, "expire_at": at + RETENTION}
        result = self.collections.firings(self.place).update_one(
            self._one(firing) | {"state": {"$in": before("cancel")}}, {"$set": ended, "$unset": {"attend_at": ""}}
        )
        return result.matched_count == 1

    def _one(self, firing: str) -> Document:
        return {"_id": firing, "tenant": self.place.uid, "quarantine": {"$exists": True}}
