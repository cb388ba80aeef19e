"""A tenant, and its place: where its documents are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from jobstore.connection import Document
from jobstore.errors import Unreadable

Codec = Literal["structured", "pickled"]
TenantState = Literal["active", "suspended", "draining", "deleted"]
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a tenant's documents are: no query can be made without one.

    ``codec`` says how jobs are written: ``structured`` BSON, or ``pickled`` in a collection adopted from APScheduler.
    ``prefix`` is put before every job's ``_id`` where several tenants share a collection; it is empty where the
    collection is the tenant's own.
    """

    uid: str
    database: str
    jobs: str
    firings: str
    prefix: str = ""
    codec: Codec = "structured"

    @property
    def ledger(self) -> tuple[str, str]:
        """Return (database, collection) of the firings: tenants that share it are written together."""
        return (self.database, self.firings)

    def key(self, job: str) -> str:
        """Return the ``_id`` of a job's document."""
        return self.prefix + job

    def job(self, key: str) -> str:
        """Return the job id that ``key`` was made from."""
        return key.removeprefix(self.prefix)

    def scope(self) -> Document:
        """Return the part of a filter that keeps a query inside this tenant."""
        return {"tenant": self.uid} if self.prefix else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a job of the tenant gets where it says nothing itself."""

    zone: str = "UTC"
    pool: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An owner of jobs: one document of the collection ``tenants``.

    ``epoch`` grows with every suspension, resumption and deletion; a firing of an older epoch never begins.
    """

    id: str
    place: Place
    state: TenantState = "active"
    epoch: int = 1
    revision: int = 1
    weight: int = 1
    defaults: Defaults = Defaults()
    created_at: datetime

    @property
    def uid(self) -> str:
        """Return the id with a random suffix; it is never reused, even when the tenant id is."""
        return self.place.uid


def to_document(tenant: Tenant) -> Document:
    """Return the document of ``tenant``.

    Shape::

        {_id: "acme", v: 1, uid: "acme-k3x9q2", state: "active", epoch: 1, revision: 1, weight: 1,
         place: {database: "horarium", jobs: "jobs.acme-k3x9q2", firings: "firings", prefix: "", codec: "structured"},
         defaults: {zone: "Europe/Berlin", pool: "default"}, created_at: ISODate(...)}
    """
    place = tenant.place
    return {
        "_id": tenant.id,
        "v": VERSION,
        "uid": tenant.uid,
        "state": tenant.state,
        "epoch": tenant.epoch,
        "revision": tenant.revision,
        "weight": tenant.weight,
        "place": {
            "database": place.database,
            "jobs": place.jobs,
            "firings": place.firings,
            "prefix": place.prefix,
            "codec": place.codec,
        },
        "defaults": {"zone": tenant.defaults.zone, "pool": tenant.defaults.pool},
        "created_at": tenant.created_at,
    }


def from_document(document: Document) -> Tenant:
    """Return the tenant of a stored document.

    Raises:
        Unreadable: It is newer than this version, or damaged; nothing is done for that tenant until it is mended.
    """
    if document.get("v") != VERSION:
        raise Unreadable(
            f"tenant {document.get('_id')!r} is stored in version {document.get('v')!r}; this release reads {VERSION}"
        )
    try:
        place, defaults = document["place"], document["defaults"]
        return Tenant(
            id=_text(document["_id"]),
            place=Place(
                uid=_text(document["uid"]),
                database=_text(place["database"]),
                jobs=_text(place["jobs"]),
                firings=_text(place["firings"]),
                prefix=place["prefix"],
                codec=_codec(place.get("codec", "structured")),
            ),
            state=document["state"],
            epoch=int(document["epoch"]),
            revision=int(document["revision"]),
            weight=max(1, int(document["weight"])),
            defaults=Defaults(zone=_text(defaults["zone"]), pool=_text(defaults["pool"])),
            created_at=document["created_at"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"the document of tenant {document.get('_id')!r} is damaged: {error!r}") from error


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected a text, found {value!r}")
    return value


def _codec(value: object) -> Codec:
    if value == "structured" or value == "pickled":
        return value
    raise ValueError(f"there is no codec {value!r}")
