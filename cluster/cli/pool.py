"""``horarium pool``."""

import click

from cluster.cli.shell import Shell, output_option, print_facts, print_items, print_json, print_table
from cluster.cli.tenancy import by_option


@click.group("pool", short_help="Configure pools of workers, and see what they want.")
def command() -> None:
    """Pools: what their workers are like, whose firings they run, how many slots they want."""


@command.command("list")
@output_option
@click.pass_obj
def list_(shell: Shell, output: str) -> None:
    """List pools that are configured, used by a tenant or served by a worker."""
    from cluster.operations import pools

    with shell.store() as store:
        found = pools.list_pools(store)
    if output == "json":
        print_items(found)
        return
    print_table(
        ["POOL", "REVISION", "WORKERS", "SETTINGS", "TENANTS", "LED IN OR AWAY"],
        [
            [
                one.pool,
                one.revision or None,
                one.workers,
                " ".join(f"{name}={value}" for name, value in one.settings.items() if value is not None),
                len(one.tenants),
                len(one.moved),
            ]
            for one in found
        ],
        empty="there are no tenants, no workers and no pools yet",
    )


@command.command("get")
@click.argument("pool")
@output_option
@click.pass_obj
def get(shell: Shell, pool: str, output: str) -> None:
    """Show POOL."""
    from cluster.operations import pools
    from cluster.operations.words import local

    with shell.store() as store:
        view = pools.get(store, pool)
    if output == "json":
        print_json(view)
        return
    print_facts(
        [
            ("pool", view.pool),
            ("revision", view.revision or None),
            *((name, value) for name, value in view.settings.items()),
            ("workers", view.workers),
            ("tenants", ", ".join(view.tenants)),
            ("led", "\n".join(f"{one.tenant}: {one.away_from} → {one.to}" for one in view.moved)),
            ("changed", None if view.at is None else f"{local(view.at)} by {view.by}"),
        ]
    )


@command.command("stats")
@click.argument("pool", required=False)
@output_option
@click.pass_obj
def stats(shell: Shell, pool: str | None, output: str) -> None:
    """Show worker processes and what runs, waits and is due in POOL, or in every pool."""
    from cluster.operations import pool_stats

    with shell.store() as store:
        found = pool_stats.stats(store, pool)
    if output == "json":
        print_items(found)
        return
    print_table(
        ["POOL", "PROCESSES", "RUNNING", "QUEUED", "DUE SOON", "SLOTS WANTED", "OLDEST"],
        [
            [one.pool, one.processes, one.running, one.queued, one.due_soon, one.slots, f"{one.oldest_age_s:.1f} s"]
            for one in found
        ],
        empty="no worker lives, and nothing runs, waits or is due",
    )
    if pool is not None:
        click.echo()
        print_table(
            ["WORKER", "HOST", "PID", "KIND", "RUNS"],
            [[row.worker, row.host, row.pid, row.celery_pool, row.runs] for one in found for row in one.workers],
            empty=f"no worker of pool {pool} lives",
        )


@command.command("demand")
@click.argument("pool", required=False)
@click.option("--within", type=float, default=300.0, show_default=True, help="Seconds to look ahead.")
@click.option("--explain", is_flag=True, help="Name the jobs that make the peak.")
@output_option
@click.pass_obj
def demand(shell: Shell, pool: str | None, within: float, explain: bool, output: str) -> None:
    """Show how many slots POOL, or every pool, wants: running, queued, and due soon by how long it will take."""
    from cluster.operations import demand as demands

    with shell.store() as store:
        found = demands.demand(store, pool, within_s=within)
    if output == "json":
        print_items(found)
        return
    print_table(
        ["POOL", "SLOTS", "RUNNING", "QUEUED", "DUE SOON", "THEIR SLOTS", "OLDEST"],
        [
            [one.pool, one.slots, one.running, one.queued, one.due_soon, one.due_slots, f"{one.oldest_age_s:.1f} s"]
            for one in found
        ],
        empty="nothing runs, waits or is due",
    )
    for one in found if explain else ():
        click.echo()
        print_table(
            ["AT", "TENANT", "JOB", "EXPECTED", "SLOTS"],
            [
                [
                    cause.at.isoformat(timespec="seconds"),
                    cause.tenant,
                    cause.job,
                    "unknown" if cause.expected_s is None else f"{cause.expected_s:.2f} s",
                    f"{cause.slots:.2f}",
                ]
                for cause in one.causes
            ],
            empty=f"nothing of pool {one.pool} is due",
        )


@command.command("put")
@click.argument("pool")
@click.argument("settings", nargs=-1, metavar="[NAME=VALUE]...")
@by_option
@output_option
@click.pass_obj
def put(shell: Shell, pool: str, settings: tuple[str, ...], who: str, output: str) -> None:
    """Say what POOL is like, such as concurrency=8 drain_s=60; NAME= takes back what was said.

    Workers that start from now on are like that, unless their own options or variables say something else.
    """
    from cluster.operations import pools

    fields = dict(pools.read_setting(setting) for setting in settings)
    with shell.store() as store:
        result = pools.put(store, pool, fields, who=who)
    if output == "json":
        print_json(result)
        return
    click.echo(f"{result.verdict}: pool {pool}, revision {result.pool.revision}")


@command.command("delete")
@click.argument("pool")
@by_option
@click.pass_obj
def delete(shell: Shell, pool: str, who: str) -> None:
    """Forget what was said about POOL; refused while tenants use it."""
    from cluster.operations import pools

    with shell.store() as store:
        pools.delete(store, pool, who=who)
    click.echo(f"deleted: pool {pool}")


@command.command("assign")
@click.argument("pool")
@click.argument("tenant")
@click.option("--from", "away_from", metavar="POOL", help="Which firings: by default those of the tenant's own pool.")
@by_option
@output_option
@click.pass_obj
def assign(shell: Shell, pool: str, tenant: str, away_from: str | None, who: str, output: str) -> None:
    """Lead the firings of TENANT into POOL, those that are queued as well; into the pool that they leave: back."""
    from cluster.operations import pools

    with shell.store() as store:
        result = pools.assign(store, pool, tenant, away_from=away_from, who=who)
    if output == "json":
        print_json(result)
        return
    click.echo(
        f"{result.verdict}: firings of {result.tenant} for pool {result.away_from} go into {result.to}; "
        f"{result.queued} queued ones are handed over anew"
    )
