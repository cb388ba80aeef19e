"""The whole cluster on one machine: servers, nodes, workers and a demonstration, started and ended as one."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cluster.dev.directory import RunDirectory
from cluster.dev.logbook import LineSink, LogBook
from cluster.dev.mongod import EmbeddedMongo, find_mongod, mongo_url
from cluster.dev.plan import StackPlan
from cluster.dev.ports import free_port, is_taken
from cluster.dev.supervisor import Supervisor
from cluster.dev.valkey import EmbeddedValkey
from jobstore.clock import Clock, SystemClock
from jobstore.errors import ConfigurationError

# Where people look first, and apart from the ports of a real installation on the same machine.
_MONGO_PORT = 27117
_VALKEY_PORT = 16379
_PORTS_TO_TRY = 3


@dataclass(frozen=True, slots=True)
class Step:
    """Something is up: what, where, and the seconds since the stack began to start."""

    name: str
    detail: str
    seconds: float


class Stopped(Exception):
    """The start was given up because somebody asked for it."""


class DevStack:
    """Everything of ``horarium dev`` but the screen; ends with this process, however that ends."""

    def __init__(
        self,
        plan: StackPlan,
        environment: Mapping[str, str],
        *,
        clock: Clock | None = None,
        on_line: LineSink | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        """Take the directory; ``start`` starts the rest.

        Args:
            plan: What to run.
            environment: What the processes inherit; where they belong is added.
            clock: The clock that deadlines are judged by.
            on_line: Told the name of a process and a line it wrote, from any thread.
            on_step: Told of everything that is up, from any thread.

        Raises:
            ConfigurationError: The directory is in use, or cannot be written.
        """
        self.plan = plan
        self.environment: Mapping[str, str] = {}
        self.mongo: EmbeddedMongo | None = None
        self.valkey: EmbeddedValkey | None = None
        self._inherited = dict(environment)
        self._clock = clock or SystemClock()
        self.on_step = on_step
        self._begun = self._clock.monotonic()
        self._starting: Future[None] | None = None
        self._aborted, self._started = threading.Event(), threading.Event()
        self._preferred: int | None = _MONGO_PORT
        self.directory = RunDirectory("dev", plan.directory)
        # Where running code may write of itself, for the summary to hold against the ledger.
        self.notes = Path(self._inherited.get("HORARIUM_DEV_NOTES") or self.directory.path / "notes.jsonl")
        self._logbook = LogBook(self.directory.path / "logs", self._clock, on_line)
        self.supervisor = self._new_supervisor()

    def start(self, prepare: Callable[[Mapping[str, str]], None] | None = None, within: float = 60.0) -> None:
        """Start everything and wait until all of it is ready.

        Nodes and workers start beside MongoDB and wait for it: most of their start is importing.

        Args:
            prepare: Called with the environment once the servers answer, while nodes and workers start: it makes the
                tenants and jobs of a demonstration.
            within: Seconds for each part.

        Raises:
            ConfigurationError: Something did not start; the message says why.  What did start is left to ``stop``.
            Stopped: ``abort_start`` was called meanwhile.
        """
        self._begun = self._clock.monotonic()
        if self.plan.mongodb_url is None:
            find_mongod()  # before anything is started that would wait for it
        broker_url = self._broker_url()
        for attempt in range(_PORTS_TO_TRY, 0, -1):
            port = None if self.plan.mongodb_url else _mongo_port(self.plan.mongo_members, self._preferred)
            try:
                self._start_around(port, broker_url, prepare, within)
            except ConfigurationError:
                # Another program was quicker.  What was started for that port is started again for the next.
                if attempt == 1 or self.mongo is not None or port is None or not is_taken(port):
                    raise
                self._preferred = None
                self.supervisor.kill_all()
                self.supervisor = self._new_supervisor()
            else:
                self._started.set()
                return

    def abort_start(self) -> None:
        """End a ``start`` in another thread soon; nothing happens when it has ended, and ``stop`` must follow."""
        if not self._started.is_set():
            self._aborted.set()
            self.supervisor.kill_all()

    def stop(self) -> list[str]:
        """End everything in order and give the directory up; return the names of what had to be killed."""
        killed = self.supervisor.stop_all()
        self._stop_servers()
        return killed

    def kill(self) -> None:
        """End nodes and workers at once; another thread may do so while ``stop`` takes its time.

        The servers are left to ``stop``, which is quick with them: whoever waits for their answer would wait for long.
        """
        self._aborted.set()
        self.supervisor.kill_all()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            self._stop_servers()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _stop_servers(self) -> None:
        if self._starting is not None:
            wait([self._starting])  # after Ctrl-C while it starts: what is not there yet could not be stopped
        for server in (self.valkey, self.mongo):
            if server is not None:
                server.stop()
        self.directory.close()

    def _start_around(
        self,
        port: int | None,
        broker_url: str,
        prepare: Callable[[Mapping[str, str]], None] | None,
        within: float,
    ) -> None:
        url = self.plan.mongodb_url or mongo_url(self.plan.mongo_members, port or 0)
        # Unbuffered: a line in a pipe is seen when it is written, not when a block is full.
        self.environment = {
            "HORARIUM_EXAMPLES_OUT": str(self.directory.path / "out"),
            **self._inherited,
            **self.plan.settings(url, broker_url),
            "HORARIUM_DEV_NOTES": str(self.notes),
            "PYTHONUNBUFFERED": "1",
        }
        names = self.supervisor.launch(self.plan.specs(self.environment))
        pool = ThreadPoolExecutor(1, thread_name_prefix="start")
        self._starting = pool.submit(self._servers_and_then, port, prepare)
        pool.shutdown(wait=False)
        try:
            self.supervisor.await_ready(names, within)
        except ConfigurationError:
            self._settle()  # why a server did not start says more than why a node did not reach it
            raise
        self._settle()

    def _settle(self) -> None:
        if self._starting is not None:
            self._starting.result()
        if self._aborted.is_set():
            raise Stopped

    def _servers_and_then(self, port: int | None, prepare: Callable[[Mapping[str, str]], None] | None) -> None:
        try:
            if self._aborted.is_set():
                self.supervisor.kill_all()  # it was called before they were launched
                return
            if port is not None:
                self._start_mongo(port)
            if prepare is not None and not self._aborted.is_set():
                prepare(self.environment)
                self._tell("demo", "applied")
        except BaseException:
            self.supervisor.kill_all()  # they would wait for it for a long time
            raise

    def _start_mongo(self, port: int) -> None:
        directory = None if self.directory.temporary else self.directory.path / "mongo"
        self.mongo = EmbeddedMongo(members=self.plan.mongo_members, directory=directory, port=port, clock=self._clock)
        self._tell("mongod", self.mongo.url)

    def _broker_url(self) -> str:
        if self.plan.broker_url is not None:
            return self.plan.broker_url
        kept = not self.directory.temporary
        directory = self.directory.path / "valkey" if kept else None
        self.valkey = EmbeddedValkey(directory=directory, persist=kept, preferred_port=_VALKEY_PORT, clock=self._clock)
        self._tell("valkey", self.valkey.url)
        return self.valkey.url

    def _new_supervisor(self) -> Supervisor:
        return Supervisor(self._logbook, self._clock, self._ready)

    def _ready(self, name: str) -> None:
        self._tell(name, f"pid {self.supervisor.view(name).pid}")

    def _tell(self, name: str, detail: str) -> None:
        if self.on_step is not None:
            self.on_step(Step(name, detail, self._clock.monotonic() - self._begun))


def _mongo_port(members: int, preferred: int | None) -> int:
    """Return the first of ``members`` ports in a row that nobody holds: the preferred ones if they are free."""
    port = preferred or free_port()
    while any(is_taken(port + number) for number in range(members)):
        port = free_port()
    return port
