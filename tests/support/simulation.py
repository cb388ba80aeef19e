"""A seeded schedule of the real code on a real mongod: who goes on, who stops, who dies, what is lost, until it settles.

Everything that happens follows from the seed, so a schedule that broke a promise breaks it again.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from jobstore.clock import to_posix
from jobstore.errors import HorariumError
from jobstore.firing import Firing
from tests.support.simulation_fibers import Fiber, Killed
from tests.support.simulation_monitor import Monitor
from tests.support.simulation_owner import Owner
from tests.support.simulation_seams import WRITES, SimulatedClock
from tests.support.simulation_settling import Settling
from tests.support.simulation_setup import START, Options, Server, draw_profile
from tests.support.simulation_world import (
    NodesBroker,
    Process,
    SimulatedBroker,
    make_node,
    make_process,
    make_worker,
)
from workers.wire import Message

_LOOPS: Final = (("claim", 6), ("release", 2), ("sweep", 2), ("heartbeat", 1), ("tend", 0.5))
_STEPS: Final = (0.2, 0.5, 1.0, 1.0, 2.0, 3.0, 5.0, 5.0, 9.0, 11.0, 16.0, 35.0)


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
        self.owner, self.settling_down = Owner(self), Settling(self)
        self.broker = SimulatedBroker(self._dice)
        self.processes: dict[str, Process] = {}
        self.born = 0
        self.current: Fiber | None = None
        self.settling = self.calm = False
        self.flushed = False
        self.excused = False
        self.answered = False
        self.snapshot: dict[str, list[dict[str, Any]]] | None = None
        self.since: dict[str, float] = {}
        self.profile = draw_profile(self.rng, self.options)
        self.switch = self.profile.switch

    # -- the seams

    def at(self, process: str, place: str) -> None:
        fiber = self.current
        if fiber is None:
            return
        if self.processes[process].dead:
            raise Killed
        if self.tracing:
            self.trace.append(f"{self.clock.elapsed:8.3f} {process:10} {place}")
        if not self.calm and self.rng.random() < self.switch:
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
        elif collection == "tenants" and command in WRITES:
            self.server.tenant_changed = True
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
        runs = self.monitor.overlapping(firing.incarnation) if event == "begin" else []
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

    def born_as(self, kind: str) -> Process:
        self.born += 1
        name = f"{kind}-{self.born}"
        process = make_process(name, kind, self.server.raw, self.server.database, self, self.clock)
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
        # Now and then one goes on without a stop, so that whole acts fall between two steps of another.
        self.calm = self.rng.random() < (0.6 if process.kind == "operator" else 0.2)
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
            busy = any(one.fibers for one in self.processes.values() if one.kind == "operator")
            if self.answered and loop == "claim" and not busy:
                self.answered = False
                self.settling_down.check_agenda()

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

    # -- the play

    def run(self) -> list[str]:
        """Play the schedule and return what was broken."""
        self.server.reset()
        self.owner.add_jobs()
        for kind in ("node", "node", "worker", "worker", *["operator"] * (1 + (self.profile.theme == "owner"))):
            self.born_as(kind)
        for _ in range(self.profile.actions):
            self._act()
        self.settling_down.settle()
        return self.monitor.findings

    def _act(self) -> None:
        rng, often = self.rng, self._often
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
            (4.0, lambda: self.let_pass(rng.choice(_STEPS))),
            (1.2 * often("owner", "tenant") * bool(idle), lambda: self.owner.operate(rng.choice(idle))),
            (0.4 * often("crash"), lambda: self._crash(living)),
            (0.5 * often("crash"), lambda: self._freeze(living)),
            (0.5 * often("crash"), self._thaw),
            (0.5 * often("broker"), self._trouble_the_broker),
            (1.0 * self.options.rollback, self._fail_over),
        ]
        weights = [weight for weight, _ in choices]
        rng.choices(choices, weights)[0][1]()

    def _often(self, *themes: str) -> float:
        return 4.0 if self.profile.theme in themes else 1.0

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

    def let_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.say(f"--- {seconds} s pass")

    def _crash(self, living: list[Process]) -> None:
        process = self.rng.choice(living)
        if self.rng.random() < 0.1:
            operators = [one for one in self.alive("operator") if one.fibers]
            process = self.rng.choice(operators) if operators else process
        self.kill(process)
        self.born_as(process.kind)

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


def silence() -> None:
    """Keep what simulated processes log out of the output: it belongs to a schedule, not to a test."""
    logging.getLogger("horarium").setLevel(logging.CRITICAL)
