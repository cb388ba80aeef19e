"""What a process is told by its environment: every setting with its default, unit and bounds, in one place.

A setting that is empty counts as not given, because compose files and charts cannot leave a variable out.
"""

import platform
from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar

from annotated_types import Ge, Gt, Le
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cluster.policy import NodePolicy
from jobstore.errors import ConfigurationError, InvalidInput
from jobstore.ids import check_pool
from workers.settings import PoolType

PREFIX: Final = "HORARIUM_"


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)


class StoreSettings(_Settings):
    """Where the job store is, and for how long a server that does not answer is waited for."""

    mongodb_url: str = Field(
        default="mongodb://127.0.0.1:27017", description="The MongoDB replica set or sharded cluster."
    )
    database: str = Field(
        default="horarium", pattern=r"^[A-Za-z0-9_-]{1,60}$", description="The control database, by name."
    )
    start_within: float = Field(
        default=30.0, ge=0, le=3600, description="Seconds that MongoDB and the broker are waited for at the start."
    )
    crash_points: str = Field(default="", description="Tests only: where this process stops, see jobstore/points.py.")

    @field_validator("mongodb_url")
    @classmethod
    def _is_mongodb(cls, value: str) -> str:
        if not value.startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("write a URL that begins with mongodb:// or mongodb+srv://")
        return value


class CommandSettings(StoreSettings):
    """What ``horarium tenant``, ``job``, ``firing`` and ``apply`` are told: people wait less patiently than servers."""

    start_within: float = Field(
        default=10.0, ge=0, le=3600, description="Seconds that MongoDB is waited for before a command gives up."
    )


class BrokerSettings(StoreSettings):
    """The job store and the broker."""

    broker_url: str = Field(default="redis://127.0.0.1:6379/0", description="The message broker, as Celery writes it.")

    @field_validator("broker_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if "://" not in value:
            raise ValueError("write a URL such as redis://host:6379/0")
        return value


class NodeSettings(BrokerSettings):
    """What ``horarium node`` is told; times are seconds."""

    name: str = Field(
        default_factory=platform.node,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="Names this node; no two may have the same. By default the host's name.",
    )
    loglevel: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$", description="Least level that is logged."
    )
    http_host: str = Field(default="127.0.0.1", description="Where /healthz, /readyz and /metrics are answered.")
    http_port: int = Field(default=9464, ge=0, le=65535, description="The port for them; 0 takes a free one.")
    metrics_tenants: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Tenants whose lateness is counted apart, separated by commas."
    )
    stop_within: float = Field(default=20.0, gt=0, le=600, description="Seconds for ending what is under way.")
    lease: float = Field(default=10.0, ge=1, le=600, description="How long a claim lasts.")
    margin: float = Field(
        default=2.0, gt=0, le=300, description="A holder stops acting this long before its claim ends."
    )
    help_after: float = Field(
        default=2.0, ge=0, le=300, description="Others take a tenant's work when it is late by this much."
    )
    poll: float = Field(default=1.0, ge=0.05, le=60, description="Most time between two looks at the agenda.")
    node_heartbeat: float = Field(default=2.0, ge=0.1, le=60, description="Between two signs of life of this node.")
    worker_dead_after: float = Field(
        default=30.0, ge=3, le=3600, description="A worker without a sign of life for this long is dead."
    )
    worker_heartbeat: float = Field(
        default=5.0, ge=0.1, le=10, alias="HORARIUM_HEARTBEAT", description="What the workers are told, for checking."
    )
    pending_after: float = Field(
        default=5.0, ge=1, le=300, description="A recorded firing that is still pending after this long is looked at."
    )
    republish_after: float = Field(
        default=60.0, ge=1, le=3600, description="First wait for a begin; doubles with every repetition."
    )
    republish_most: float = Field(default=600.0, ge=1, le=86_400, description="Longest wait for a begin.")
    republish_times: int = Field(default=5, ge=1, le=100, description="Repetitions before a firing is in quarantine.")
    release_every: float = Field(default=1.0, ge=0.05, le=60, description="Between two looks at firings that wait.")
    sweep_every: float = Field(default=5.0, ge=0.1, le=300, description="Between two sweeps.")
    tend_every: float = Field(default=10.0, ge=1, le=3600, description="Between two full looks at the same tenant.")
    budget: int = Field(
        default=250, ge=1, le=10_000, description="Most jobs of a tenant in one pass, times its weight."
    )
    tenants_per_pass: int = Field(default=200, ge=1, le=100_000, description="Most tenants served in one pass.")
    threads: int = Field(default=8, ge=1, le=64, description="How many tenants are asked at once.")
    clock_limit: float = Field(
        default=5.0, gt=0, le=300, description="A node whose clock is off by more stops claiming."
    )

    @field_validator("metrics_tenants", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _agree(self) -> "NodeSettings":
        faults = []
        if self.lease < 3 * self.node_heartbeat:
            faults.append(
                f"HORARIUM_LEASE ({self.lease:g} s) must be at least three times HORARIUM_NODE_HEARTBEAT "
                f"({self.node_heartbeat:g} s): otherwise living nodes are taken for dead"
            )
        if self.margin >= self.lease:
            faults.append(f"HORARIUM_MARGIN ({self.margin:g} s) must be shorter than HORARIUM_LEASE ({self.lease:g} s)")
        if self.worker_dead_after < 3 * self.worker_heartbeat:
            faults.append(
                f"HORARIUM_WORKER_DEAD_AFTER ({self.worker_dead_after:g} s) must be at least three times "
                f"HORARIUM_HEARTBEAT of the workers ({self.worker_heartbeat:g} s): otherwise what runs is run again"
            )
        if self.republish_most < self.republish_after:
            faults.append(
                f"HORARIUM_REPUBLISH_MOST ({self.republish_most:g} s) is shorter than HORARIUM_REPUBLISH_AFTER "
                f"({self.republish_after:g} s)"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def policy(self) -> NodePolicy:
        """Return the numbers that a node acts by."""
        return NodePolicy(
            lease=timedelta(seconds=self.lease),
            margin=timedelta(seconds=self.margin),
            help_after=timedelta(seconds=self.help_after),
            poll=timedelta(seconds=self.poll),
            heartbeat=timedelta(seconds=self.node_heartbeat),
            worker_dead_after=timedelta(seconds=self.worker_dead_after),
            pending_after=timedelta(seconds=self.pending_after),
            republish_after=timedelta(seconds=self.republish_after),
            republish_most=timedelta(seconds=self.republish_most),
            republish_times=self.republish_times,
            release_every=timedelta(seconds=self.release_every),
            sweep_every=timedelta(seconds=self.sweep_every),
            tend_every=timedelta(seconds=self.tend_every),
            budget=self.budget,
            tenants=self.tenants_per_pass,
            threads=self.threads,
            clock_limit=timedelta(seconds=self.clock_limit),
        )


class ApiSettings(StoreSettings):
    """What ``horarium api`` is told."""

    host: str = Field(default="127.0.0.1", alias="HORARIUM_API_HOST", description="Where the API listens.")
    port: int = Field(
        default=8080, ge=0, le=65535, alias="HORARIUM_API_PORT", description="Its port; 0 takes a free one."
    )
    api_key: SecretStr = Field(
        default=SecretStr(""), description="What /v1 is answered to, as a bearer token; without it, to nobody."
    )
    horizon: float = Field(
        default=300.0, ge=0, le=86_400, alias="HORARIUM_API_HORIZON", description="Seconds that demand looks ahead."
    )


class WorkerEnvironment(StoreSettings):
    """What ``horarium worker`` is told; ``workers.settings`` says what the fields mean."""

    broker_url: str = Field(default="", description="The broker; by default what the application says.")
    app: str = Field(default="", description="The Celery application, as proj.celery:app.")
    pool: str = Field(default="default", description="The pool whose queue is consumed.")
    name: str = Field(default="", description="Names this worker; made from the host's name by default.")
    concurrency: int = Field(default=2, ge=1, le=1000, description="Runs at a time.")
    celery_pool: PoolType = Field(default="prefork", description="How they run side by side.")
    loglevel: str = Field(default="INFO", description="Least level that is logged.")
    heartbeat: float = Field(default=5.0, gt=0, le=10, description="Seconds between two signs of life.")
    http_host: str = Field(default="127.0.0.1", description="Where a worker answers /healthz, /readyz and /metrics.")
    http_port: int = Field(default=0, ge=0, le=65535, description="The port for them; by default a worker has none.")
    drain_timeout_s: float = Field(
        default=30.0, ge=0, le=86_400, description="Seconds for runs to end after SIGTERM; the rest is given back."
    )

    @field_validator("pool")
    @classmethod
    def _is_pool(cls, value: str) -> str:
        try:
            return check_pool(value)
        except InvalidInput as error:
            raise ValueError(str(error)) from error


_S = TypeVar("_S", bound=_Settings)


def read_settings(kind: type[_S], **given: Any) -> _S:
    """Return the settings of the environment, with what was given on the command line in their place.

    Raises:
        ConfigurationError: With every fault, each naming its variable.
    """
    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise ConfigurationError("; ".join(_sentence(fault) for fault in error.errors())) from error


def _sentence(fault: Any) -> str:
    if not fault["loc"]:  # settings that do not go together name each other
        return str(fault["msg"]).removeprefix("Value error, ")
    name = str(fault["loc"][0])
    variable = name if name.startswith(PREFIX) else f"{PREFIX}{name.upper()}"
    message = str(fault["msg"]).removeprefix("Value error, ").replace("Input should be", "it must be")
    # A URL may carry a password.
    shown = "" if name.endswith("_url") else f" is {str(fault.get('input'))[:60]!r}"
    return f"{variable}{shown}: {message}"


def reference(kind: type[_Settings]) -> list[tuple[str, str, str, str]]:
    """Return (variable, default, bounds, meaning) of each setting that ``kind`` has of its own."""
    parent = next(base for base in kind.__mro__[1:] if issubclass(base, _Settings))
    inherited = parent.model_fields
    return [
        (
            field.alias or f"{PREFIX}{name.upper()}",
            "" if field.default_factory is not None or field.default in ("", ()) else f"{field.default}",
            _bounds(field),
            field.description or "",
        )
        for name, field in kind.model_fields.items()
        if repr(field) != repr(inherited.get(name))
    ]


def _bounds(field: FieldInfo) -> str:
    low = next((f"{one.ge:g}" for one in field.metadata if isinstance(one, Ge) and isinstance(one.ge, int | float)), "")
    above = next(
        (f"{one.gt:g}" for one in field.metadata if isinstance(one, Gt) and isinstance(one.gt, int | float)), ""
    )
    high = next(
        (f"{one.le:g}" for one in field.metadata if isinstance(one, Le) and isinstance(one.le, int | float)), ""
    )
    if above:
        return f"above {above}, to {high}"
    return f"{low} to {high}" if high else ""
