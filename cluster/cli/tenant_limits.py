"""``horarium tenant update | usage``: what a tenant may, and what it uses of that."""

import click

from cluster.cli.plan import choice_options, read_chosen, say
from cluster.cli.shell import Shell, output_option, print_facts, print_json
from cluster.cli.tenancy import by_option


@click.command("update", short_help="Change what counts for a tenant.")
@click.argument("tenant")
@choice_options
@click.option("--plan", metavar="NAME", help="Give it this plan; an empty name takes its plan away.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@by_option
@output_option
@click.pass_obj
def update(
    shell: Shell,
    tenant: str,
    chosen: tuple[str, ...],
    unset: tuple[str, ...],
    plan: str | None,
    dry_run: bool,
    who: str,
    output: str,
) -> None:
    """Change the plan or the choices of TENANT; it counts on every node within two seconds."""
    from cluster.operations import plans

    fields = read_chosen(chosen)
    with shell.store() as store:
        result = plans.update(store, tenant, fields, who=who, plan=plan, unset=unset, dry_run=dry_run)
    say(result, output, f"tenant {result.name}")


@click.command("usage", short_help="What a tenant uses of what it may.")
@click.argument("tenant")
@output_option
@click.pass_obj
def usage(shell: Shell, tenant: str, output: str) -> None:
    """Show what TENANT uses of what it may."""
    from cluster.operations import limits

    with shell.store() as store:
        view = limits.usage(store, tenant)
    if output == "json":
        print_json(view)
        return
    print_facts(
        [
            ("tenant", view.tenant),
            ("plan", view.plan),
            ("jobs", _of(view.jobs, view.max_jobs)),
            ("under way", _of(view.live, view.max_live)),
            ("waiting", view.waiting),
            ("handed over", None if view.per_s is None else f"{view.per_s:g}/s of {view.max_per_s:g}/s"),
            ("least interval", None if view.min_interval_s is None else f"{view.min_interval_s:g} s"),
            ("arguments", None if view.max_payload_bytes is None else f"{view.max_payload_bytes:,} bytes at most"),
        ]
    )


COMMANDS = (update, usage)


def _of(used: int, most: int | None) -> str:
    return str(used) if most is None else f"{used} of {most}"
