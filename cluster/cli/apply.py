"""``horarium apply``."""

from pathlib import Path

import click

from cluster.cli.definition import read_text
from cluster.cli.shell import Shell, output_option, print_items, print_table
from jobstore.errors import InvalidInput


@click.command("apply", short_help="Make tenants and jobs what YAML files say.")
@click.option(
    "-f", "--file", "files", multiple=True, required=True, help="A file, a directory of them, or - for stdin."
)
@output_option
@click.pass_obj
def command(shell: Shell, files: tuple[str, ...], output: str) -> int:
    """Make tenants and jobs what YAML files say; applying them again changes nothing.

    What the files do not name stays as it is.  The exit code is that of the first object that was refused.
    """
    from cluster.operations.apply import apply
    from cluster.operations.manifest import read_manifests

    manifests = []
    faults: list[str] = []
    for file in _expanded(files):
        try:
            manifests += read_manifests(read_text(file), file)
        except InvalidInput as error:
            faults += error.faults
    if faults:
        raise InvalidInput(*faults)
    with shell.store() as store:
        found = apply(store, manifests)
    if output == "json":
        print_items(found)
    else:
        print_table(
            ["TENANT", "KIND", "NAME", "VERDICT", ""],
            [[one.tenant, one.kind, one.name, one.verdict, "\n".join(one.faults) or " "] for one in found],
            empty="there was nothing to apply",
        )
    for one in found:
        for sentence in one.warnings:
            click.echo(f"warning: {one.tenant}/{one.name}: {sentence}", err=True)
    refused = [one for one in found if one.verdict == "refused"]
    for one in refused if output == "json" else ():
        click.echo(f"horarium: {one.tenant}/{one.name}: {'; '.join(one.faults)}", err=True)
    return refused[0].exit_code if refused else 0


def _expanded(files: tuple[str, ...]) -> list[str]:
    """Return the files, those of directories in order of name; hidden ones are left out (a mounted volume has some)."""
    found = []
    for file in files:
        path = Path(file)
        if file != "-" and path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix in (".yaml", ".yml") and one.name[0] != ".")
            if not inside:
                raise InvalidInput(f"the directory {file} holds no .yaml file")
            found += [str(one) for one in inside]
        else:
            found.append(file)
    return found
