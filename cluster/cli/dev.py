"""``horarium dev``."""

from pathlib import Path
from typing import Any

import click

from cluster.cli.shell import Shell

_PATH = click.Path(path_type=Path)


@click.command("dev", short_help="Run everything on this machine, with a demonstration.")
@click.option("--nodes", type=int, default=2, show_default=True, help="Scheduler nodes.")
@click.option("--workers", type=int, default=1, show_default=True, help="Worker processes.")
@click.option("--headless", is_flag=True, help="Plain lines, even where there is a terminal.")
@click.option("--for", "for_s", metavar="LENGTH", help="Stop by itself after so long, such as 30s.")
@click.option("--dir", "directory", type=_PATH, help="Keep the data there; by default nothing is left behind.")
@click.option("--no-demo", "demo", is_flag=True, flag_value=False, default=True, help="Without the demonstration.")
@click.option("--app", metavar="MODULE:NAME", help="Your Celery application instead of the demonstration's.")
@click.option("-f", "--file", "manifests", type=_PATH, multiple=True, help="Tenants and jobs to apply, as YAML.")
@click.option("--json", "json_file", type=_PATH, help="Write the summary there as JSON.")
@click.option("--mongodb-url", metavar="URL", help="A MongoDB that runs already, instead of starting one.")
@click.option("--broker-url", metavar="URL", help="A broker that runs already, instead of starting one.")
@click.pass_obj
def command(shell: Shell, /, for_s: str | None, mongodb_url: str | None, **given: Any) -> int:
    """Run MongoDB, Valkey, scheduler nodes and workers on this machine, and show what fires.

    On a terminal, keys kill a node, restart it and more; Ctrl-C ends everything and sums up.
    """
    from cluster.dev.options import read_for
    from cluster.dev.screen import DevOptions, run_dev

    options = DevOptions(
        for_s=None if for_s is None else read_for(for_s),
        mongodb_url=mongodb_url or shell.mongodb_url,
        database=shell.database or "horarium",
        **given,
    )
    return run_dev(options, shell.environment)
