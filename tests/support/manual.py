"""A cluster that a test steps by hand: real MongoDB, the nodes' real passes, a clock that stands still, a held broker.

No threads: ``claim``, ``release`` and ``sweep`` run one round of a node; ``deliver`` lets a worker begin and finish
what the broker holds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pymongo.monitoring import CommandListener

from cluster.node import Node
from cluster.policy import NodePolicy
from jobstore.clock import to_posix
from jobstore.errors import BrokerUnavailable
from jobstore.events import Event, Events
from jobstore.firing import Firing
from jobstore.job import JobSpec, parse_spec
from jobstore.jobs import next_nominal
from jobstore.points import NoPoints, Points
from jobstore.runs import Outcome
from jobstore.runtime import Runtime
from jobstore.servertime import ManualServerTime
from jobstore.store import Store, open_store
from jobstore.tenant import Defaults, Place, Tenant
from jobstore.timetable import Timetable
from tests.support.clocks import FakeClock
from tests.support.ids import CountingIds
from workers.wire import Message

START = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@dataclass
class HeldBroker:
    """Keeps messages until the test delivers, drops or repeats them; ``down`` makes every publish raise."""

    messages: list[Message] = field(default_factory=list)
    down: bool = False
    swallow: bool = False
    lost_data: bool = False

    def send(self, messages: Any) -> None:
        if self.down:
            raise BrokerUnavailable("the broker of this test is down")
        if not self.swallow:
            self.messages += messages

    def check(self) -> bool:
        lost, self.lost_data = self.lost_data, False
        return lost

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class ManualCluster:
    """Nodes over one real store, moved by the test."""

    mongo_url: str
    database: str
    points: Points = field(default_factory=NoPoints)
    clock: FakeClock = field(default_factory=lambda: FakeClock(START))
    broker: HeldBroker = field(default_factory=HeldBroker)
    policy: NodePolicy = field(default_factory=lambda: NodePolicy(threads=1))
    events: list[Event] = field(default_factory=list)
    listeners: tuple[CommandListener, ...] = ()
    nodes: dict[str, Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ids = CountingIds()
        self.runtime = Runtime(clock=self.clock, ids=self.ids, events=Events(self.events.append), points=self.points)
        self.store = self.open()
        self.store.ensure()

    def open(self) -> Store:
        time = ManualServerTime(self.clock)
        return open_store(
            self.mongo_url,
            control=self.database,
            runtime=self.runtime,
            name="test",
            time=time,
            listeners=self.listeners,
        )

    def close(self) -> None:
        self.store.close()

    # -- what an owner does

    def tenant(self, name: str, **fields: Any) -> Tenant:
        uid = f"{name}-{self.ids.suffix()}"
        place = Place(uid=uid, database=self.database, jobs=f"jobs.{uid}", firings="firings")
        tenant = Tenant(id=name, place=place, defaults=Defaults(), created_at=self.clock.now(), **fields)
        self.store.tenants.add(tenant)
        self.store.jobs(place).ensure()
        self.store.ledger(place).ensure()
        return tenant

    def spec(self, trigger: dict[str, Any], **fields: Any) -> JobSpec:
        timetable = Timetable.from_spec(trigger, now=self.clock.now())
        return parse_spec({"trigger": timetable.to_document(), "target": {"name": "demo.task"}, **fields})

    def job(self, tenant: Tenant, name: str, trigger: dict[str, Any], **fields: Any) -> None:
        spec = self.spec(trigger, **fields)
        first = next_nominal(Timetable.from_document(spec.trigger), self.clock.now())
        if first is not None:
            self.store.agenda.bump(tenant.uid, first)
        assert self.store.jobs(tenant.place).add(name, spec, first=first)
        if first is not None:
            self.store.agenda.bump(tenant.uid, first)

    # -- what nodes do

    def node(self, name: str = "node-a") -> Node:
        if name not in self.nodes:
            self.nodes[name] = Node(
                store=self.store,
                sender=self.broker,
                broker=self.broker,
                policy=self.policy,
                name=name,
                boot=f"boot-{name}",
                about={},
            )
        self.store.cache.refresh()
        return self.nodes[name]

    def claim(self, name: str = "node-a", nodes: tuple[str, ...] = ("node-a",)) -> int:
        return self.node(name).claiming.run_once(nodes)

    def release(self, name: str = "node-a") -> int:
        return self.node(name).releasing.run_once()

    def sweep(self, name: str = "node-a") -> None:
        self.node(name).sweep.run_once()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.store.cache.refresh()

    # -- what workers do

    def begin(self, message: Message, worker: str = "worker-1") -> Firing | None:
        tenant = self.store.cache.get(message.uid)
        assert tenant is not None
        return self.store.runs(tenant.place).begin(
            message.firing,
            attempt=message.attempt,
            epoch=message.epoch,
            run_token=self.ids.token(),
            worker=worker,
        )

    def finish(self, firing: Firing, outcome: Outcome | None = None) -> bool:
        tenant = self.store.cache.get(firing.uid)
        assert tenant is not None
        return self.store.runs(tenant.place).finish(firing, outcome or Outcome(state="succeeded"))

    def deliver(self, decide: Callable[[Firing], Outcome] | None = None) -> list[Firing]:
        """Let a worker begin and finish everything the broker holds; return what began."""
        messages, self.broker.messages = self.broker.messages, []
        begun = []
        for message in messages:
            firing = self.begin(message)
            if firing is not None:
                begun.append(firing)
                self.finish(firing, decide(firing) if decide else None)
        return begun

    # -- what a test asks

    def firings(self, tenant: Tenant, job: str | None = None) -> list[Firing]:
        return sorted(
            self.store.ledger(tenant.place).history(tenant.uid, job=job, limit=10_000), key=lambda f: f.nominal
        )

    def seen(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def covered(self, tenant: Tenant, job: str) -> list[tuple[float, float]]:
        """Return (from, through) of each record, as seconds after START."""
        zero = to_posix(START)
        return [(f.covers.start - zero, f.covers.through - zero) for f in self.firings(tenant, job)]
