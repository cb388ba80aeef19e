"""``horarium api``."""

import click

from cluster.cli.shell import Shell, make_runtime


@click.command("api", short_help="Answer health, metrics and what pools want.")
@click.option("--host", help="Where to listen.")
@click.option("--port", type=int, help="The port; 0 takes a free one.")
@click.pass_obj
def command(shell: Shell, host: str | None, port: int | None) -> int:
    """Answer /healthz, /readyz, /metrics and, behind HORARIUM_API_KEY, /v1/pools/POOL/demand."""
    from cluster.cli.logs import log_to_stderr
    from cluster.demanding import run_api
    from cluster.settings import ApiSettings, read_settings

    # By the names of their variables, which are not the fields' own.
    given = {"HORARIUM_API_HOST": host, "HORARIUM_API_PORT": port}
    settings = read_settings(ApiSettings, mongodb_url=shell.mongodb_url, database=shell.database, **given)
    log_to_stderr("INFO")
    return run_api(settings, make_runtime(settings.crash_points))
