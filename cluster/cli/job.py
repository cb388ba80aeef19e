"""``horarium job``."""

from typing import Any

import click

from cluster.cli.definition import definition_options, read_options
from cluster.cli.shell import (
    Shell,
    as_json,
    output_option,
    print_facts,
    print_items,
    print_json,
    print_table,
    warn,
)


@click.group("job", short_help="Put, list, show, fire, pause and delete jobs.")
def command() -> None:
    """Jobs: what runs when."""


@command.command("put", short_help="Make a job what options or a file say.")
@click.argument("tenant")
@click.argument("job")
@definition_options
@click.option("--expected-revision", type=int, help="Refuse unless the job has this revision; 0: unless there is none.")
@output_option
@click.pass_obj
def put(shell: Shell, /, tenant: str, job: str, expected_revision: int | None, output: str, **options: Any) -> None:
    """Make JOB of TENANT what the options or a file say, whether it exists or not."""
    from cluster.operations import jobs
    from cluster.operations.words import local, zone_of

    definition = read_options(options)
    with shell.store() as store:
        result = jobs.put(store, tenant, job, definition, expected_revision=expected_revision)
    warn(result.warnings)
    if output == "json":
        print_json(result)
        return
    view = result.job
    click.echo(f"{result.verdict}: job {view.job} of {view.tenant}, revision {view.revision}: {view.when}")
    zone = zone_of(dict(view.trigger))
    for at in view.next:
        click.echo(f"  next {local(at, zone)}")
    for note in result.notes:
        click.echo(f"  note {note}")


@command.command("list", short_help="List the jobs of a tenant.")
@click.argument("tenant")
@click.option("--limit", type=click.IntRange(min=0), default=0, help="At most so many; 0 for all.")
@output_option
@click.pass_obj
def list_(shell: Shell, tenant: str, limit: int, output: str) -> None:
    """List the jobs of TENANT."""
    from cluster.operations import jobs
    from cluster.operations.words import local

    with shell.store() as store:
        found = jobs.list_jobs(store, tenant, limit=limit)
    if output == "json":
        print_items(found)
        return
    print_table(
        ["JOB", "STATE", "WHEN", "NEXT", "TARGET", "POOL", "REV", "REASON"],
        [
            [row.job, row.state, row.when, local(row.next_at), row.target, row.pool, row.revision, row.reason]
            for row in found
        ],
        empty=f"tenant {tenant} has no jobs yet; put one: horarium job put {tenant} NAME --every 5m --task proj.report",
    )


@command.command("get", short_help="Show a job whole.")
@click.argument("tenant")
@click.argument("job")
@output_option
@click.pass_obj
def get(shell: Shell, tenant: str, job: str, output: str) -> None:
    """Show JOB of TENANT whole, with its next instants and its newest firing."""
    from cluster.operations import jobs
    from cluster.operations.shown import target_text
    from cluster.operations.words import local, zone_of

    with shell.store() as store:
        view = jobs.get(store, tenant, job)
    if output == "json":
        print_json(view)
        return
    zone = zone_of(dict(view.trigger))
    last = view.last
    print_facts(
        [
            ("job", f"{view.job} of {view.tenant}"),
            ("state", view.state if view.reason is None else f"{view.state}: {view.reason}"),
            ("description", view.description),
            ("when", view.when),
            ("next", "\n".join(local(at, zone) for at in view.next)),
            ("runs", target_text(view.target)),
            ("args", as_json(view.args) if view.args else None),
            ("kwargs", as_json(view.kwargs) if view.kwargs else None),
            ("pool", view.pool),
            ("at a time", view.max_instances),
            ("catch up", view.catch_up),
            ("overlap", view.overlap),
            ("grace", None if view.misfire_grace_s is None else f"{view.misfire_grace_s:g} s"),
            ("time limit", None if view.time_limit_s is None else f"{view.time_limit_s:g} s"),
            ("retry", as_json(view.retry)),
            ("revision", view.revision),
            ("last firing", None if last is None else f"{local(last.nominal, zone)}: {last.why}"),
        ]
    )


@command.command("trigger", short_help="Fire a job now.")
@click.argument("tenant")
@click.argument("job")
@click.option("--key", help="Idempotency key: with the same one the job fires once.")
@output_option
@click.pass_obj
def trigger(shell: Shell, tenant: str, job: str, key: str | None, output: str) -> None:
    """Fire JOB of TENANT now, whatever its timetable says."""
    from cluster.operations.triggering import trigger as fire

    with shell.store() as store:
        result = fire(store, tenant, job, key=key)
    if output == "json":
        print_json(result)
        return
    said = "created" if result.created else "unchanged (the key was used before)"
    click.echo(f"{said}: firing {result.firing.firing}")
    click.echo(f"  see: horarium firing get {tenant} {result.firing.firing}")


def _stop(shell: Shell, act: str, tenant: str, job: str, output: str) -> None:
    from cluster.operations import stopping

    with shell.store() as store:
        result = getattr(stopping, act)(store, tenant, job)
    if output == "json":
        print_json(result)
        return
    parts = [f"{result.verdict}: job {result.job} of {result.tenant} is {'gone' if act == 'delete' else result.state}"]
    if result.cancelled:
        parts.append(f"{result.cancelled} firings cancelled before they began")
    if result.running:
        parts.append(f"{result.running} still running")
    click.echo(", ".join(parts))


@command.command("delete", short_help="Delete a job.")
@click.argument("tenant")
@click.argument("job")
@output_option
@click.pass_obj
def delete(shell: Shell, tenant: str, job: str, output: str) -> None:
    """Delete JOB of TENANT; nothing of it begins after this has answered."""
    _stop(shell, "delete", tenant, job, output)


@command.command("pause", short_help="Pause a job.")
@click.argument("tenant")
@click.argument("job")
@output_option
@click.pass_obj
def pause(shell: Shell, tenant: str, job: str, output: str) -> None:
    """Pause JOB of TENANT; nothing of it begins after this has answered, unless it is triggered."""
    _stop(shell, "pause", tenant, job, output)


@command.command("resume", short_help="Let a paused job fire again.")
@click.argument("tenant")
@click.argument("job")
@output_option
@click.pass_obj
def resume(shell: Shell, tenant: str, job: str, output: str) -> None:
    """Let JOB of TENANT fire again, from now on."""
    _stop(shell, "resume", tenant, job, output)
