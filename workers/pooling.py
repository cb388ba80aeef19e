"""A worker's settings together with what is said about its pool.  Pure."""

from dataclasses import replace
from typing import Any, Final

from jobstore.pools import Pool
from workers.settings import WorkerSettings

# What a worker's own options and variables may say as well: those are nearer, and count.
_BOTH: Final = ("celery_pool", "concurrency", "drain_s")
_ONLY_POOL: Final = ("queues", "time_limit_s", "max_time_limit_s")


def with_pool(settings: WorkerSettings, pool: Pool) -> WorkerSettings:
    """Return the settings of a worker of ``pool``.

    Raises:
        ConfigurationError: They do not go together.
    """
    found: dict[str, Any] = {}
    for name in (*_BOTH, *_ONLY_POOL):
        value = getattr(pool.settings, name)
        if value is not None and name not in settings.said:
            found[name] = value
    return replace(settings, **found)
