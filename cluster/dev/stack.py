"""The whole cluster on one machine: servers, nodes, workers and a demonstration, started and ended as one."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Self

from cluster.dev.directory import RunDirectory
from cluster.dev.logbook import LineSink, LogBook
from cluster.dev.mongod import EmbeddedMongo
from cluster.dev.plan import StackPlan
from cluster.dev.supervisor import Supervisor
from cluster.dev.valkey import EmbeddedValkey
from jobstore.clock import Clock, SystemClock

# Where people look first, and apart from the ports of a real installation on the same machine.
_MONGO_PORT = 27117
_VALKEY_PORT = 16379


@dataclass(frozen=True, slots=True)
class Step:
    """Something is up: what, where, and the seconds since the stack began to start."""

    name: str
    detail: str
    seconds: float


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
        self._on_step = on_step
        self._begun = self._clock.monotonic()
        self._starting: list[Future[str]] = []
        self.directory = RunDirectory("dev", plan.directory)
        self.supervisor = Supervisor(LogBook(self.directory.path / "logs", self._clock, on_line), self._clock)

    def start(self, within: float = 60.0) -> None:
        """Start everything and wait until all of it is ready.

        Raises:
            ConfigurationError: Something did not start; the message says why.  What did start is left to ``stop``.
        """
        self._begun = self._clock.monotonic()
        pool = ThreadPoolExecutor(2, thread_name_prefix="start")
        self._starting = [pool.submit(self._mongodb_url), pool.submit(self._broker_url)]
        pool.shutdown(wait=False)
        mongodb_url, broker_url = (url.result() for url in self._starting)
        settings = self.plan.settings(mongodb_url, broker_url)
        # Unbuffered: a line in a pipe is seen when it is written, not when a block is full.
        self.environment = {**self._inherited, **settings, "PYTHONUNBUFFERED": "1"}
        self.supervisor.start(self.plan.specs(self.environment) + self.plan.tasks(self.environment), within)
        for view in self.supervisor.views():
            self._tell(view.name, "done" if view.state == "ended" else f"pid {view.pid}")

    def stop(self) -> list[str]:
        """End everything in order and give the directory up; return the names of what had to be killed."""
        killed = self.supervisor.stop_all()
        self._stop_servers()
        return killed

    def kill(self) -> None:
        """End everything at once; another thread may do so while ``stop`` takes its time."""
        self.supervisor.kill_all()
        if self.mongo is not None:
            self.mongo.kill()
        if self.valkey is not None:
            self.valkey.kill()

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
        wait(self._starting)  # after Ctrl-C while they start: what is not there yet could not be stopped
        for server in (self.valkey, self.mongo):
            if server is not None:
                server.stop()
        self.directory.close()

    def _mongodb_url(self) -> str:
        if self.plan.mongodb_url is not None:
            return self.plan.mongodb_url
        directory = None if self.directory.temporary else self.directory.path / "mongo"
        self.mongo = EmbeddedMongo(
            members=self.plan.mongo_members, directory=directory, preferred_port=_MONGO_PORT, clock=self._clock
        )
        self._tell("mongod", self.mongo.url)
        return self.mongo.url

    def _broker_url(self) -> str:
        if self.plan.broker_url is not None:
            return self.plan.broker_url
        kept = not self.directory.temporary
        directory = self.directory.path / "valkey" if kept else None
        self.valkey = EmbeddedValkey(directory=directory, persist=kept, preferred_port=_VALKEY_PORT, clock=self._clock)
        self._tell("valkey", self.valkey.url)
        return self.valkey.url

    def _tell(self, name: str, detail: str) -> None:
        if self._on_step is not None:
            self._on_step(Step(name, detail, self._clock.monotonic() - self._begun))
