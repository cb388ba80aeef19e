"""A tenant, and its place: where its documents are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, get_args

from jobstore.choices import BASE, Choices, read_choices, together
from jobstore.connection import Document
from jobstore.errors import InvalidInput, Unreadable
from jobstore.halt import Gap, Halt, read_gap, read_halt
from jobstore.lifecycle import TenantState

Codec = Literal["structured", "pickled"]
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

    ``epoch`` grows with every suspension, resumption and deletion; a firing of an older epoch never begins.  ``own``
    is what was chosen for this tenant itself, None as long as nobody put that apart; ``choices`` is what counts, and
    ``weight`` and ``defaults`` repeat parts of it.
    """

    id: str
    place: Place
    state: TenantState = "active"
    epoch: int = 1
    revision: int = 1
    weight: int = 1
    defaults: Defaults = Defaults()
    created_at: datetime
    plan: str | None = None
    own: Choices | None = None
    choices: Choices = BASE
    halt: Halt | None = None
    gap: Gap | None = None

    @property
    def uid(self) -> str:
        """Return the id with a random suffix; it is never reused, even when the tenant id is."""
        return self.place.uid


def to_document(tenant: Tenant) -> Document:
    """Return the document of ``tenant``.

    Shape::

        {_id: "acme", v: 1, uid: "acme-k3x9q2", state: "active", epoch: 1, revision: 1, weight: 1,
         place: {database: "horarium", jobs: "jobs.acme-k3x9q2", firings: "firings", prefix: "", codec: "structured"},
         defaults: {zone: "Europe/Berlin", pool: "default"}, choices: {weight: 3}, plan: "pro"?, created_at: ISODate(...),
         halt: {who, why, since, until?, gap, purge_at?}?, gap: {through: 1795683000.0, policy: "skip"}?}

    ``choices`` are the tenant's own; ``weight`` and ``defaults`` repeat what counted when it was written.
    """
    place = tenant.place
    said: Document = {"plan": tenant.plan} if tenant.plan is not None else {}
    if tenant.halt is not None:
        said["halt"] = tenant.halt.fields()
    if tenant.gap is not None:
        said["gap"] = tenant.gap.fields()
    return said | {
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
        "choices": own_choices(tenant).said(),
        "created_at": tenant.created_at,
    }


def own_choices(tenant: Tenant) -> Choices:
    """Return what was chosen for the tenant itself."""
    return _apart(tenant.weight, tenant.defaults) if tenant.own is None else tenant.own


def _apart(weight: int, defaults: Defaults) -> Choices:
    """Return the choices of a tenant that was written when there was one tier: what is not the base was chosen."""
    found: dict[str, Any] = {"time_zone": defaults.zone, "pool": defaults.pool, "weight": weight}
    base = BASE.said()
    return Choices(**{name: value for name, value in found.items() if value != base[name]})


def with_tiers(tenant: Tenant, *wider: Choices) -> Tenant:
    """Return the tenant with what counts for it; ``wider`` are the cluster's tier and its plan's."""
    own = own_choices(tenant)
    counts = together(*wider, own)
    return replace(
        tenant,
        own=own,
        choices=counts,
        weight=counts.weight or 1,
        defaults=Defaults(zone=counts.time_zone or "UTC", pool=counts.pool or "default"),
    )


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
            state=_state(document["state"]),
            epoch=int(document["epoch"]),
            revision=int(document["revision"]),
            weight=max(1, int(document["weight"])),
            defaults=Defaults(zone=_text(defaults["zone"]), pool=_text(defaults["pool"])),
            created_at=document["created_at"],
            plan=document.get("plan"),
            own=_own(document.get("choices")),
            halt=read_halt(document.get("halt")),
            gap=read_gap(document.get("gap")),
        )
    except InvalidInput as error:
        raise Unreadable(f"the choices of tenant {document.get('_id')!r} cannot be read: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"the document of tenant {document.get('_id')!r} is damaged: {error!r}") from error


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected a text, found {value!r}")
    return value


def _own(value: Mapping[str, object] | None) -> Choices | None:
    return None if value is None else read_choices(value)


def _state(value: object) -> TenantState:
    for known in get_args(TenantState):
        if value == known:
            found: TenantState = known
            return found
    raise ValueError(f"there is no state {value!r}")


def _codec(value: object) -> Codec:
    if value == "structured" or value == "pickled":
        return value
    raise ValueError(f"there is no codec {value!r}")
