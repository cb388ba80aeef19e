"""Who changed what, when and why: one document a change, in the collection ``audit``.

Shape::

    {_id: "9f…", v: 1, at: ISODate, who: "ann", what: "tenant.suspend", tenant: "acme"?, uid: "acme-k3x9q2"?,
     why: "unpaid", details: {...}}

What a purge leaves of a tenant is here too, with ``what: "tenant.purged"``: its certificate, and, as long as the
purge is to be repeated, ``again_at`` and the place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database

from jobstore.connection import Document, stored
from jobstore.ids import IdSource

VERSION: Final = 1
PURGED: Final = "tenant.purged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One change; ``tenant`` and ``uid`` are empty where it is about the whole cluster."""

    at: datetime
    who: str
    what: str
    tenant: str = ""
    uid: str = ""
    why: str = ""
    details: Mapping[str, Any]


class Audit:
    """Writes and reads notes; nothing changes or removes one."""

    def __init__(self, control: Database[Document], ids: IdSource) -> None:
        self._audit = control["audit"]
        self._ids = ids

    @stored
    def ensure(self) -> None:
        """Create the indexes (idempotent)."""
        self._audit.create_index([("tenant", ASCENDING), ("at", DESCENDING)], name="tenant_at")
        self._audit.create_index("again_at", name="again_at", sparse=True)

    @stored
    def write(self, note: Note) -> None:
        """Keep a note."""
        self._audit.insert_one(
            {
                "_id": self._ids.token(),
                "v": VERSION,
                "at": note.at,
                "who": note.who,
                "what": note.what,
                "tenant": note.tenant,
                "uid": note.uid,
                "why": note.why,
                "details": dict(note.details),
            }
        )

    @stored
    def of(self, tenant: str, *, limit: int = 50) -> list[Note]:
        """Return what was noted about a tenant, or about the cluster for "", the newest first."""
        found = self._audit.find({"tenant": tenant}, sort=[("at", DESCENDING)], limit=limit)
        return [
            Note(
                at=document["at"],
                who=document["who"],
                what=document["what"],
                tenant=document["tenant"],
                uid=document["uid"],
                why=document["why"],
                details=document["details"],
            )
            for document in found
        ]

    @stored
    def bury(self, uid: str, fields: Mapping[str, Any], *, again_at: datetime | None) -> bool:
        """Keep a purged tenant's tombstone; False if there is one already."""
        result = self._audit.update_one(
            {"_id": f"purged:{uid}"},
            {"$setOnInsert": {"v": VERSION, "uid": uid, "what": PURGED, "again_at": again_at, **fields}},
            upsert=True,
        )
        return result.upserted_id is not None

    @stored
    def tombstones(self, tenant: str) -> list[Document]:
        """Return the tombstones of a tenant id, the newest first: an id may have been used several times."""
        return list(self._audit.find({"tenant": tenant, "what": PURGED}, sort=[("at", DESCENDING)]))

    @stored
    def unquiet(self, now: datetime) -> list[Document]:
        """Return the tombstones whose purge is to be repeated by now."""
        return list(self._audit.find({"again_at": {"$lte": now}}, limit=100))

    @stored
    def repeated(self, tombstone: Mapping[str, Any], *, again_at: datetime | None, found: Mapping[str, int]) -> bool:
        """Note a repetition of the purge; False if another node was quicker."""
        change: Document = {"$push": {"repeats": dict(found)}}
        if again_at is None:
            change["$unset"] = {"again_at": "", "place": ""}
        else:
            change["$set"] = {"again_at": again_at}
        result = self._audit.update_one({"_id": tombstone["_id"], "again_at": tombstone["again_at"]}, change)
        return result.matched_count == 1
