"""``horarium version``."""

import click

from cluster.cli.shell import output_option, print_facts, print_json


@click.command("version", short_help="Show versions.")
@output_option
def command(output: str) -> None:
    """Show the version of Horarium and of what decides how it behaves."""
    import platform
    from importlib.metadata import version

    packages = ("horarium", "apscheduler", "celery", "pymongo", "tzdata")
    found = {name: version(name) for name in packages} | {"python": platform.python_version()}
    if output == "json":
        print_json(found)
    else:
        print_facts(list(found.items()))
