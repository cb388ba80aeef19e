"""One run of ``horarium dev``, from nothing to nothing: start, watch, drain, sum up, stop."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, TypeVar

from cluster.dev import demonstration
from cluster.dev.acts import Acts
from cluster.dev.demonstration import Work
from cluster.dev.ending import drain, material
from cluster.dev.fronts import Front
from cluster.dev.interrupts import Interrupts
from cluster.dev.keys import Keys
from cluster.dev.memory import Memory
from cluster.dev.plan import NODES
from cluster.dev.scene import Scene, process_rows
from cluster.dev.stack import DevStack, Step, Stopped
from cluster.dev.summary import Summary, summarise
from cluster.dev.watcher import Facts, Watcher
from jobstore.errors import HorariumError
from jobstore.runtime import Runtime
from jobstore.store import Store, open_store

_TICK_S: Final = 0.2
_T = TypeVar("_T")


@dataclass(slots=True, kw_only=True)
class Session:
    """Everything that belongs to one run; ``run`` does it.

    Attributes:
        stack: What is started.
        work: What is applied to it.
        front: Where it is shown.
        interrupts: What ends it.
        keys: What acts on it.
        for_s: Ends it after this many seconds of everything being up; None does not.
        runtime: Clock, ids and events of this process.
    """

    stack: DevStack
    work: Work
    front: Front
    interrupts: Interrupts
    keys: Keys
    for_s: float | None
    runtime: Runtime
    steps: list[Step] = field(default_factory=list)
    _store: Store | None = None
    _acts: Acts | None = None
    _memory: Memory | None = None
    _watcher: Watcher | None = None
    _began: float = 0.0
    _up: float | None = None
    _stopping: str = ""

    def run(self) -> Summary | None:
        """Run until asked to stop; None when that was before everything was up, or twice.

        Raises:
            HorariumError: Something did not start, or a manifest was refused; nothing is left running.
        """
        self._began = self.runtime.clock.monotonic()
        with ThreadPoolExecutor(1, thread_name_prefix="session") as pool:
            try:
                if not self._start(pool):
                    return None
                self._watch()
                return self._shown(pool.submit(self._end))
            except HorariumError:
                if self.interrupts.impatient:  # what is missing was killed because somebody asked for it
                    return None
                raise
            finally:
                self._stopping = self._stopping or "stopping"
                self.stack.abort_start()
                self._shown(pool.submit(self._clean))

    def step(self, step: Step) -> None:
        """Take note that something is up."""
        self.steps.append(step)
        self.front.step(step)

    # -- the phases

    def _start(self, pool: ThreadPoolExecutor) -> bool:
        starting = pool.submit(self.stack.start, self._prepare)
        while not starting.done() and not self.interrupts.asked.is_set():
            self._tick()
        if not starting.done():
            self._stopping = "stopping"
            self.stack.abort_start()
        try:
            self._shown(starting)
        except Stopped:
            return False
        if self.interrupts.asked.is_set():
            return False
        self._up = self.runtime.clock.monotonic()
        self.step(Step("all", "up; Ctrl-C ends it and sums up", self._up - self._began))
        return True

    def _prepare(self, environment: Mapping[str, str]) -> None:
        """Open the store and apply the work; called while nodes and workers start."""
        store = open_store(
            environment["HORARIUM_MONGODB_URL"],
            control=environment["HORARIUM_DATABASE"],
            runtime=self.runtime,
            name="horarium-dev",
        )
        self._store = store
        store.ensure()
        # Nodes may be quicker than we are: the run began when they were started.
        since = self.runtime.clock.monotonic() - self._began
        self._memory = Memory(store.time.now() - timedelta(seconds=since))
        demonstration.put(store, self.work)
        self._acts = Acts(self.stack.supervisor, store)
        self._watcher = Watcher(store, self._memory, self._acts, self.front.facts)
        self._watcher.start()

    def _watch(self) -> None:
        clock = self.runtime.clock
        end = None if self.for_s is None else clock.monotonic() + self.for_s
        while not self.interrupts.asked.is_set() and (end is None or clock.monotonic() < end):
            self._tick()

    def _end(self) -> Summary | None:
        """Stop the nodes, let what runs come to its end, sum up."""
        store, watcher, memory, acts = self._store, self._watcher, self._memory, self._acts
        if store is None or watcher is None or memory is None or acts is None or self._up is None:
            return None
        seconds, ended = self.runtime.clock.monotonic() - self._up, store.time.now()
        acts.close()
        self._stopping = "stopping the nodes"
        killed = self.stack.supervisor.stop_stage(NODES)
        self._stopping = "letting what runs come to its end"
        drain(store, self._worth_waiting)
        watcher.stop()
        if self.interrupts.impatient:
            return None
        watcher.look()
        summary = summarise(
            material(store, memory, ended - timedelta(seconds=seconds), self.stack.notes),
            seconds=seconds,
            takeovers=watcher.takeovers.values(),
            steps=self.steps,
        )
        self._stopping = "stopping the workers"
        killed += self.stack.supervisor.stop_all()
        return replace(summary, killed=tuple(killed))

    def _worth_waiting(self) -> bool:
        views = self.stack.supervisor.views()
        working = any(view.name.startswith("worker-") and view.state == "ready" for view in views)
        return working and not self.interrupts.impatient

    def _clean(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
        if self._acts is not None:
            self._acts.close()
        if self._store is not None:
            self._store.close()
        self.stack.stop()

    # -- the screen

    def _shown(self, future: Future[_T]) -> _T:
        """Go on drawing until ``future`` is done; return its result."""
        while not future.done():
            self._tick()
        return future.result()

    def _tick(self) -> None:
        self.runtime.clock.wait(self.interrupts.wake, _TICK_S)
        self.interrupts.wake.clear()
        if self._watcher is not None and self._acts is not None and not self._stopping:
            self._watcher.check()
            self._acts.look()
        while (key := self.keys.take()) is not None:
            if key == "q":
                self.interrupts.ask()
            elif self._acts is not None and not self._stopping:
                self._acts.press(key)
        self.front.scene(self._scene())

    def _scene(self) -> Scene:
        clock = self.runtime.clock
        facts = self._watcher.facts if self._watcher is not None else Facts()
        up = None if self._up is None else clock.monotonic() - self._up
        environment = self.stack.environment
        servers = {
            "mongodb": _address(environment.get("HORARIUM_MONGODB_URL", "")),
            "valkey": _address(environment.get("HORARIUM_BROKER_URL", "")),
        }
        return Scene(
            now=clock.now(),
            up_s=up,
            left_s=None if up is None or self.for_s is None else max(0.0, self.for_s - up),
            steps=list(self.steps),
            servers={name: where for name, where in servers.items() if where},
            processes=process_rows(self.stack.supervisor.views(), facts.totals, facts.holds),
            tenants=facts.tenants,
            firings=facts.firings,
            totals=facts.totals,
            notes=facts.notes,
            keys={} if self._acts is None or self._stopping else self._acts.labels(),
            stopping=self._stopping,
        )


def _address(url: str) -> str:
    """Return host and port of a URL, without what may be secret in it."""
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(",")[0]
