"""A job: the durable definition of what runs when, and where it stands."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import bson
from bson.errors import InvalidDocument
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jobstore.errors import InvalidInput
from jobstore.lifecycle import JobState
from jobstore.timetable import Timetable

MAX_PAYLOAD = 256 * 1024

TargetName = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:\-]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Target(_Strict):
    """What a firing calls: a Celery task by its name, a function registered by a name.

    ``reference`` is APScheduler's own ``module:function``; only an adopted collection holds such jobs.
    """

    kind: Literal["task", "function", "reference"] = "task"
    name: TargetName


class Retry(_Strict):
    """How often a firing is tried, and how long it waits in between."""

    max_attempts: int = Field(default=1, ge=1, le=100)
    delay_s: float = Field(default=30.0, ge=0, le=86_400)
    factor: float = Field(default=2.0, ge=1, le=10)
    max_delay_s: float = Field(default=3600.0, ge=0, le=7 * 86_400)
    on_lost: Literal["retry", "fail"] = "retry"

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait after attempt number ``attempt`` failed."""
        exponent = min(attempt - 1, 64)
        return float(min(self.max_delay_s, self.delay_s * self.factor**exponent))


class JobSpec(_Strict):
    """What an owner writes: everything about a job but its timetable's position.

    ``catch_up`` says what becomes of instants that were missed: ``latest`` makes one firing for all of them, ``all``
    one for each, oldest first, of the newest ``catch_up_limit``, each waiting for a slot, ``none`` only those within
    the grace.  ``overlap`` says what becomes of an instant when all slots are taken: ``skip``, or ``buffer_one`` lets
    one wait.  ``misfire_grace_s`` bounds how late a firing may still be made, none by default (with ``none``: 60);
    ``time_limit_s`` ends a run.
    """

    trigger: Mapping[str, Any]
    target: Target
    args: tuple[Any, ...] = Field(default=(), strict=False)
    kwargs: Mapping[str, Any] = Field(default_factory=dict)
    description: str = Field(default="", max_length=1000)
    pool: str = Field(default="default", pattern=r"^[a-z][a-z0-9-]{0,38}$")
    catch_up: Literal["latest", "all", "none"] = "latest"
    catch_up_limit: int = Field(default=100, ge=1, le=1000)
    overlap: Literal["skip", "buffer_one"] = "skip"
    max_instances: int = Field(default=1, ge=1, le=1000)
    misfire_grace_s: float | None = Field(default=None, gt=0, le=366 * 86_400)
    time_limit_s: float | None = Field(default=None, gt=0, le=7 * 86_400)
    retry: Retry = Retry()

    @field_validator("args", "kwargs")
    @classmethod
    def _encodable(cls, value: Any) -> Any:
        check_payload(value)
        return value


def check_payload(value: Any) -> None:
    """Refuse arguments that cannot be stored as they are (raises ValueError).

    Allowed: None, bool, int of 64 bits, finite float, str, bytes, datetime, and lists and mappings of them with texts
    as keys.
    """
    _check_part(value, "the arguments", 0)
    try:
        size = len(bson.encode({"value": value}))
    except (InvalidDocument, OverflowError, UnicodeEncodeError) as error:
        raise ValueError(f"the arguments cannot be encoded: {error}") from error
    if size > MAX_PAYLOAD:
        raise ValueError(f"the arguments take {size:,} bytes; at most {MAX_PAYLOAD:,} are stored with a job")


def payload_size(spec: JobSpec) -> int:
    """Return how many bytes the arguments of a job take as they are stored."""
    return len(bson.encode({"args": list(spec.args), "kwargs": dict(spec.kwargs)}))


def _check_part(value: Any, where: str, depth: int) -> None:
    if depth > 32:
        raise ValueError(f"{where} are nested more than 32 deep")
    if value is None or isinstance(value, bool | str | bytes | datetime):
        return
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"{where} hold {value}, which has more than 64 bits; pass it as a text")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} hold {value}, which is not a number that can be stored")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if not isinstance(key, str) or "\0" in key:
                raise ValueError(f"{where} have the key {key!r}; keys are texts without NUL")
            _check_part(part, where, depth + 1)
    elif isinstance(value, list | tuple):
        for part in value:
            _check_part(part, where, depth + 1)
    else:
        raise ValueError(
            f"{where} hold a {type(value).__name__}, which cannot be stored; use None, bool, int, float, str, bytes, "
            "datetime, lists and mappings"
        )


def parse_spec(fields: Mapping[str, Any]) -> JobSpec:
    """Return the spec made of ``fields``; ``trigger`` must be a timetable's document already.

    Raises:
        InvalidInput: With one sentence for every fault.
    """
    try:
        return JobSpec.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput(*(_sentence(fault) for fault in error.errors())) from error


def _sentence(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{where} is not a setting of a job; known: {', '.join(JobSpec.model_fields)}"
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """Instants that an edit of the timetable took away and nobody has recorded yet (POSIX seconds)."""

    start: float
    through: float
    admitted: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as read from its document; instants of the timetable are POSIX seconds, as stored.

    ``nominal`` is the first instant not yet in the ledger, ``decided_through`` the last one that is.  ``slots`` are
    the ids of firings that may be live: a cache of the ledger.  ``revision`` counts edits, ``timetable_rev`` and
    ``stop_rev`` are the revisions of the last change of the timetable and of the last pause or delete.
    """

    uid: str
    id: str
    spec: JobSpec
    timetable: Timetable
    state: JobState
    incarnation: str
    revision: int
    timetable_rev: int
    stop_rev: int
    nominal: float | None
    decided_through: float | None
    next_run_time: float | None
    claim_token: int
    fence: int
    slots: tuple[str, ...]
    owed: Owed | None
    claimed_at: datetime | None
    created_at: datetime | None
    buffered: str | None = None
    pickled: bytes | None = None

    def holding(self) -> tuple[str, ...]:
        """Return the ids of firings that may hold a slot or wait for one."""
        return self.slots if self.buffered is None else (*self.slots, self.buffered)
