"""Where a run is shown: live on a terminal, or as plain lines."""

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Final, Protocol, TextIO

from rich.console import Console
from rich.live import Live

from cluster.dev.scene import FiringRow, Note, Scene
from cluster.dev.signs import signs_for
from cluster.dev.stack import Step
from cluster.dev.view import Canvas, draw
from cluster.dev.watcher import Facts

# More ended firings than this at one look become one line.
_LINES_A_LOOK: Final = 12


class Front(Protocol):
    """Shows what happens; every method may be called from any thread, and none raises when nobody listens."""

    def step(self, step: Step) -> None:
        """Show that something is up."""
        ...

    def facts(self, facts: Facts) -> None:
        """Show what is new."""
        ...

    def scene(self, scene: Scene) -> None:
        """Show the whole."""
        ...

    def say(self, text: str) -> None:
        """Show a text, once the screen is left."""
        ...

    def close(self) -> None:
        """Leave the screen."""
        ...


class Output:
    """A stream that may lose its reader: a pipe that is closed, a terminal that hangs up."""

    def __init__(self, stream: TextIO, gone: Callable[[], None]) -> None:
        """Write to ``stream``; ``gone`` is called once nobody reads it any more."""
        self.stream = stream
        self.lost = False
        self._gone = gone
        self._lock = threading.Lock()

    def write(self, action: Callable[[], object]) -> None:
        """Do something that writes, unless nobody reads."""
        with self._lock:
            if self.lost:
                return
            try:
                action()
            except (OSError, ValueError):  # a closed stream raises ValueError
                self.lost = True
                self._discard()
                self._gone()

    def _discard(self) -> None:
        """Let what is still buffered go nowhere: the interpreter would complain about it at the end."""
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def line(self, text: str) -> None:
        """Write a line and flush it, with signs that the encoding lacks replaced."""
        encoding = self.stream.encoding or "utf-8"
        shown = text.encode(encoding, "replace").decode(encoding)
        self.write(lambda: print(shown, file=self.stream, flush=True))


class PlainFront:
    """Lines, one for each firing that has ended, for logs and scripts."""

    def __init__(self, output: Output, zone: tzinfo | None = None) -> None:
        self._output, self._zone = output, zone
        self._signs = signs_for(output.stream.encoding)
        self._told: set[str] = set()

    def step(self, step: Step) -> None:
        """Write what is up, where, and after how long."""
        self._output.line(f"{step.name:<10} {step.seconds:5.1f} s  {step.detail}")

    def facts(self, facts: Facts) -> None:
        """Write the firings that have ended, and what happened to processes."""
        if len(facts.ended) > _LINES_A_LOOK:
            self._output.line(self._many(facts.ended[-1].at, list(facts.ended)))
        else:
            for row in facts.ended:
                self._output.line(self._one(row))
        for note in facts.notes:
            self._note(note)

    def scene(self, scene: Scene) -> None:
        """Write nothing: the lines have said it."""

    def say(self, text: str) -> None:
        """Write a text."""
        self._output.line(text)

    def close(self) -> None:
        """There is nothing to leave."""

    def _one(self, row: FiringRow) -> str:
        late = "" if row.late_ms is None else f"{row.late_ms:.0f} ms late"
        where = f"{row.node} {self._signs.to} {row.worker}" if row.worker else row.node
        more = f", try {row.attempt}" if row.attempt > 1 else f" x{row.count}" if row.count > 1 else ""
        line = f"{self._clock(row.at)}  {self._signs.of[row.kind]} {row.outcome}{more}"
        job = f"{row.tenant}/{row.job}"
        return f"{line:<32}  {job:<26} {late:>12}  {where}  {row.reason}".rstrip()

    def _many(self, at: datetime, rows: list[FiringRow]) -> str:
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in Counter(r.outcome for r in rows).items())
        tenants = ", ".join(f"{name} {number}" for name, number in sorted(Counter(r.tenant for r in rows).items()))
        return f"{self._clock(at)}  {len(rows)} firings: {outcomes}; {tenants}"

    def _note(self, note: Note) -> None:
        if note.text not in self._told:
            self._told.add(note.text)
            self._output.line(f"{self._clock(note.at)}  {note.text}")

    def _clock(self, at: datetime) -> str:
        local = at.astimezone(self._zone)
        return f"{local:%H:%M:%S}.{local.microsecond // 100_000}"


class LiveFront:
    """The whole terminal, drawn anew a few times a second; what was on it before comes back at the end."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._console = Console(file=output.stream)
        self._signs = signs_for(output.stream.encoding)
        self._live = Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._left = False
        output.write(self._live.start)

    def step(self, step: Step) -> None:
        """The next scene has it."""

    def facts(self, facts: Facts) -> None:
        """The next scene has them."""

    def scene(self, scene: Scene) -> None:
        """Draw it."""
        width, height = self._console.size
        canvas = Canvas(width, height, self._signs)
        self._output.write(lambda: self._live.update(draw(scene, canvas), refresh=True))

    def say(self, text: str) -> None:
        """Write a text where the terminal was before."""
        self.close()
        self._output.line(text)

    def close(self) -> None:
        """Give the terminal back."""
        if not self._left:
            self._left = True
            self._output.write(self._live.stop)


def is_terminal(stream: TextIO) -> bool:
    """Return whether both ends of the conversation are terminals that can be drawn on."""
    console = Console(file=stream)
    return stream.isatty() and sys.stdin.isatty() and not console.is_dumb_terminal
