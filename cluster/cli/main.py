"""The root of the command line, and the one place where errors become sentences and exit codes."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

import click

from cluster.cli.shell import Shell
from jobstore.errors import HorariumError, InvalidInput

# Name → where it is, and what it does: the help is shown without importing anything.
_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "dev": ("cluster.cli.dev", "Run everything on this machine, with a demonstration."),
    "node": ("cluster.cli.node", "Run a scheduler node."),
    "worker": ("cluster.cli.worker", "Run a worker of a pool."),
    "api": ("cluster.cli.api", "Answer health, metrics and what pools want."),
    "tenant": ("cluster.cli.tenant", "Create, show, suspend, delete tenants."),
    "plan": ("cluster.cli.plan", "Put, list, show and delete plans of tenants."),
    "quarantine": ("cluster.cli.quarantine", "List, show, retry and discard what cannot be read or run."),
    "job": ("cluster.cli.job", "Put, list, show, fire, pause and delete jobs."),
    "firing": ("cluster.cli.firing", "List and show what became of each instant."),
    "pool": ("cluster.cli.pool", "Configure pools of workers, and see what they want."),
    "apply": ("cluster.cli.apply", "Make tenants and jobs what YAML files say."),
    "version": ("cluster.cli.version", "Show versions."),
}


class _Lazy(click.Group):
    """Imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx  # the same in every context
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, _COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(_COMMANDS)}"
            raise click.UsageError(f"there is no command {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--mongodb-url", metavar="URL", help="Instead of HORARIUM_MONGODB_URL.")
@click.option("--database", metavar="NAME", help="Instead of HORARIUM_DATABASE.")
@click.pass_context
def root(ctx: click.Context, mongodb_url: str | None, database: str | None) -> None:
    """Horarium: a multi-tenant scheduler cluster.  Settings come from HORARIUM_… variables.

    Exit codes: 0 done, 1 failed, 2 refused as it was given, 3 not found, 4 in conflict, 6 a server does not answer.
    """
    ctx.obj = Shell(mongodb_url=mongodb_url, database=database, environment=ctx.obj or {})


def run(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run one command and return its exit code; every error is a sentence on stderr.

    ``environment`` is what processes that the command starts inherit.
    """
    try:
        result: Any = root.main(list(arguments), prog_name="horarium", standalone_mode=False, obj=environment)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        return _usage(error)
    except click.ClickException as error:
        return _say(error.format_message(), 2)
    except (KeyboardInterrupt, click.Abort):
        return 130
    except HorariumError as error:
        return _refuse(error)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  (the last handler: people get a sentence, never a traceback)
        return _bug(error)
    return result if isinstance(result, int) else 0


def _usage(error: click.UsageError) -> int:
    hint = f"; see: {error.ctx.command_path} --help" if error.ctx is not None else ""
    return _say(f"{error.format_message().rstrip('.')}{hint}", 2)


def _refuse(error: HorariumError) -> int:
    if isinstance(error, InvalidInput) and len(error.faults) > 1:
        return _say("\n  ".join(["this is refused:", *error.faults]), error.exit_code)
    return _say(str(error), error.exit_code)


def _bug(error: Exception) -> int:
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    where = " < ".join(reversed(frames[-4:]))
    return _say(f"this is a bug in Horarium, please report it: {type(error).__name__}: {error} ({where})", 1)


def _say(text: str, code: int) -> int:
    click.echo(f"horarium: {text}", err=True)
    return code
