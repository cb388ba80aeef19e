"""``horarium tenant``."""

from datetime import datetime

import click

from cluster.cli import tenancy, tenant_limits
from cluster.cli.shell import Shell, output_option, print_facts, print_items, print_json, print_table, warn
from jobstore.errors import InvalidInput


@click.group("tenant", short_help="Create, show, suspend, delete tenants.")
def command() -> None:
    """Tenants: the owners of jobs, each with collections of its own."""


for _one in (*tenancy.COMMANDS, *tenant_limits.COMMANDS):
    command.add_command(_one)


@command.command("create")
@click.argument("tenant")
@click.option("--tz", "--timezone", "zone", default="UTC", show_default=True, help="Time zone of jobs that name none.")
@click.option("--pool", default="default", show_default=True, help="Worker pool of jobs that name none.")
@click.option("--weight", type=int, default=1, show_default=True, help="Share where several tenants have work.")
@click.option("--place-database", metavar="NAME", help="Database of its collections; by default the control database.")
@click.option("--jobs", metavar="NAME", help="Its collection of jobs; by default jobs.<uid>.")
@click.option("--firings", metavar="NAME", help="Its ledger, which tenants may share; by default firings.")
@click.option("--adopt", metavar="DB.COLL", help="Take an existing collection of APScheduler as its jobs.")
@click.option("--prefix", default="", help="Put before job ids where tenants share a collection of jobs.")
@output_option
@click.pass_obj
def create(
    shell: Shell,
    tenant: str,
    zone: str,
    pool: str,
    weight: int,
    place_database: str | None,
    jobs: str | None,
    firings: str | None,
    adopt: str | None,
    prefix: str,
    output: str,
) -> None:
    """Create TENANT; doing it again with the same settings changes nothing."""
    from cluster.operations import tenants

    if adopt is not None:
        if place_database or jobs or firings or prefix:
            raise InvalidInput("--adopt says where the jobs are; leave out --place-database, --jobs and the like")
        _adopt(shell, tenant, adopt, zone, pool, weight, output)
        return

    with shell.store() as store:
        result = tenants.create(
            store,
            tenant,
            zone=zone,
            pool=pool,
            weight=weight,
            database=place_database,
            jobs=jobs,
            firings=firings,
            prefix=prefix,
        )
    if output == "json":
        print_json(result)
    else:
        view = result.tenant
        click.echo(f"{result.verdict}: tenant {view.tenant}, uid {view.uid}")


def _adopt(shell: Shell, tenant: str, where: str, zone: str, pool: str, weight: int, output: str) -> None:
    from cluster.operations.adopting import adopt

    with shell.store() as store:
        result = adopt(store, tenant, where, zone=zone, pool=pool, weight=weight)
    warn(result.warnings)
    if output == "json":
        print_json(result)
        return
    click.echo(f"{result.verdict}: tenant {result.tenant.tenant}, uid {result.tenant.uid}")
    click.echo(f"  {result.readable} jobs can be read, {result.unreadable} cannot")
    for reason in result.reasons:
        click.echo(f"  {reason}")


@command.command("list")
@output_option
@click.pass_obj
def list_(shell: Shell, output: str) -> None:
    """List all tenants."""
    from cluster.operations import tenants

    with shell.store() as store:
        found, unreadable = tenants.list_tenants(store)
    if output == "json":
        print_items(found)
    else:
        print_table(
            ["TENANT", "STATE", "ZONE", "POOL", "WEIGHT", "UID"],
            [[one.tenant, one.state, one.time_zone, one.pool, one.weight, one.uid] for one in found],
            empty="there are no tenants yet; create one: horarium tenant create NAME",
        )
    warn(unreadable)


@command.command("get")
@click.argument("tenant")
@output_option
@click.pass_obj
def get(shell: Shell, tenant: str, output: str) -> None:
    """Show TENANT with the number of its jobs and when something is due there next."""
    from cluster.operations import tenants
    from cluster.operations.words import local

    with shell.store() as store:
        view = tenants.get(store, tenant)
    if output == "json":
        print_json(view)
        return
    halt = view.halt or {}
    print_facts(
        [
            ("tenant", view.tenant),
            ("uid", view.uid),
            ("state", view.state),
            *((name.replace("_", " "), local(at) if isinstance(at, datetime) else at) for name, at in halt.items()),
            ("plan", view.plan),
            ("time zone", view.time_zone),
            ("pool", view.pool),
            ("weight", view.weight),
            ("jobs", f"{view.jobs} in {view.database}.{view.jobs_collection}"),
            ("ledger", f"{view.database}.{view.firings_collection}"),
            ("next due", local(view.next_due)),
            ("created", local(view.created_at)),
        ]
    )
