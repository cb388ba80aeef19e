"""``horarium plan``: named sets of choices that tenants have, and the cluster's own."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cluster.cli.shell import Shell, as_json, output_option, print_facts, print_items, print_json, print_table
from cluster.cli.tenancy import by_option
from jobstore.errors import InvalidInput

if TYPE_CHECKING:
    from cluster.operations.views import TierView

_F = TypeVar("_F", bound=Callable[..., Any])


@click.group("plan", short_help="Put, list, show and delete plans.")
def command() -> None:
    """Plans: named sets of limits and defaults for tenants; the one named ``cluster`` counts for all of them."""


def choice_options(function: _F) -> _F:
    """Add ``--set`` and ``--unset``."""
    for option in (
        click.option("--unset", multiple=True, metavar="NAME", help="Take a choice back."),
        click.option("--set", "chosen", multiple=True, metavar="NAME=VALUE", help="Choose, such as max_jobs=100."),
    ):
        function = option(function)
    return function


def read_chosen(chosen: Sequence[str]) -> dict[str, Any]:
    """Return the values of ``--set`` (raises InvalidInput)."""
    from cluster.operations.manifest import read_yaml

    found: dict[str, Any] = {}
    faults = []
    for text in chosen:
        name, equals, value = text.partition("=")
        documents = read_yaml(value, f"--set {name[:60]}") if equals else []
        if len(documents) != 1 or documents[0] is None:
            faults.append(f"--set {text[:60]}: write NAME=VALUE, such as max_jobs=100")
        else:
            found[name] = documents[0]
    if faults:
        raise InvalidInput(*faults)
    return found


@command.command("put")
@click.argument("plan")
@choice_options
@click.option("--only", is_flag=True, help="What --set does not name is taken back.")
@by_option
@output_option
@click.pass_obj
def put(
    shell: Shell, plan: str, chosen: tuple[str, ...], unset: tuple[str, ...], only: bool, who: str, output: str
) -> None:
    """Change PLAN, or make it; ``cluster`` stands for all tenants.  It counts on every node within two seconds."""
    from cluster.operations import plans

    fields = read_chosen(chosen)
    with shell.store() as store:
        result = plans.put(store, _name(plan), fields, who=who, unset=unset, whole=only)
    say(result, output, f"plan {result.name}")


@command.command("list")
@output_option
@click.pass_obj
def list_(shell: Shell, output: str) -> None:
    """List the plans, and what counts for the whole cluster."""
    from cluster.operations import plans

    with shell.store() as store:
        found = plans.list_plans(store)
    if output == "json":
        print_items(found)
        return
    print_table(
        ["PLAN", "REV", "BY", "CHOICES"],
        [[one.name, one.revision, one.author, as_json(one.choices)] for one in found],
        empty="",
    )


@command.command("get")
@click.argument("plan")
@output_option
@click.pass_obj
def get(shell: Shell, plan: str, output: str) -> None:
    """Show PLAN."""
    from cluster.operations import plans

    with shell.store() as store:
        result = plans.get(store, _name(plan))
    if output == "json":
        print_json(result)
    else:
        print_facts(
            [("plan", result.name), ("revision", result.revision), ("by", result.author), *result.choices.items()]
        )


@command.command("delete")
@click.argument("plan")
@by_option
@click.pass_obj
def delete(shell: Shell, plan: str, who: str) -> None:
    """Delete PLAN, if no tenant has it."""
    from cluster.operations import plans

    with shell.store() as store:
        plans.delete(store, plan, who=who)
    click.echo(f"deleted: plan {plan}")


def say(result: "TierView", output: str, what: str) -> None:
    """Write what became of a tier, change by change."""
    if output == "json":
        print_json(result)
        return
    click.echo(f"{result.verdict}: {what}, revision {result.revision}")
    for name, (before, after) in result.changes.items():
        click.echo(f"  {name}: {as_json(before)} -> {as_json(after)}")


def _name(plan: str) -> str | None:
    from cluster.operations.plans import CLUSTER

    return None if plan == CLUSTER else plan
