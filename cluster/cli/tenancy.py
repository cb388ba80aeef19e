"""``horarium tenant suspend | resume | drain | delete | certificate``: the life of a tenant."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cluster.cli.shell import Shell, output_option, print_facts, print_json

if TYPE_CHECKING:
    from cluster.operations.views import TenantStop
    from jobstore.store import Store

_F = TypeVar("_F", bound=Callable[..., Any])


def by_option(function: _F) -> _F:
    """Add ``--by``: who is told to have done it."""
    return click.option("--by", "who", default=_me, show_default="you", help="Who does it, for the audit.")(function)


def _me() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def _halt_options(function: _F) -> _F:
    for option in (
        click.option("--gap", help="What --until then does about the instants that passed: skip, latest or all."),
        click.option("--until", metavar="WHEN", help="Nodes resume it by themselves then: 2h, or 2026-12-31T23:59Z."),
        click.option("--reason", "why", required=True, help="Why, for the audit and for whoever asks."),
        by_option,
        output_option,
    ):
        function = option(function)
    return function


@click.command("suspend", short_help="Let nothing of a tenant begin.")
@click.argument("tenant")
@_halt_options
@click.pass_obj
def suspend(shell: Shell, tenant: str, who: str, why: str, until: str | None, gap: str | None, output: str) -> None:
    """Let nothing of TENANT begin until it is resumed; it answers, after some seconds, when nothing can any more.

    What runs goes on; what was recorded and has not begun is cancelled.
    """
    _halt(shell, "suspend", tenant, who, why, until, gap, output)


@click.command("drain", short_help="Make nothing new for a tenant; end what there is.")
@click.argument("tenant")
@_halt_options
@click.pass_obj
def drain(shell: Shell, tenant: str, who: str, why: str, until: str | None, gap: str | None, output: str) -> None:
    """Make no new firings for TENANT, and bring what was recorded to its end."""
    _halt(shell, "drain", tenant, who, why, until, gap, output)


def _halt(
    shell: Shell, act: str, tenant: str, who: str, why: str, until: str | None, gap: str | None, output: str
) -> None:
    from cluster.operations import tenancy

    with shell.store() as store:
        result = getattr(tenancy, act)(store, tenant, who=who, why=why, until=_until(store, until), gap=gap or "skip")
    _say(result, output)


def _until(store: "Store", text: str | None) -> datetime | None:
    from cluster.operations.when import read_when

    return None if text is None else read_when(text, store.time.now())


@click.command("resume", short_help="Let a tenant run again.")
@click.argument("tenant")
@click.option("--gap", help="The instants that passed: skip, latest (one firing for all of a job) or all.")
@by_option
@output_option
@click.pass_obj
def resume(shell: Shell, tenant: str, gap: str | None, who: str, output: str) -> None:
    """Let TENANT run again; one that is deleted too, as long as its grace lasts."""
    from cluster.operations import tenancy

    with shell.store() as store:
        result = tenancy.resume(store, tenant, who=who, gap=gap)  # type: ignore[arg-type]  # checked there
    _say(result, output)


@click.command("delete", short_help="Delete a tenant with everything it has.")
@click.argument("tenant")
@click.option("--confirm", metavar="TENANT", help="Its name again; without it nothing is done but counting.")
@click.option("--reason", "why", help="Why, for the audit and the certificate.")
@click.option("--grace", default="7d", show_default=True, metavar="LENGTH", help="How long it can be brought back.")
@by_option
@output_option
@click.pass_obj
def delete(shell: Shell, tenant: str, confirm: str | None, why: str | None, grace: str, who: str, output: str) -> None:
    """Say what a deletion of TENANT would remove; with --confirm, delete it.

    Nothing of it begins after the answer.  Nodes remove every trace when the grace is over, and leave a certificate.
    """
    from cluster.operations import tenancy
    from cluster.operations.when import read_length
    from jobstore.errors import InvalidInput

    if confirm is None:
        with shell.store() as store:
            result = tenancy.preview_delete(store, tenant)
        _say(result, output)
        if output == "table":
            click.echo(f"nothing was done; to delete: horarium tenant delete {tenant} --confirm {tenant} --reason WHY")
        return
    if confirm != tenant:
        raise InvalidInput(f"--confirm {confirm!r:.60} is not {tenant!r:.60}: nothing was done")
    if not why:
        raise InvalidInput("--reason: say why it is deleted; it stands in the certificate")
    with shell.store() as store:
        result = tenancy.delete(store, tenant, who=who, why=why, grace=read_length(grace))
    _say(result, output)


@click.command("certificate", short_help="Show or check the certificate of a purge.")
@click.argument("tenant")
@click.option("--verify", "file", type=click.File("rb"), help="Check this certificate instead of showing one.")
@click.pass_obj
def certificate(shell: Shell, tenant: str, file: Any) -> int:
    """Show the certificate, as JSON, that every trace of TENANT was removed."""
    from cluster.operations import certifying

    with shell.store() as store:
        if file is None:
            print_json(certifying.get(store, tenant))
            return 0
        genuine = certifying.verify(store, tenant, file.read())
    click.echo("genuine" if genuine else "not genuine: this cluster did not sign exactly this")
    return 0 if genuine else 1


COMMANDS = (suspend, drain, resume, delete, certificate)


def _say(result: "TenantStop", output: str) -> None:
    from cluster.operations.words import local

    if output == "json":
        print_json(result)
        return
    click.echo(f"{result.verdict}: tenant {result.tenant} is {result.state}")
    print_facts(
        [
            ("cancelled", result.cancelled or None),
            ("waiting", result.waiting or None),
            ("running", result.running or None),
            ("jobs", result.jobs),
            ("firings", result.firings),
            ("by", result.who),
            ("reason", result.why),
            ("since", None if result.since is None else local(result.since)),
            ("until", None if result.until is None else local(result.until)),
            ("purged from", None if result.purge_at is None else local(result.purge_at)),
            ("gap", result.gap),
        ]
    )
