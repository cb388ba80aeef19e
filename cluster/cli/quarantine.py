"""``horarium quarantine``."""

import click

from cluster.cli.shell import Shell, output_option, print_facts, print_items, print_json, print_table
from cluster.cli.tenancy import by_option


@click.group("quarantine", short_help="What cannot be read or run, and why.")
def command() -> None:
    """Quarantine: jobs and firings that cannot be read or run, where they are, with their reason."""


@command.command("list")
@click.argument("tenant")
@output_option
@click.pass_obj
def list_(shell: Shell, tenant: str, output: str) -> None:
    """List what TENANT has in quarantine."""
    from cluster.operations import quarantine
    from cluster.operations.words import local

    with shell.store() as store:
        found = quarantine.list_all(store, tenant)
    if output == "json":
        print_items(found)
        return
    print_table(
        ["KIND", "ID", "JOB", "SINCE", "REASON"],
        [[one.kind, one.id, one.job, local(one.at), one.reason] for one in found],
        empty="nothing is in quarantine",
    )


@command.command("show")
@click.argument("tenant")
@click.argument("name")
@output_option
@click.pass_obj
def show(shell: Shell, tenant: str, name: str, output: str) -> None:
    """Show the job or firing NAME of TENANT."""
    from cluster.operations import quarantine
    from cluster.operations.words import local

    with shell.store() as store:
        one = quarantine.show(store, tenant, name)
    if output == "json":
        print_json(one)
    else:
        print_facts([(one.kind, one.id), ("job", one.job), ("since", local(one.at)), ("reason", one.reason)])


@command.command("retry")
@click.argument("tenant")
@click.argument("name")
@by_option
@click.pass_obj
def retry(shell: Shell, tenant: str, name: str, who: str) -> None:
    """Try the job or firing NAME of TENANT again."""
    from cluster.operations import quarantine

    with shell.store() as store:
        one = quarantine.retry(store, tenant, name, who=who)
    click.echo(f"tried again: {one.kind} {one.id}")


@command.command("discard")
@click.argument("tenant")
@click.argument("name")
@by_option
@click.pass_obj
def discard(shell: Shell, tenant: str, name: str, who: str) -> None:
    """Delete the job NAME, or cancel the firing NAME, of TENANT."""
    from cluster.operations import quarantine

    with shell.store() as store:
        one = quarantine.discard(store, tenant, name, who=who)
    click.echo(f"discarded: {one.kind} {one.id}")
