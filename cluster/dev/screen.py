"""``horarium dev``: everything on this machine, shown live or line by line."""

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final, TextIO

from cluster.dev import report
from cluster.dev.demonstration import Work, work_of
from cluster.dev.fronts import Front, LiveFront, Output, PlainFront, is_terminal
from cluster.dev.interrupts import Interrupts
from cluster.dev.keys import Keys, NoKeys, TerminalKeys
from cluster.dev.options import DevOptions
from cluster.dev.plan import StackPlan
from cluster.dev.session import Session
from cluster.dev.signs import signs_for
from cluster.dev.stack import DevStack
from cluster.dev.summary import Summary
from jobstore.errors import ConfigurationError
from jobstore.runtime import Runtime
from jobstore.timetable.zones import use_pinned_tzdata

_INTERRUPTED: Final = 130
_SIGNALLED: Final = 128

__all__ = ["DevOptions", "run_dev"]


def run_dev(
    options: DevOptions,
    environment: Mapping[str, str],
    *,
    out: TextIO | None = None,
    keys: Callable[[], Keys] | None = None,
    runtime: Runtime | None = None,
    command: tuple[str, ...] = (),
) -> int:
    """Run everything until asked to stop, and sum up.

    Args:
        options: What to run and how to show it.
        environment: What the processes inherit.
        out: Where it is shown; by default the standard output.
        keys: Where keys come from, instead of the terminal.
        runtime: Clock, ids and events.
        command: What starts our own command line, instead of this Python.

    Returns:
        0 if something fired, nothing was lost and nothing began twice; 1 otherwise; 128 and more after a signal that
        left no time for a summary.

    Raises:
        HorariumError: It cannot be started as asked; nothing is left running.
    """
    use_pinned_tzdata()
    stream, runtime = out or sys.stdout, runtime or Runtime()
    work = work_of(options)
    plan = _plan(options, work)
    if command:
        plan = replace(plan, command=command)
    with ExitStack() as until_the_end:
        interrupts = until_the_end.enter_context(Interrupts())
        stack = DevStack(plan, environment, clock=runtime.clock)
        interrupts.at_once = stack.kill
        output = Output(stream, interrupts.ask)
        live = not options.headless and is_terminal(stream)
        front: Front = LiveFront(output) if live else PlainFront(output)
        until_the_end.callback(front.close)
        session = Session(
            stack=stack,
            work=work,
            front=front,
            interrupts=interrupts,
            keys=_keys(keys, interrupts, until_the_end, live=live),
            for_s=options.for_s,
            runtime=runtime,
        )
        stack.on_step = session.step
        summary = session.run()
        if summary is None:
            return _INTERRUPTED if interrupts.number is None else _SIGNALLED + interrupts.number
        front.say(report.text(summary, signs_for(stream.encoding)))
        if options.json_file is not None:
            _write(options.json_file, summary)
        return summary.exit_code


def _plan(options: DevOptions, work: Work) -> StackPlan:
    return StackPlan(
        directory=options.directory,
        nodes=options.nodes,
        workers=options.workers,
        mongodb_url=options.mongodb_url,
        broker_url=options.broker_url,
        database=options.database,
        app=work.app,
        app_directory=work.directory,
    )


def _keys(given: Callable[[], Keys] | None, interrupts: Interrupts, until_the_end: ExitStack, *, live: bool) -> Keys:
    if given is not None:
        return given()
    if not live:
        return NoKeys()
    return until_the_end.enter_context(TerminalKeys(sys.stdin.fileno(), interrupts.wake))


def _write(path: Path, summary: Summary) -> None:
    try:
        path.write_text(json.dumps(report.document(summary), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the summary cannot be written to {path}: {error.strerror}") from error
