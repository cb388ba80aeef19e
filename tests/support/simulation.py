"""A seeded schedule of the real code on a real mongod: who goes on, who stops, who dies, what is lost, until it settles.

Everything that happens follows from the seed, so a schedule that broke a promise breaks it again.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import MongoClient

from cluster.operations import jobs as operations
from cluster.operations import stopping, triggering
from jobstore.clock import to_posix
from jobstore.errors import HorariumError
from jobstore.events import JobQuarantined
from jobstore.firing import Firing
from jobstore.job import parse_spec
from jobstore.jobs import next_nominal
from jobstore.ledger import Ledger
from jobstore.tenant import Place, Tenant
from jobstore.tenants import Tenants
from jobstore.timetable import Timetable
from tests.support.ids import CountingIds
from tests.support.simulation_fibers import Fiber, Killed
from tests.support.simulation_monitor import Monitor
from tests.support.simulation_seams import WRITES, SimulatedClock
from tests.support.simulation_world import (
    NodesBroker,
    Process,
    SimulatedBroker,
    make_node,
    make_process,
    make_worker,
)
from workers.wire import Message

START: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
UID: Final = "acme-a00001"
_LOOPS: Final = (("claim", 6), ("release", 2), ("sweep", 2), ("heartbeat", 1), ("tend", 0.5))
_STEPS: Final = (0.2, 0.5, 1.0, 1.0, 2.0, 3.0, 5.0, 5.0, 9.0, 11.0, 16.0, 35.0)


@dataclass(frozen=True, slots=True)
class Profile:
    """What may happen in one schedule, drawn from its seed."""

    actions: int
    switch: float
    jobs: int
    instances: int
    every: int
    horizon: int
    store_faults: float
    broker_faults: float
    lossy: bool
    on_lost: str
    attempts: int


@dataclass
class Options:
    """Sabotage for negative controls; all off in the product."""

    rollback: bool = False


class Server:
    """The mongod and what all schedules of a session share on it."""

    def __init__(self, url: str, database: str) -> None:
        self.client: MongoClient[dict[str, Any]] = MongoClient(
            url, tz_aware=True, retryWrites=False, retryReads=False, directConnection=True, w=1
        )
        self.database = database
        self.raw = self.client[database]
        self.fibers: list[Fiber] = []
        place = Place(uid=UID, database=database, jobs="jobs", firings="firings")
        self.tenant = Tenant(id="acme", place=place, created_at=START)
        Ledger(self.raw["firings"], CountingIds()).ensure()
        self.raw["jobs"].create_index("next_run_time", sparse=True)
        self.raw["agenda"].create_index("next")
        Tenants(self.raw).add(self.tenant)

    def reset(self) -> None:
        """Empty what a schedule writes."""
        for name in ("agenda", "nodes", "workers", "jobs", "firings"):
            self.raw[name].delete_many({})

    def fiber(self) -> Fiber:
        """Return an idle fiber."""
        return self.fibers.pop() if self.fibers else Fiber()

    def close(self) -> None:
        """End the threads and the connection."""
        for fiber in self.fibers:
            fiber.end()
        self.client.close()


@dataclass
class Schedule:
    """One seeded schedule; ``run`` plays it and returns the broken promises."""

    server: Server
    seed: int
    options: Options = field(default_factory=Options)
    tracing: bool = False
    trace: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.clock = SimulatedClock(START)
        self.monitor = Monitor()
        self.broker = SimulatedBroker(self._dice)
        self.processes: dict[str, Process] = {}
        self.born = 0
        self.current: Fiber | None = None
        self.settling = False
        self.flushed = False
        self.excused = False
        self.snapshot: dict[str, list[dict[str, Any]]] | None = None
        self.since: dict[str, float] = {}
        self.profile = self._profile()
        self.switch = self.profile.switch

    def _profile(self) -> Profile:
        rng = self.rng
        return Profile(
            actions=rng.choice((10, 20, 30, 45)),
            switch=rng.choice((0.08, 0.2, 0.4)),
            jobs=rng.choice((1, 1, 2)),
            instances=rng.choice((1, 1, 1, 2)),
            every=rng.choice((4, 7, 15)),
            horizon=rng.choice((10, 20, 30)),
            store_faults=rng.choice((0.0, 0.0, 0.04)),
            broker_faults=rng.choice((0.0, 0.25)),
            lossy=rng.random() < 0.4,
            on_lost=rng.choice(("retry", "retry", "fail")),
            attempts=rng.choice((1, 3)),
        )

    # -- the seams

    def at(self, process: str, place: str) -> None:
        fiber = self.current
        if fiber is None:
            return
        if self.processes[process].dead:
            raise Killed
        if self.tracing:
            self.trace.append(f"{self.clock.elapsed:8.3f} {process:10} {place}")
        if self.rng.random() < self.switch:
            fiber.pause()

    def fault(self, process: str, command: str) -> str:
        if self.settling or self.current is None or self.rng.random() >= self.profile.store_faults:
            return ""
        kind = self.rng.choice(("before", "after")) if command in WRITES else "before"
        self.say(f"{process}: MongoDB does not answer ({kind})")
        return kind

    def sleep(self, process: str, seconds: float) -> None:
        fiber = self.current
        if fiber is None:
            self.clock.advance(seconds)
            return
        wake = self.clock.monotonic() + seconds
        mine = self.processes[process]
        name = next(name for name, one in mine.fibers.items() if one is fiber)
        mine.wakes[name] = wake
        fiber.pause()
        mine.wakes.pop(name, None)

    def stand_back(self) -> None:
        assert self.current is not None
        self.current.pause()

    def seen(self, process: str, collection: str, command: str, result: Any, words: Any) -> None:
        if collection == "firings" and command == "find_one_and_update":
            if result is not None and result["state"] == "running":
                self.say(f"{process}: begun {result['_id'][-6:]} attempt {result['attempt']}")
                self.monitor.firing_begun(result, self.now())
        elif collection == "jobs" and process.startswith("operator"):
            self._owner_wrote(process, command, result, words)

    def _owner_wrote(self, process: str, command: str, result: Any, words: Any) -> None:
        mine, written = self.processes[process], None
        if command == "find_one_and_update" and result is not None:
            written = result if "revision" in words[1]["$set"] else None
            mine.document = result
        elif command == "insert_one":
            written = mine.document = words[0]
        elif command == "update_one" and result.matched_count and "incarnation" in words[1].get("$set", {}):
            written = mine.document = self.server.raw["jobs"].find_one(words[0]["_id"])
        elif command == "find_one":
            mine.document = result
        if written is not None:
            self.monitor.job_written(written, self.since[process])

    def note(self, event: str, process: str, firing: Firing) -> None:
        self.say(f"{process}: task {event} {firing.id[-6:]} attempt {firing.attempt}")
        self.monitor.task(event, process, firing)
        runs = self.monitor.overlapping(firing.job) if event == "begin" else []
        if len(runs) > self.profile.instances:
            ids = [key[0] for key, _ in runs]
            found = {one["_id"]: one for one in self.server.raw["firings"].find({"_id": {"$in": ids}})}
            held = [key for key, token in runs if found[key[0]].get("run_token") == token]
            if len(held) > self.profile.instances:
                self.monitor.find(f"{firing.job} runs {len(held)} times at once: {held}")

    def _dice(self, what: str) -> str:
        if what == "task":
            if self.settling:
                return "ok"
            return self.rng.choice(("ok", "ok", "ok", "long", "very_long", "fails"))
        if self.settling or self.rng.random() >= self.profile.broker_faults:
            return "ok"
        fates = ["refused", "ambiguous", "twice"] + (["lost"] if self.profile.lossy else [])
        fate = self.rng.choice(fates)
        self.say(f"publish: {fate}")
        return fate

    def now(self) -> float:
        return to_posix(self.clock.now())

    def say(self, what: str) -> None:
        if self.tracing:
            self.trace.append(f"{self.clock.elapsed:8.3f}   {what}")

    # -- the processes

    def _born(self, kind: str) -> Process:
        self.born += 1
        name = f"{kind}-{self.born}"
        process = make_process(name, kind, self.server.client, self.server.database, self, self.clock)
        self.processes[name] = process
        if kind == "node":
            process.node = make_node(process, NodesBroker(self.broker, self, name))
        elif kind == "worker":
            process.worker = make_worker(process, self, self._dice, self.note)
        return process

    def alive(self, kind: str) -> list[Process]:
        return [one for one in self.processes.values() if one.kind == kind and not one.dead and not one.frozen]

    def start(self, process: Process, loop: str, call: Callable[[], Any]) -> None:
        """Give a process's loop its next round."""

        def guarded() -> None:
            try:
                call()
            except HorariumError as error:
                self.say(f"{process.name}: {loop}: {error}")

        fiber = self.server.fiber()
        process.fibers[loop] = fiber
        fiber.begin(guarded)
        self.resume(process, loop)

    def resume(self, process: Process, loop: str) -> None:
        fiber = process.fibers[loop]
        self.current = fiber
        fiber.resume()
        self.current = None
        self._ended(process, loop)

    def _ended(self, process: Process, loop: str) -> None:
        fiber = process.fibers[loop]
        if fiber.done:
            del process.fibers[loop]
            process.wakes.pop(loop, None)
            if fiber.error is not None:
                self.monitor.find(f"{process.name} {loop} raised {fiber.error!r}: this is a bug")
            self.server.fibers.append(fiber)

    def ready(self) -> list[tuple[Process, str]]:
        now = self.clock.monotonic()
        return [
            (process, loop)
            for process in self.processes.values()
            if not process.frozen
            for loop in process.fibers
            if process.wakes.get(loop, 0.0) <= now
        ]

    def kill(self, process: Process) -> None:
        self.say(f"{process.name} is killed")
        process.dead = True
        if process.kind.startswith("operator") and process.fibers:
            self.excused = True
        for loop in list(process.fibers):
            fiber = process.fibers[loop]
            self.current = fiber
            fiber.kill()
            self.current = None
            self._ended(process, loop)
        self.monitor.left(process.name)
        if process.worker is not None and process.worker.handling:
            for message in process.worker.handling.values():
                if not self.profile.lossy or self.rng.random() < 0.5:
                    self.broker.messages.append(message)

    # -- rounds of the real code

    def node_round(self, process: Process, loop: str) -> Callable[[], Any]:
        node = process.node
        assert node is not None

        def once() -> None:
            if node._counter == 0:
                node.heartbeat()
                node.sweep.meet_nodes()
            cache = process.store.cache
            if cache._confirmed is None or process.store.runtime.clock.monotonic() - cache._confirmed > 0.75:
                node.refresh()
            if loop == "claim":
                if cache.trusted():
                    node.claiming.run_once(node.nodes)
            else:
                {"release": node.release, "sweep": node.sweep_once, "tend": node.tend, "heartbeat": node.heartbeat}[
                    loop
                ]()

        return once

    def deliver(self, process: Process, slot: str, message: Message) -> None:
        worker = process.worker
        assert worker is not None

        def once() -> None:
            if worker.heartbeat.counter == 0:
                worker.heartbeat.run_once()
            worker.run(message)
            worker.handling.pop(slot, None)

        worker.handling[slot] = message
        self.start(process, slot, once)

    # -- what an owner does

    def operate(self, process: Process) -> None:
        job = f"job-{self.rng.randrange(self.profile.jobs)}"
        act = self.rng.choice(("pause", "resume", "delete", "put", "retime", "trigger"))
        number = self.rng.randrange(1000)
        store, monitor = process.store, self.monitor

        def once() -> None:
            if act == "pause":
                stopping.pause(store, "acme", job)
            elif act == "resume":
                stopping.resume(store, "acme", job)
            elif act == "delete":
                stopping.delete(store, "acme", job)
            elif act == "trigger":
                triggering.trigger(store, "acme", job)
            else:
                operations.put(store, "acme", job, self.definition(job, number, retimed=act == "retime"))
            document = process.document
            assert document is not None
            self.say(f"{process.name}: {act} {job} answered, revision {document['revision']}")
            if act in ("pause", "delete"):
                known = monitor.stopped.get(document["incarnation"], 0)
                monitor.stopped[document["incarnation"]] = max(known, document["stop_rev"])
            elif act in ("put", "retime"):
                known = monitor.edited.get(document["incarnation"], 0)
                monitor.edited[document["incarnation"]] = max(known, document["revision"])

        self.say(f"{process.name}: {act} {job}")
        self.since[process.name] = self.now()
        process.document = None
        self.start(process, "act", once)

    def definition(self, job: str, number: int, *, retimed: bool) -> dict[str, Any]:
        every = self.profile.every
        start = START + timedelta(seconds=number % every if retimed else int(job[-1]))
        end = START + timedelta(seconds=self.profile.horizon + (number % 2) * 10 if retimed else self.profile.horizon)
        return {
            "every": f"{every + (number % 3 if retimed else 0)}s",
            "start": start.isoformat(),
            "end": end.isoformat(),
            "task": "demo.task",
            "kwargs": {"number": number},
            "max_instances": self.profile.instances,
            "retry": {"max_attempts": self.profile.attempts, "delay_s": 3.0, "on_lost": self.profile.on_lost},
        }

    def add_jobs(self) -> None:
        operator = self._born("operator")
        self.since[operator.name] = self.now()
        for number in range(self.profile.jobs):
            job = f"job-{number}"
            fields = self.definition(job, 0, retimed=False)
            when = {key: fields.pop(key) for key in ("every", "start", "end")}
            timetable = Timetable.from_spec(when, now=START)
            target = {"name": fields.pop("task")}
            spec = parse_spec({"trigger": timetable.to_document(), "target": target, **fields})
            first = next_nominal(timetable, self.clock.now())
            operator.store.agenda.bump(UID, first or 0.0)
            operator.store.jobs(self.server.tenant.place).add(job, spec, first=first)

    # -- the play

    def run(self) -> list[str]:
        """Play the schedule and return what was broken."""
        self.server.reset()
        self.add_jobs()
        for kind in ("node", "node", "worker", "worker", "operator"):
            self._born(kind)
        for _ in range(self.profile.actions):
            self._act()
        self._settle()
        return self.monitor.findings

    def _act(self) -> None:
        rng = self.rng
        ready = self.ready()
        free = [
            (process, loop, weight)
            for process in self.alive("node")
            for loop, weight in _LOOPS
            if loop not in process.fibers
        ]
        slots = [
            (process, slot) for process in self.alive("worker") for slot in ("one", "two") if slot not in process.fibers
        ]
        living = [one for one in self.processes.values() if not one.dead and one.kind != "operator"]
        idle = [one for one in self.alive("operator") if not one.fibers]
        beating = [one for one in self.alive("worker") if "beat" not in one.fibers]
        choices: list[tuple[float, Callable[[], None]]] = [
            (5.0 * min(len(ready), 3), lambda: self.resume(*rng.choice(ready))),
            (6.0 * bool(free), lambda: self._start_node(free)),
            (4.0 * bool(slots and self.broker.messages), lambda: self._receive(slots)),
            (0.7 * bool(beating), lambda: self._beat(rng.choice(beating))),
            (4.0, lambda: self._pass(rng.choice(_STEPS))),
            (1.2 * bool(idle), lambda: self.operate(rng.choice(idle))),
            (0.4, lambda: self._crash(living)),
            (0.5, lambda: self._freeze(living)),
            (0.5, lambda: self._thaw()),
            (0.5, lambda: self._trouble_the_broker()),
            (1.0 * self.options.rollback, lambda: self._fail_over()),
        ]
        weights = [weight for weight, _ in choices]
        rng.choices(choices, weights)[0][1]()

    def _start_node(self, free: list[tuple[Process, str, float]]) -> None:
        process, loop, _ = self.rng.choices(free, [weight for _, _, weight in free])[0]
        self.start(process, loop, self.node_round(process, loop))

    def _receive(self, slots: list[tuple[Process, str]]) -> None:
        process, slot = self.rng.choice(slots)
        at = self.rng.randrange(len(self.broker.messages))
        message = self.broker.messages[at] if self.rng.random() < 0.1 else self.broker.messages.pop(at)
        self.deliver(process, slot, message)

    def _beat(self, process: Process) -> None:
        assert process.worker is not None
        self.start(process, "beat", process.worker.heartbeat.run_once)

    def _pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.say(f"--- {seconds} s pass")

    def _crash(self, living: list[Process]) -> None:
        process = self.rng.choice(living)
        if self.rng.random() < 0.1:
            operators = [one for one in self.alive("operator") if one.fibers]
            process = self.rng.choice(operators) if operators else process
        self.kill(process)
        self._born(process.kind)

    def _freeze(self, living: list[Process]) -> None:
        process = self.rng.choice(living)
        process.frozen = True
        self.say(f"{process.name} is frozen")

    def _thaw(self) -> None:
        frozen = [one for one in self.processes.values() if one.frozen]
        if frozen:
            process = self.rng.choice(frozen)
            process.frozen = False
            self.say(f"{process.name} goes on")

    def _trouble_the_broker(self) -> None:
        if self.rng.random() < 0.5:
            self.broker.forget()
            self.flushed = True
            self.say("the broker forgets everything")
        else:
            self.broker.down = not self.broker.down
            self.say(f"the broker is {'away' if self.broker.down else 'back'}")

    def _fail_over(self) -> None:
        """Only in the w:1 control: what was acknowledged by one member alone is rolled back."""
        names = ("agenda", "jobs", "firings")
        if self.snapshot is None:
            self.snapshot = {name: list(self.server.raw[name].find()) for name in names}
            return
        for name in names:
            self.server.raw[name].delete_many({})
            if self.snapshot[name]:
                self.server.raw[name].insert_many(self.snapshot[name])
        self.snapshot = None
        self.say("fail-over: the last writes are rolled back")

    # -- afterwards

    def _settle(self) -> None:
        """Let faults stop and everything come to its end, then look."""
        self.settling = True
        self.broker.down = False
        self.say("=== no more faults")
        for process in self.processes.values():
            process.frozen = False
        while any(process.fibers for process in self.processes.values()):
            ready = self.ready()
            if ready:
                self.resume(*self.rng.choice(ready))
            else:
                self._pass(1.0)
        self.switch = 0.0
        documents = list(self.server.raw["firings"].find())
        self.monitor.check_finals(documents)
        self._check_agenda()
        self._resume_jobs()
        if self.flushed and not self.profile.lossy and not self.profile.store_faults:
            self._check_prompt()
        for number in range(24):
            self._healthy_round(65.0 if number < 12 else 700.0)
            if self._quiet():
                break
        documents = list(self.server.raw["firings"].find())
        self.monitor.check_finals(documents)
        self.monitor.check_settled(documents, self.now())
        for process in self.processes.values():
            for event in process.events:
                if isinstance(event, JobQuarantined):
                    self.monitor.find(f"{event.job} was put in quarantine: {event.reason}")

    def _check_agenda(self) -> None:
        """Nobody writes now: the agenda must not be later than the first job that is due."""
        if self.excused or self.profile.store_faults:
            return
        line = self.server.raw["agenda"].find_one({"_id": UID})
        now, truth = self.clock.now(), []
        for job in self.server.raw["jobs"].find({"next_run_time": {"$ne": None}}):
            held = job.get("lease_until") is not None and job["lease_until"] > now
            truth.append(job["nominal"] if held else job["next_run_time"])
        first = min(truth, default=None)
        if first is not None and (line is None or line["next"] is None or line["next"] > first + 0.001):
            told = None if line is None or line["next"] is None else line["next"] - to_posix(START)
            self.monitor.find(f"the agenda says {told}, and something is due at {first - to_posix(START)}")

    def _resume_jobs(self) -> None:
        for document in self.server.raw["jobs"].find({"state": "paused"}):
            operator = self._born("operator")
            self.since[operator.name] = self.now()
            stopping.resume(operator.store, "acme", document["_id"])

    def _check_prompt(self) -> None:
        """Nothing that the broker forgot, a dead node marked or a publish refused waits for the slow repeat."""
        for _ in range(4):
            self._healthy_round(6.0, every_node=True)
        waiting = [one["_id"] for one in self.server.raw["firings"].find({"state": "dispatched"})]
        for name in waiting:
            self.monitor.find(f"{name} is still dispatched 24 s after the broker lost its data")

    def _healthy_round(self, seconds: float, *, every_node: bool = False) -> None:
        self._pass(seconds)
        nodes = self.alive("node") or [self._born("node")]
        for node in nodes if every_node else nodes[:1]:
            for loop in ("heartbeat", "claim", "release", "sweep", "tend"):
                self.start(node, loop, self.node_round(node, loop))
        worker = (self.alive("worker") or [self._born("worker")])[0]
        while self.broker.messages:
            self.deliver(worker, "one", self.broker.messages.pop(0))
            for _ in range(60):
                if not worker.fibers:
                    break
                self._pass(1.0)
                if self.ready():
                    self.resume(*self.ready()[0])
        for one in self.alive("worker"):
            self._beat(one)

    def _quiet(self) -> bool:
        raw = self.server.raw
        return raw["jobs"].find_one({"state": "active"}) is None and (
            raw["firings"].find_one({"attend_at": {"$exists": True}}) is None
        )


def silence() -> None:
    """Keep what simulated processes log out of the output: it belongs to a schedule, not to a test."""
    logging.getLogger("horarium").setLevel(logging.CRITICAL)
