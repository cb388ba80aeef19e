"""What a worker process is told when it starts."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from jobstore.errors import ConfigurationError, InvalidInput
from jobstore.ids import check_pool

PoolType = Literal["prefork", "threads", "solo"]
POOL_TYPES: Final[tuple[str, ...]] = get_args(PoolType)
DEFAULT_DATABASE: Final = "horarium"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """The settings of one worker; they check each other when made.

    Attributes:
        mongodb_url: Where the job store is.
        database: The control database.
        broker_url: Where the queues are; empty leaves what the user's application says.
        app: The user's Celery application, ``proj.celery:app``; empty for functions registered elsewhere.
        pool: The pool whose queue is consumed.
        name: Names this worker in the ledger and in logs; made from the host when empty.
        concurrency: Runs at a time.
        celery_pool: How they run side by side: processes, threads, or one after the other.
        loglevel: Least level that is logged.
        start_within_s: How long servers that do not answer are waited for at the start.
        heartbeat_s: Between two signs of life; nodes declare a worker dead after 30 s without one.
        http_host: Where /healthz, /readyz and /metrics are answered.
        http_port: The port for them; 0 for none.
        drain_s: How long runs may take to end after SIGTERM; what runs longer is given back.
        queues: Further pools whose queues are consumed.
        time_limit_s: Limit of a run whose job has none.
        max_time_limit_s: Most that any run may take.
        said: Names of settings that were given to this worker itself, and go before those of its pool.
        crash_points: For tests of this package only, see ``jobstore.points``.
    """

    mongodb_url: str
    database: str = DEFAULT_DATABASE
    broker_url: str = ""
    app: str = ""
    pool: str = "default"
    name: str = ""
    concurrency: int = 2
    celery_pool: PoolType = "prefork"
    loglevel: str = "INFO"
    start_within_s: float = 30.0
    heartbeat_s: float = 5.0
    http_host: str = "127.0.0.1"
    http_port: int = 0
    drain_s: float = 30.0
    queues: tuple[str, ...] = ()
    time_limit_s: float | None = None
    max_time_limit_s: float | None = None
    said: frozenset[str] = frozenset()
    crash_points: str = ""

    def __post_init__(self) -> None:
        if not self.mongodb_url:
            raise ConfigurationError("HORARIUM_MONGODB_URL is not set; give the job store's mongodb://… URL")
        try:
            for pool in (self.pool, *self.queues):
                check_pool(pool)
        except InvalidInput as error:
            raise ConfigurationError(str(error)) from error
        if self.celery_pool not in POOL_TYPES:
            raise ConfigurationError(
                f"a worker cannot run with the Celery pool {self.celery_pool!r}; use {', '.join(POOL_TYPES)}"
            )
        if self.concurrency < 1:
            raise ConfigurationError("a worker needs a concurrency of at least 1")
        if not 0 <= self.drain_s <= 86_400:
            raise ConfigurationError(f"a worker drains for 0 s to a day, not {self.drain_s:g} s")
        if not 0 < self.heartbeat_s <= 10:
            raise ConfigurationError("the heartbeat must come at least every 10 s: after 30 s a worker counts as dead")
