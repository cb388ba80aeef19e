"""What a schedule plays with: a broker that misbehaves, node and worker processes made of the real code."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from cluster.node import Node
from cluster.policy import NodePolicy
from jobstore.errors import BrokerUnavailable
from jobstore.events import Event, Events
from jobstore.firing import Firing
from jobstore.runtime import Runtime
from jobstore.store import Store
from tests.support.ids import CountingIds
from tests.support.simulation_fibers import Fiber
from tests.support.simulation_seams import (
    Controller,
    ProcessClock,
    ProcessPoints,
    SeamClient,
    SimulatedClock,
    seam_store,
)
from workers.context import current_firing
from workers.execute import Executor
from workers.heartbeat import Heartbeat
from workers.limits import Limits
from workers.live import Interrupts, Live, Run
from workers.outcome import RunLost
from workers.wire import Message, encode

KEY: Final = b"the key of every simulated message"
POLICY: Final = NodePolicy(threads=1)


@dataclass
class SimulatedBroker:
    """Messages in flight; ``dice`` decides what becomes of a publish."""

    dice: Callable[[str], str]
    messages: list[Message] = field(default_factory=list)
    down: bool = False
    generation: int = 0
    marked: int | None = None

    def send(self, messages: list[Message]) -> None:
        for message in messages:
            fate = "refused" if self.down else self.dice("publish")
            if fate == "refused":
                raise BrokerUnavailable("the simulated broker refuses")
            if fate != "lost":
                self.messages.append(message)
            if fate == "twice":
                self.messages.append(message)
            if fate == "ambiguous":
                raise BrokerUnavailable("the simulated broker took it and did not say so")

    def forget(self) -> None:
        """Lose everything, as a restart without persistence does."""
        self.messages.clear()
        self.generation += 1
        self.marked = None


@dataclass
class NodesBroker:
    """The broker as one node uses it: a sender and a memory of its epoch, as ``workers.epoch`` keeps it."""

    broker: SimulatedBroker
    controller: Controller
    process: str
    _seen: int | None = None

    def send(self, messages: Any) -> None:
        self.controller.at(self.process, "broker.send")
        self.broker.send(list(messages))

    def check(self) -> bool:
        self.controller.at(self.process, "broker.check")
        broker = self.broker
        if broker.down:
            raise BrokerUnavailable("the simulated broker is away")
        made = broker.marked is None
        broker.marked = broker.generation
        lost = made or (self._seen is not None and self._seen != broker.generation)
        self._seen = broker.generation
        return lost

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class Process:
    """A simulated process: its store, its events, and its threads as fibers by the name of their loop."""

    name: str
    kind: str
    store: Store
    events: list[Event]
    fibers: dict[str, Fiber] = field(default_factory=dict)
    wakes: dict[str, float] = field(default_factory=dict)
    frozen: bool = False
    dead: bool = False
    node: Node | None = None
    worker: "Worker | None" = None
    document: dict[str, Any] | None = None


@dataclass
class Worker:
    """The worker's side: executor and heartbeat as in ``workers.engine``, with targets that the schedule plays."""

    executor: Executor
    heartbeat: Heartbeat
    handling: dict[str, Message] = field(default_factory=dict)

    def run(self, message: Message) -> None:
        self.executor.run(encode(message, KEY))


class NotedInterrupts(Interrupts):
    """Stops a run at its next seam instead of at its next instruction."""

    def stop(self, run: Run, why: type[BaseException]) -> bool:
        run.pending = why
        return run.phase == "running"

    def withdraw(self, run: Run) -> None:
        run.pending = None


@dataclass
class PlayedTargets:
    """Targets that note their begin and end and take as many steps as the dice say."""

    process: str
    controller: Controller
    dice: Callable[[str], str]
    live: Live
    note: Callable[[str, str, Firing], None]

    def resolve(self, firing: Firing) -> Callable[[], Any]:
        def call() -> None:
            assert current_firing().id == firing.id
            self.note("begin", self.process, firing)
            fate = self.dice("task")
            if fate in ("long", "very_long"):
                self.controller.sleep(self.process, 4.0 if fate == "long" else 45.0)
            self.controller.at(self.process, "task")
            if any(run.token == firing.run_token and run.pending is RunLost for run in self.live.running()):
                self.note("stopped", self.process, firing)
                raise RunLost
            if fate == "fails":
                self.note("failed", self.process, firing)
                raise RuntimeError("the dice say so")
            self.note("end", self.process, firing)

        return call


def make_process(
    name: str, kind: str, collections: Any, database: str, controller: Controller, clock: SimulatedClock
) -> Process:
    """Return a process with a store of its own over the shared server."""
    events: list[Event] = []
    mine = ProcessClock(clock, controller, name)
    runtime = Runtime(
        clock=mine, ids=CountingIds(f"{name}."), events=Events(events.append), points=ProcessPoints(controller, name)
    )
    store = seam_store(SeamClient(collections, controller, clock, name), database, runtime, controller)
    return Process(name, kind, store, events)


def make_node(process: Process, broker: NodesBroker) -> Node:
    """Return the real node of a process."""
    return Node(
        store=process.store,
        sender=broker,
        broker=broker,
        policy=POLICY,
        name=process.name,
        boot=f"boot-{process.name}",
        about={},
    )


def make_worker(
    process: Process,
    controller: Controller,
    dice: Callable[[str], str],
    note: Callable[[str, str, Firing], None],
) -> Worker:
    """Return the real executor and heartbeat of a process."""
    live, interrupts = Live(), NotedInterrupts(TimeoutError)
    targets = PlayedTargets(process.name, controller, dice, live, note)
    executor = Executor(
        store=process.store,
        targets=targets,
        live=live,
        interrupts=interrupts,
        limits=Limits(interrupts, process.store.runtime.clock, None),
        worker=process.name,
        _key=KEY,
    )
    heartbeat = Heartbeat(
        store=process.store,
        live=live,
        interrupts=interrupts,
        worker=process.name,
        about={"pools": ["default"], "tasks": ["demo.task"]},
        every_s=5.0,
        boot=f"boot-{process.name}",
    )
    return Worker(executor, heartbeat)
