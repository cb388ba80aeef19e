"""``horarium firing``."""

from typing import TYPE_CHECKING

import click

from cluster.cli.shell import Shell, as_json, output_option, print_facts, print_items, print_json, print_table
from cluster.cli.tenancy import by_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster.operations.views import FiringView
    from jobstore.noted import Progress


@click.group("firing", short_help="List, show and cancel what becomes of each instant.")
def command() -> None:
    """Firings: what the ledger says became of each instant."""


@command.command("list")
@click.argument("tenant")
@click.argument("job", required=False)
@click.option("--state", metavar="STATE", help="Only those in this state, such as failed.")
@click.option("--limit", type=int, default=50, show_default=True, help="At most so many, the newest first.")
@output_option
@click.pass_obj
def list_(shell: Shell, tenant: str, job: str | None, state: str | None, limit: int, output: str) -> None:
    """List the firings of TENANT, or of one JOB, the newest first."""
    from cluster.operations import firings
    from cluster.operations.words import instant

    with shell.store() as store:
        found = firings.list_firings(store, tenant, job_id=job, state=state, limit=limit)
    if output == "json":
        print_items(found)
        return
    print_table(
        ["NOMINAL", "JOB", "STATE", "REASON", "TRY", "LATE", "TOOK", "WORKER", "FIRING"],
        [
            [
                instant(one.nominal),
                one.job,
                one.state,
                one.reason,
                one.attempt,
                None if one.late_s is None else f"{one.late_s:.3f} s",
                None if one.seconds is None else f"{one.seconds:.3f} s",
                one.worker,
                one.firing,
            ]
            for one in found
        ],
        empty="nothing has come due yet" if state is None else f"there are no firings in state {state}",
    )


@command.command("get")
@click.argument("tenant")
@click.argument("firing")
@output_option
@click.pass_obj
def get(shell: Shell, tenant: str, firing: str, output: str) -> None:
    """Show FIRING of TENANT, and why it ended as it did."""
    from cluster.operations import firings
    from cluster.operations.shown import target_text
    from cluster.operations.words import local

    with shell.store() as store:
        view = firings.get(store, tenant, firing)
    if output == "json":
        print_json(view)
        return
    covers = view.covers
    many = (
        f"{covers.count} instants, {local(covers.start)} through {local(covers.through)}" if covers.count > 1 else None
    )
    print_facts(
        [
            ("firing", view.firing),
            ("job", f"{view.job} of {view.tenant}, revision {view.revision}"),
            ("kind", view.kind),
            ("nominal", local(view.nominal)),
            ("covers", many),
            ("state", view.state),
            ("why", view.why),
            ("ran", target_text(view.target)),
            ("attempt", view.attempt),
            ("fence", view.fence),
            ("recorded", local(view.created_at)),
            ("handed over", None if view.released_at is None else f"{local(view.released_at)} by {view.node}"),
            ("started", None if view.started_at is None else f"{local(view.started_at)} on {view.worker}"),
            ("late", None if view.late_s is None else f"{view.late_s:.3f} s"),
            ("finished", None if view.finished_at is None else local(view.finished_at)),
            ("took", None if view.seconds is None else f"{view.seconds:.3f} s"),
            ("progress", None if view.progress is None else _progress(view.progress)),
            ("once", ", ".join(view.once)),
            ("log", "\n".join(_lines(view))),
            ("result", None if view.result is None else as_json(view.result)),
            ("error", view.error),
            ("before", "\n".join(as_json(attempt) for attempt in view.attempts)),
        ]
    )


def _progress(progress: "Progress") -> str:
    return f"{progress.fraction:.0%} {progress.text}".rstrip()


def _lines(view: "FiringView") -> "Iterator[str]":
    from cluster.operations.words import local

    if view.log_dropped:
        yield f"[{view.log_dropped:,} older lines are gone]"
    for line in view.log:
        yield (
            f"{local(line.at)}  {line.text}" if line.attempt == 1 else f"{local(line.at)}  #{line.attempt}  {line.text}"
        )


@command.command("cancel")
@click.argument("tenant")
@click.argument("firing")
@click.option("--reason", "why", default="", help="What for, for the record and the audit.")
@by_option
@output_option
@click.pass_obj
def cancel(shell: Shell, tenant: str, firing: str, why: str, who: str, output: str) -> None:
    """Cancel FIRING of TENANT: a queued one never begins, a running one is asked to end."""
    from cluster.operations import cancelling

    with shell.store() as store:
        result = cancelling.cancel(store, tenant, firing, who=who, why=why)
    if output == "json":
        print_json(result)
        return
    click.echo(f"{result.verdict}: firing {result.firing.firing} of {result.firing.job}; {result.firing.why}")
