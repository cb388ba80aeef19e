"""What may be chosen for a tenant, in three tiers: for the whole cluster, then by its plan, then for itself.

A tier says only what it wants to say; the nearest one that says something counts, and at the end stand the values of
``BASE``.  Tiers are stored as they were written, and put together by every reader.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jobstore.errors import InvalidInput
from jobstore.timetable.zones import read_zone

HEAVIEST: Final = 1000


class Choices(BaseModel):
    """One tier, or all of them put together; None says nothing, and for a limit in the end: no limit.

    Attributes:
        time_zone: Zone of jobs that name none.
        pool: Worker pool of jobs that name none.
        weight: Share of a pass in which several tenants have work.
        catch_up: Of jobs that say nothing: latest, all or none.
        overlap: Of jobs that say nothing: skip or buffer_one.
        misfire_grace_s: Of jobs that say nothing, in seconds.
        max_attempts: Of jobs that say nothing.
        max_jobs: Most jobs.
        min_interval_s: Least time between two instants of a job, in seconds.
        max_payload_bytes: Most bytes that the arguments of a job take.
        max_per_s: Most firings handed over in a second, on average.
        burst: Most firings handed over at once where there is a rate.
        max_live: Most firings handed over and not ended at a time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    time_zone: str | None = None
    pool: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]{0,38}$")
    weight: int | None = Field(default=None, ge=1, le=HEAVIEST)
    catch_up: Literal["latest", "all", "none"] | None = None
    overlap: Literal["skip", "buffer_one"] | None = None
    misfire_grace_s: float | None = Field(default=None, gt=0, le=366 * 86_400)
    max_attempts: int | None = Field(default=None, ge=1, le=100)
    max_jobs: int | None = Field(default=None, ge=0, le=10_000_000)
    min_interval_s: float | None = Field(default=None, gt=0, le=366 * 86_400)
    max_payload_bytes: int | None = Field(default=None, ge=0, le=256 * 1024)
    max_per_s: float | None = Field(default=None, gt=0, le=100_000)
    burst: int | None = Field(default=None, ge=1, le=1_000_000)
    max_live: int | None = Field(default=None, ge=1, le=10_000)

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str | None) -> str | None:
        if value is not None:
            read_zone(value)
        return value

    def said(self) -> dict[str, Any]:
        """Return what this tier says: its stored form."""
        return self.model_dump(exclude_none=True)


BASE: Final = Choices(time_zone="UTC", pool="default", weight=1)
KEYS: Final = tuple(Choices.model_fields)


def together(*tiers: Choices) -> Choices:
    """Return what counts; the tiers come from the widest to the nearest."""
    found = BASE.said()
    for tier in tiers:
        found |= tier.said()
    return Choices(**found)


def read_choices(fields: Mapping[str, Any]) -> Choices:
    """Return the tier of ``fields`` as written by people or as stored.

    Raises:
        InvalidInput: With a sentence for every fault.
    """
    try:
        return Choices.model_validate(dict(fields))
    except ValidationError as error:
        raise InvalidInput(*(_sentence(fault) for fault in error.errors())) from error


def _sentence(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(part)[:60] for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{where} cannot be chosen for a tenant; known: {', '.join(KEYS)}"
    message = str(fault["msg"]).removeprefix("Value error, ").replace("Input should be", "it must be")
    return f"{where}: {message}, not {fault.get('input')!r:.60}"
