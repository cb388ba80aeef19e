"""``horarium node``."""

import click

from cluster.cli.shell import Shell, make_runtime


@click.command("node", short_help="Run a scheduler node.")
@click.option("--name", help="Names this node; no two may have the same.")
@click.option("--broker-url", metavar="URL", help="Instead of HORARIUM_BROKER_URL.")
@click.pass_obj
def command(shell: Shell, name: str | None, broker_url: str | None) -> int:
    """Run a scheduler node until it gets SIGTERM; any number of them share the work."""
    from cluster.cli.logs import log_to_stderr
    from cluster.node_process import run_node
    from cluster.settings import NodeSettings, read_settings

    settings = read_settings(
        NodeSettings, mongodb_url=shell.mongodb_url, database=shell.database, name=name, broker_url=broker_url
    )
    log_to_stderr(settings.loglevel)
    return run_node(settings, make_runtime(settings.crash_points))
