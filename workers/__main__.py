"""The composition root of workers: the one place in this package that reads the environment."""

import logging
import os
import sys
import zoneinfo
from typing import Final

from jobstore.errors import ConfigurationError, HorariumError
from workers.settings import DEFAULT_DATABASE, WorkerSettings

_SAID: Final = {
    "concurrency": "HORARIUM_CONCURRENCY",
    "celery_pool": "HORARIUM_CELERY_POOL",
    "drain_s": "HORARIUM_DRAIN_TIMEOUT_S",
}


def settings_from_environment() -> WorkerSettings:
    """Return the settings that the environment gives (raises ConfigurationError)."""
    found = os.environ
    try:
        return WorkerSettings(
            mongodb_url=found.get("HORARIUM_MONGODB_URL", ""),
            database=found.get("HORARIUM_DATABASE") or DEFAULT_DATABASE,
            broker_url=found.get("HORARIUM_BROKER_URL", ""),
            app=found.get("HORARIUM_APP", ""),
            pool=found.get("HORARIUM_POOL") or "default",
            name=found.get("HORARIUM_NAME", ""),
            concurrency=int(found.get("HORARIUM_CONCURRENCY") or 2),
            celery_pool=found.get("HORARIUM_CELERY_POOL") or "prefork",  # type: ignore[arg-type]  # checked when made
            loglevel=found.get("HORARIUM_LOGLEVEL") or "INFO",
            start_within_s=float(found.get("HORARIUM_START_WITHIN") or 30),
            heartbeat_s=float(found.get("HORARIUM_HEARTBEAT") or 5),
            http_host=found.get("HORARIUM_HTTP_HOST") or "127.0.0.1",
            http_port=int(found.get("HORARIUM_HTTP_PORT") or 0),
            drain_s=float(found.get("HORARIUM_DRAIN_TIMEOUT_S") or 30),
            said=frozenset(name for name, variable in _SAID.items() if found.get(variable)),
            crash_points=found.get("HORARIUM_CRASH_POINTS", ""),
        )
    except ValueError as error:
        raise ConfigurationError(f"a HORARIUM_ setting is not a number: {error}") from error


def main() -> int:
    """Run a worker with the settings of the environment; return the exit code."""
    from workers.process import run_worker

    # Zone rules come from the pinned wheel: those of the image differ from machine to machine.
    zoneinfo.reset_tzpath(())
    try:
        return run_worker(settings_from_environment())
    except HorariumError as error:
        logging.getLogger("horarium.worker").critical("%s", error)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
