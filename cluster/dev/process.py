"""One child process: in a group of its own, dying with its parent, ended by its id."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Self

from jobstore.clock import Clock
from jobstore.errors import ConfigurationError

_LEASH = str(Path(__file__).with_name("leash.py"))
_POLL_S = 0.02


class Process:
    """A running child; leaving the ``with`` block kills it and everything in its group."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        output: int | IO[bytes],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start ``argv``; ``output`` takes both streams, ``env`` replaces the environment (None inherits it).

        Raises:
            ConfigurationError: There is no such program.
        """
        program = shutil.which(argv[0])
        if program is None:
            raise ConfigurationError(f"{argv[0]} is not an executable program")
        self.argv = tuple(argv)
        self.exited = threading.Event()
        self._reaping = threading.Lock()
        leash = (sys.executable, "-I", "-S", _LEASH, str(os.getpid()), program, *argv[1:])
        self._popen = _spawn(
            lambda: subprocess.Popen(
                leash,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                process_group=0,
            )
        )
        self.pid = self._popen.pid
        threading.Thread(target=self._reap, name=f"reap-{self.pid}", daemon=True).start()

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._popen.returncode if self.exited.is_set() else None

    @property
    def stdout(self) -> IO[bytes] | None:
        """The reading end when ``output`` was ``subprocess.PIPE``."""
        return self._popen.stdout

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, not to its group; nothing happens when it has ended."""
        with self._reaping:
            if not self.exited.is_set():
                os.kill(self.pid, number)

    def send_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and all that it started, for freezing (SIGSTOP) and thawing (SIGCONT)."""
        with self._reaping:
            if not self.exited.is_set():
                os.killpg(self.pid, number)

    def kill(self) -> None:
        """End the whole group with SIGKILL and wait until it is gone."""
        self.send_group(signal.SIGKILL)
        self.exited.wait()

    def stop(self, within: float = 10.0) -> bool:
        """Ask with SIGTERM, kill after ``within`` seconds; return whether it went by itself."""
        self.send(signal.SIGTERM)
        if self.exited.wait(within):
            return True
        self.kill()
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _reap(self) -> None:
        # Popen's own poll() must not be used elsewhere: it would collect the process, and its number could be
        # somebody else's when the group is swept or a signal is sent.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()
            self.exited.set()


def await_ready(process: Process, ready: Callable[[], bool], clock: Clock, within: float) -> bool:
    """Return True once ``ready()`` holds, False when the process ended or ``within`` seconds have passed."""
    deadline = clock.monotonic() + within
    while not ready():
        if clock.wait(process.exited, _POLL_S) or clock.monotonic() > deadline:
            return False
    return True


# The kernel ties a child to the *thread* that started it.  One thread that lives as long as this process starts them
# all; otherwise a server started by a short-lived thread would be killed when that thread ends.
_requests: "queue.SimpleQueue[Callable[[], None]]" = queue.SimpleQueue()
_starting = threading.Lock()
_spawner: tuple[int, threading.Thread] | None = None


def _spawn(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    global _requests, _spawner  # noqa: PLW0603 - one thread for the process, whoever asks
    with _starting:
        if _spawner is None or _spawner[0] != os.getpid():  # a forked copy has the variables but not the thread
            _requests = queue.SimpleQueue()
            thread = threading.Thread(target=_serve, args=(_requests,), name="spawner", daemon=True)
            thread.start()
            _spawner = (os.getpid(), thread)
    answer: Future[subprocess.Popen[bytes]] = Future()

    def run() -> None:
        try:
            answer.set_result(start())
        except (OSError, TypeError, ValueError, subprocess.SubprocessError) as error:
            # All that a program, an environment or a directory can be refused for: whoever asked waits for an answer.
            answer.set_exception(error)

    _requests.put(run)
    return answer.result()


def _serve(requests: "queue.SimpleQueue[Callable[[], None]]") -> None:
    while True:
        requests.get()()
