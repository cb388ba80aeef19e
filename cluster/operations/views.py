"""What operations answer with: frozen values whose fields are the JSON contract.

A field may be added; none is renamed or removed without a new version of the contract.  Instants are RFC 3339 in UTC,
lengths are seconds.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any, Literal

from cluster.operations.words import instant
from jobstore.noted import Line, Progress

Verdict = Literal["created", "changed", "unchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantView:
    """A tenant; ``jobs`` is how many it has, ``next_due`` when something is due there next (it may be early).

    ``halt`` says who stopped it, why, since and until when, and when it is purged.
    """

    tenant: str
    uid: str
    state: str
    time_zone: str
    pool: str
    weight: int
    epoch: int
    revision: int
    database: str
    jobs_collection: str
    firings_collection: str
    prefix: str
    created_at: datetime
    codec: str = "structured"
    plan: str | None = None
    halt: Mapping[str, Any] | None = None
    jobs: int | None = None
    next_due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantResult:
    """What became of a tenant that was asked for."""

    verdict: Verdict
    tenant: TenantView


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptResult:
    """What became of a collection that was adopted: how many of its jobs can be read, and why others cannot."""

    verdict: Verdict
    tenant: TenantView
    readable: int
    unreadable: int
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStop:
    """What became of a tenant that was suspended, drained, resumed or deleted, and why it does not run.

    ``cancelled`` firings had not begun, ``waiting`` ones still have not, ``running`` ones go on to their end.  ``jobs``
    and ``firings`` are what a deletion removes.
    """

    verdict: Literal["changed", "unchanged"]
    tenant: str
    uid: str
    state: str
    epoch: int
    cancelled: int
    waiting: int
    running: int
    who: str | None
    why: str | None
    since: datetime | None
    until: datetime | None
    purge_at: datetime | None
    gap: str | None
    jobs: int | None = None
    firings: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TierView:
    """A plan, the cluster's tier or a tenant's own: ``choices`` as said, ``counts`` with what the wider tiers say.

    ``changes`` maps a choice to what it was and what it is now.
    """

    verdict: str
    name: str
    revision: int
    author: str
    at: datetime | None
    choices: Mapping[str, Any]
    changes: Mapping[str, Any]
    counts: Mapping[str, Any] | None
    plan: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageView:
    """What a tenant uses of what it may; a limit that is None is none.

    ``per_s`` is over the last ten seconds, and known only where there is a limit.
    """

    tenant: str
    plan: str | None
    jobs: int
    max_jobs: int | None
    live: int
    max_live: int | None
    waiting: int
    per_s: float | None
    max_per_s: float | None
    burst: int | None
    min_interval_s: float | None
    max_payload_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A job or firing in quarantine, and why."""

    kind: Literal["job", "firing"]
    tenant: str
    id: str
    job: str
    at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One line of a list of jobs; ``reason`` says why a job is in quarantine or cannot be read."""

    tenant: str
    job: str
    state: str
    when: str
    target: str
    pool: str
    next_at: datetime | None
    revision: int | None
    description: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job whole: ``when`` in words, ``next`` its next instants, ``last`` its newest firing."""

    tenant: str
    job: str
    state: str
    when: str
    trigger: Mapping[str, Any]
    target: Mapping[str, Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    pool: str
    description: str
    catch_up: str
    catch_up_limit: int
    overlap: str
    max_instances: int
    misfire_grace_s: float | None
    time_limit_s: float | None
    retry: Mapping[str, Any]
    revision: int
    next: tuple[datetime, ...]
    reason: str | None
    created_at: datetime | None
    last: "FiringView | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutResult:
    """What became of a job that was put; ``notes`` are about clock changes, ``warnings`` about what may be wrong."""

    verdict: Verdict
    job: JobView
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopResult:
    """What became of a job that was deleted, paused or resumed.

    ``cancelled`` firings had not begun; ``running`` ones go on and end by themselves.
    """

    verdict: Literal["deleted", "changed", "unchanged"]
    tenant: str
    job: str
    state: str
    cancelled: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoversView:
    """The instants that one record answers for; ``exact`` is false where ``count`` is a lower bound."""

    start: datetime
    through: datetime
    count: int
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringView:
    """A firing; ``why`` says in a sentence what became of it.

    ``progress``, ``log`` and ``once`` are what its code said; ``log_dropped`` older lines are gone.
    """

    tenant: str
    job: str
    firing: str
    kind: str
    nominal: datetime
    covers: CoversView
    state: str
    reason: str
    why: str
    attempt: int
    fence: int | None
    revision: int
    target: Mapping[str, Any]
    pool: str
    node: str | None
    worker: str | None
    created_at: datetime
    released_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    late_s: float | None
    seconds: float | None
    result: Any
    error: str | None
    attempts: tuple[Mapping[str, Any], ...]
    progress: Progress | None = None
    log: tuple[Line, ...] = ()
    log_dropped: int = 0
    once: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerResult:
    """The manual firing of a job; ``created`` is false when the key had been used before."""

    created: bool
    firing: FiringView


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedObject:
    """What became of one object of a file; ``faults`` say why it was refused."""

    kind: Literal["tenant", "job"]
    tenant: str
    name: str
    verdict: Literal["created", "changed", "unchanged", "ended", "refused"]
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    exit_code: int = 0


def plain(value: Any) -> Any:
    """Return ``value`` as JSON can say it: dataclasses become objects, instants texts, bytes base64."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value
