"""One supervised process through all its lives: what it is, when it is ready, how it ended."""

import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from cluster.dev.logbook import LogBook
from cluster.dev.process import Process
from jobstore.clock import Clock

State = Literal["stopped", "starting", "ready", "frozen", "stopping", "killed", "crashed", "ended"]

_LONGEST_LINE = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A program to supervise.

    Attributes:
        name: Its name on the screen and of its log file.
        argv: The program and its arguments.
        env: Its whole environment.
        ready: Says of a line of output that the process serves now; without it a process is ready at once.
        stage: Processes of a higher stage are stopped earlier.
        stop_within: Seconds between SIGTERM and SIGKILL.
        cwd: Its working directory; None inherits ours.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ready: Callable[[str], bool] | None = None
    stage: int = 0
    stop_within: float = 10.0
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What there is to see of a supervised process at one moment."""

    name: str
    state: State
    pid: int | None
    exit_code: int | None
    starts: int
    up_s: float


class Child:
    """A supervised process; every method may be called from any thread."""

    def __init__(
        self, spec: Spec, logbook: LogBook, clock: Clock, on_ready: Callable[[str], None] | None = None
    ) -> None:
        """Describe it; ``start`` starts it, ``on_ready`` is told its name when it serves, from any thread."""
        self.spec = spec
        self.settled = threading.Event()
        self._logbook, self._clock, self._on_ready = logbook, clock, on_ready
        self._starting = threading.Lock()
        self._process: Process | None = None
        self._reader: threading.Thread | None = None
        self._asked: Literal["stopped", "killed"] | None = None
        self._ready = self._frozen = False
        self._starts, self._started_at = 0, 0.0

    @property
    def state(self) -> State:
        """What it is doing, or how it ended."""
        process = self._process
        if process is None:
            return "stopped"
        if process.exited.is_set():
            return self._asked or ("crashed" if process.exit_code else "ended")
        if self._asked:
            return "stopping"
        if self._frozen:
            return "frozen"
        return "ready" if self._ready else "starting"

    def view(self) -> View:
        """Return what there is to see now."""
        process, state = self._process, self.state
        running = process is not None and not process.exited.is_set()
        up = self._clock.monotonic() - self._started_at if running else 0.0
        pid = process.pid if process is not None and running else None
        return View(self.spec.name, state, pid, process.exit_code if process else None, self._starts, up)

    def start(self) -> None:
        """Start it; nothing happens when it runs (raises ConfigurationError when there is no such program)."""
        with self._starting:
            if self._process is not None and not self._process.exited.is_set():
                return
            self._asked, self._frozen, self._ready = None, False, self.spec.ready is None
            self.settled = threading.Event()
            process = Process(self.spec.argv, output=subprocess.PIPE, env=self.spec.env, cwd=self.spec.cwd)
            self._process = process
            self._starts += 1
            self._started_at = self._clock.monotonic()
            if self._ready:
                self.settled.set()
            name = f"read-{self.spec.name}"
            self._reader = threading.Thread(target=self._read, args=(process, self.settled), name=name, daemon=True)
            self._reader.start()

    def await_settled(self, within: float) -> bool:
        """Wait until it is ready or has ended; return whether it is as it should be."""
        self._clock.wait(self.settled, within)
        return self.state == "ready"

    def ask_to_stop(self) -> None:
        """Send SIGTERM and return at once; a frozen process is thawed to hear it."""
        process = self._process
        if process is not None and not process.exited.is_set():
            self._asked = self._asked or "stopped"
            process.send(signal.SIGTERM)
            self.thaw()

    def await_exit(self, within: float) -> bool:
        """Wait until it has gone, and kill it after ``within`` seconds; return whether it went by itself."""
        process = self._process
        if process is None or self._clock.wait(process.exited, within):
            self._finish_reading()
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """End it and all that it started with SIGKILL."""
        process = self._process
        if process is not None and not process.exited.is_set():
            self._asked = "killed"
            process.kill()
        self._finish_reading()

    def freeze(self) -> None:
        """Let it and all that it started stand still (SIGSTOP)."""
        if self._process is not None:
            self._process.send_group(signal.SIGSTOP)
            self._frozen = True

    def thaw(self) -> None:
        """Let it run on (SIGCONT)."""
        if self._process is not None:
            self._process.send_group(signal.SIGCONT)
            self._frozen = False

    def _read(self, process: Process, settled: threading.Event) -> None:
        stream: IO[bytes] | None = process.stdout
        if stream is not None:
            with stream:
                # Bounded: a program that writes without ever ending its line must not fill our memory.
                while data := stream.readline(_LONGEST_LINE):
                    self._take(data.decode(errors="replace").rstrip("\r\n"), settled)
        process.exited.wait()
        settled.set()

    def _take(self, line: str, settled: threading.Event) -> None:
        self._logbook.write(self.spec.name, line)
        if not self._ready and self.spec.ready is not None and self.spec.ready(line):
            self._ready = True
            if self._on_ready is not None:  # before anybody who waits for it goes on and tells more
                self._on_ready(self.spec.name)
            settled.set()

    def _finish_reading(self) -> None:
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(1.0)  # bounded: something that left the group may hold the pipe open
