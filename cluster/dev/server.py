"""What the embedded servers share: finding a wheel's program, starting it on a free port, saying why it did not start."""

import re
import signal
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from cluster.dev.ports import free_port, is_taken
from cluster.dev.process import Process, await_ready
from jobstore.clock import Clock
from jobstore.errors import ConfigurationError

_INSTALL = "pip install 'horarium[embedded]'"
_MISSING_LIBRARY = re.compile(r"error while loading shared libraries: (\S+):")
_PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "libcrypto.so.3": "libssl3",
    "libssl.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
}
_PORTS_TO_TRY = 5


def find_program(distribution: str, name: str) -> Path:
    """Return the program ``name`` inside an installed wheel, without importing anything of it.

    Raises:
        ConfigurationError: The wheel is not installed, or has no such program.
    """
    try:
        files = metadata.files(distribution)
    except metadata.PackageNotFoundError:
        files = None
    for file in files or ():
        path = Path(str(file.locate()))
        if file.name == name and path.is_file():
            return path
    raise ConfigurationError(f"there is no {name} on this machine for the embedded servers; run: {_INSTALL}")


class Server:
    """One server process on a loopback port, with its output in a file; the same port after a restart."""

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        log: Path,
        ready: str,
        clock: Clock,
        *,
        port: int | None = None,
        preferred: int | None = None,
        within: float = 30,
    ) -> None:
        """Start ``command(port)`` and wait until it writes ``ready`` into its log.

        ``port`` is the only one it may have, ``preferred`` is taken when it is free, otherwise it gets any free one.
        An accepted connection would prove less: it may be another process that was given the port first.

        Raises:
            ConfigurationError: The given port is taken, or the server did not start; the message says why.
        """
        if port is not None and is_taken(port):
            raise ConfigurationError(f"port {port} is in use by another program; choose another port or stop that one")
        self._command, self._log, self._ready = command, log, ready
        self._clock, self._within = clock, within
        self.port = port or (preferred if preferred and not is_taken(preferred) else free_port())
        attempts = 1 if port else _PORTS_TO_TRY
        while not self._launch():
            attempts -= 1
            ended = self.process.exit_code
            self.process.kill()
            if ended is None or attempts == 0 or not is_taken(self.port):
                raise ConfigurationError(self._why(ended))
            self.port = free_port()  # another process was quicker

    def start(self) -> None:
        """Start it again on its port, after ``stop`` or ``kill`` (raises ConfigurationError when it does not start)."""
        if self.process.exit_code is not None and not self._launch():
            ended = self.process.exit_code
            self.process.kill()
            raise ConfigurationError(self._why(ended))

    def stop(self, within: float = 20.0) -> None:
        """End it in order: SIGTERM, and SIGKILL after ``within`` seconds."""
        self.process.stop(within)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()

    def freeze(self) -> None:
        """Stop it from running (SIGSTOP): its connections stay open and nothing answers."""
        self.process.send_group(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run on after ``freeze``."""
        self.process.send_group(signal.SIGCONT)

    def _launch(self) -> bool:
        with self._log.open("ab") as output:
            before = output.tell()
            self.process = Process(self._command(self.port), output=output)
        try:
            return await_ready(self.process, lambda: self._ready in self._said_since(before), self._clock, self._within)
        except BaseException:  # Ctrl-C while it starts: nobody else knows of it yet
            self.process.kill()
            raise

    def _said_since(self, position: int) -> str:
        with self._log.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    def _why(self, exit_code: int | None) -> str:
        program = Path(self._command(self.port)[0]).name
        text = self._log.read_text(errors="replace")
        if missing := _MISSING_LIBRARY.search(text):
            library = missing[1]
            package = _PACKAGES.get(library, f"the package that holds {library}")
            return f"{program} needs the system library {library}; run: apt-get install {package}"
        state = f"did not answer within {self._within:g} s" if exit_code is None else f"ended with code {exit_code}"
        tail = "\n".join(text.splitlines()[-5:])
        return f"{program} {state} on port {self.port}; its last words:\n{tail}"
