"""``horarium worker``."""

from typing import Any

import click

from cluster.cli.shell import Shell

# Settings that a pool may have by another name.
_POOLS_TOO = {"drain_timeout_s": "drain_s"}


@click.command("worker", short_help="Run a worker of a pool.")
@click.option("--pool", help="The pool whose queue is consumed.")
@click.option("--name", help="Names this worker in the ledger and in logs.")
@click.option("--app", metavar="MODULE:NAME", help="The Celery application, such as proj.celery:app.")
@click.option("--concurrency", type=int, help="Runs at a time.")
@click.option("--celery-pool", help="How they run side by side: prefork, threads or solo.")
@click.option(
    "--drain", "drain_timeout_s", type=float, metavar="SECONDS", help="How long runs may take to end after SIGTERM."
)
@click.option("--broker-url", metavar="URL", help="Instead of HORARIUM_BROKER_URL.")
@click.pass_obj
def command(shell: Shell, /, **given: Any) -> int:
    """Run a worker until it gets SIGTERM, which lets what runs come to its end."""
    from cluster.settings import WorkerEnvironment, read_settings
    from workers.process import WorkerSettings, run_worker

    settings = read_settings(WorkerEnvironment, mongodb_url=shell.mongodb_url, database=shell.database, **given)
    return run_worker(
        WorkerSettings(
            mongodb_url=settings.mongodb_url,
            database=settings.database,
            broker_url=settings.broker_url,
            app=settings.app,
            pool=settings.pool,
            name=settings.name,
            concurrency=settings.concurrency,
            celery_pool=settings.celery_pool,
            loglevel=settings.loglevel,
            start_within_s=settings.start_within,
            heartbeat_s=settings.heartbeat,
            http_host=settings.http_host,
            http_port=settings.http_port,
            drain_s=settings.drain_timeout_s,
            said=frozenset(_POOLS_TOO.get(name, name) for name in settings.model_fields_set),
            crash_points=settings.crash_points,
        )
    )
