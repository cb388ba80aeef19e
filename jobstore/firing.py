"""A firing: one nominal instant (or range) of one job, as the ledger records it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from jobstore.clock import from_posix
from jobstore.connection import Document
from jobstore.errors import Unreadable
from jobstore.ids import FiringKind
from jobstore.lifecycle import FiringAction, FiringState
from jobstore.noted import NOTHING, Noted, read_noted

VERSION: Final = 1

Decision = Literal["run", "skipped", "missed", "superseded"]
OnFull = Literal["skip", "wait"]
Wait = Literal["advance", "slot", "retry", "window", "paused", "begin", "run", "live", "rate"]


# How a record ends that was decided not to run.
CLOSING: Final[dict[Decision, FiringAction]] = {"missed": "miss", "skipped": "skip", "superseded": "supersede"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Covers:
    """The nominal instants that one record answers for, POSIX seconds; ``exact`` is False when counting was cut."""

    start: float
    through: float
    count: int
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What an attempt runs, copied from the job when the firing was recorded or the job was edited."""

    revision: int
    target: Mapping[str, Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    pool: str
    time_limit_s: float | None
    retry: Mapping[str, Any]

    def fields(self) -> Document:
        """Return the stored form, as fields of the record."""
        return {
            "revision": self.revision,
            "target": dict(self.target),
            "args": list(self.args),
            "kwargs": dict(self.kwargs),
            "pool": self.pool,
            "time_limit_s": self.time_limit_s,
            "retry": dict(self.retry),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A firing that is owed, before it is recorded.

    ``plan_next`` is the instant after its own ``covers.through``.  ``on_full`` is what becomes of it when all slots are
    taken, ``waits`` says that they were when it was planned.
    """

    id: str
    uid: str
    job: str
    incarnation: str
    kind: FiringKind
    nominal: float
    covers: Covers
    plan_next: float | None
    decision: Decision
    reason: str
    snapshot: Snapshot
    epoch: int
    on_full: OnFull = "skip"
    waits: bool = False

    def document(self, *, created_at: datetime, attend_at: datetime, wait: Wait) -> Document:
        """Return the record to insert, state ``pending``.

        Shape::

            {_id: "<uid>:<hash>", v: 1, tenant: uid, job: "report", incarnation: "5f…", kind: "scheduled",
             nominal: 1795683000.0, covers: {from, through, count, exact}, plan_next: 1795683060.0 | null,
             decision: "run", reason: "", on_full: "skip", state: "pending", attempt: 1, admitted: null | {attempt, fence},
             wait: "advance", attend_at: ISODate, epoch: 1, publishes: 0,
             revision: 1, target: {kind, name}, args: [], kwargs: {}, pool, time_limit_s, retry: {...},
             created_at: ISODate, released_at?, released_by?, run_token?, worker?, started_at?, finished_at?,
             result?, error?, attempts: [{attempt, state, reason, ...}], cancel?: {reason, by, note, at},
             noted?: {...}, routed_to?, expire_at?}

        ``attend_at`` is when a sweep looks at an open record again; final records have none.
        """
        return {
            "_id": self.id,
            "v": VERSION,
            "tenant": self.uid,
            "job": self.job,
            "incarnation": self.incarnation,
            "kind": self.kind,
            "nominal": self.nominal,
            "covers": {
                "from": self.covers.start,
                "through": self.covers.through,
                "count": self.covers.count,
                "exact": self.covers.exact,
            },
            "plan_next": self.plan_next,
            "decision": self.decision,
            "reason": self.reason,
            "on_full": self.on_full,
            "state": "pending",
            "attempt": 1,
            "admitted": None,
            "wait": wait,
            "attend_at": attend_at,
            "epoch": self.epoch,
            "publishes": 0,
            **self.snapshot.fields(),
            "created_at": created_at,
            "attempts": [],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequest:
    """Somebody wants a running firing to end: the reason that it will have, who asked, what for, and when."""

    reason: str
    by: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """A record of the ledger as read."""

    id: str
    uid: str
    job: str
    incarnation: str
    kind: FiringKind
    nominal: float
    covers: Covers
    plan_next: float | None
    decision: Decision
    reason: str
    state: FiringState
    attempt: int
    fence: int | None
    wait: Wait
    attend_at: datetime | None
    epoch: int
    publishes: int
    snapshot: Snapshot
    created_at: datetime
    released_at: datetime | None = None
    released_by: str | None = None
    run_token: str | None = None
    worker: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: Any = None
    error: str | None = None
    attempts: tuple[Mapping[str, Any], ...] = field(default=())
    on_full: OnFull = "skip"
    cancel: CancelRequest | None = None
    noted: Noted = NOTHING
    routed_to: str | None = None

    @property
    def lane(self) -> str:
        """Return the pool that it was handed to."""
        return self.routed_to or self.snapshot.pool

    @property
    def instant(self) -> datetime:
        """Return the nominal as an aware UTC instant."""
        return from_posix(self.nominal)


def read_firing(document: Mapping[str, Any]) -> Firing:
    """Return the firing of a stored record (raises Unreadable)."""
    if document.get("v") != VERSION:
        raise Unreadable(f"the firing is of version {document.get('v')!r}; this release reads {VERSION}")
    try:
        covers, admitted = document["covers"], document["admitted"]
        return Firing(
            id=document["_id"],
            uid=document["tenant"],
            job=document["job"],
            incarnation=document["incarnation"],
            kind=document["kind"],
            nominal=float(document["nominal"]),
            covers=Covers(
                start=float(covers["from"]),
                through=float(covers["through"]),
                count=int(covers["count"]),
                exact=bool(covers["exact"]),
            ),
            plan_next=None if document["plan_next"] is None else float(document["plan_next"]),
            decision=document["decision"],
            reason=document["reason"],
            state=document["state"],
            attempt=int(document["attempt"]),
            fence=None if admitted is None else int(admitted["fence"]),
            wait=document["wait"],
            attend_at=document.get("attend_at"),
            epoch=int(document["epoch"]),
            publishes=int(document["publishes"]),
            snapshot=Snapshot(
                revision=int(document["revision"]),
                target=document["target"],
                args=tuple(document["args"]),
                kwargs=document["kwargs"],
                pool=document["pool"],
                time_limit_s=document["time_limit_s"],
                retry=document["retry"],
            ),
            created_at=document["created_at"],
            released_at=document.get("released_at"),
            released_by=document.get("released_by"),
            run_token=document.get("run_token"),
            worker=document.get("worker"),
            started_at=document.get("started_at"),
            finished_at=document.get("finished_at"),
            result=document.get("result"),
            error=document.get("error"),
            attempts=tuple(document.get("attempts", ())),
            on_full=document.get("on_full", "skip"),
            cancel=_cancel(document.get("cancel")),
            noted=read_noted(document.get("noted")),
            routed_to=document.get("routed_to"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"the firing {document.get('_id')!r} is damaged: {error!r}") from error


def _cancel(stored: Mapping[str, Any] | None) -> CancelRequest | None:
    if stored is None:
        return None
    return CancelRequest(reason=stored["reason"], by=stored["by"], note=stored["note"], at=stored["at"])
