"""``horarium worker``."""

from typing import Any

import click

from cluster.cli.shell import Shell

# Settings that a pool may have by another name.
_POOLS_TOO = {"drain_timeout_s": "drain_s"}


@click.group("worker", invoke_without_command=True, short_help="Run a worker of a pool, or drain some.")
@click.option("--pool", help="The pool whose queue is consumed.")
@click.option("--name", help="Names this worker in the ledger and in logs.")
@click.option("--app", metavar="MODULE:NAME", help="The Celery application, such as proj.celery:app.")
@click.option("--concurrency", type=int, help="Runs at a time.")
@click.option("--celery-pool", help="How they run side by side: prefork, threads or solo.")
@click.option(
    "--drain", "drain_timeout_s", type=float, metavar="SECONDS", help="How long runs may take to end after SIGTERM."
)
@click.option("--broker-url", metavar="URL", help="Instead of HORARIUM_BROKER_URL.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Run a worker until it gets SIGTERM, which lets what runs come to its end."""
    if ctx.invoked_subcommand is not None:
        return 0
    shell: Shell = ctx.obj
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


@command.command("drain")
@click.argument("workers", nargs=-1, metavar="[WORKER]...")
@click.option("--pool", help="Every worker of this pool.")
@click.option("--host", help="Every worker on this host.")
@click.option("--wait", type=float, default=0.0, metavar="SECONDS", help="Wait so long for them to be gone.")
@click.pass_obj
def drain(shell: Shell, workers: tuple[str, ...], pool: str | None, host: str | None, wait: float) -> int:
    """Ask workers to take nothing new, end or give back what runs, and stop, as SIGTERM does.

    WORKER is the id of one of its processes, as the ledger and `horarium pool stats POOL` show it, or its beginning.
    """
    from cluster.operations import draining

    with shell.store() as store:
        result = draining.drain(store, workers, pool=pool, host=host, wait_s=wait)
    click.echo(f"asked: {result.asked} worker processes" + (f"; {len(result.left)} are still there" if wait else ""))
    return 1 if wait and result.left else 0
