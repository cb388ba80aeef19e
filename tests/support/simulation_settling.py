"""The end of a schedule: faults stop, everything comes to its end, and the checks look at what is left."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.operations import stopping, tenancy
from jobstore.clock import to_posix
from jobstore.events import JobQuarantined
from tests.support.simulation_setup import START, UID

if TYPE_CHECKING:
    from tests.support.simulation import Schedule


@dataclass(slots=True)
class Settling:
    """Brings one schedule to its end."""

    play: "Schedule"

    def settle(self) -> None:
        """Let faults stop and everything come to its end, then look."""
        self.play.settling = True
        self.play.broker.down = False
        self.play.say("=== no more faults")
        for process in self.play.processes.values():
            process.frozen = False
        while any(process.fibers for process in self.play.processes.values()):
            ready = self.play.ready()
            if ready:
                self.play.resume(*self.play.rng.choice(ready))
            else:
                self.play.let_pass(1.0)
        self.play.switch = 0.0
        documents = list(self.play.server.raw["firings"].find())
        self.play.monitor.check_finals(documents)
        self.check_agenda()
        self._resume_tenant()
        self._resume_jobs()
        if self.play.flushed and not self.play.profile.lossy and not self.play.profile.store_faults:
            self._check_prompt()
        for number in range(24):
            self._healthy_round(65.0 if number < 12 else 700.0)
            if self._quiet():
                break
        documents = list(self.play.server.raw["firings"].find())
        self.play.monitor.check_finals(documents)
        self.play.monitor.check_settled(documents, self.play.now())
        for process in self.play.processes.values():
            for event in process.events:
                if isinstance(event, JobQuarantined):
                    self.play.monitor.find(f"{event.job} was put in quarantine: {event.reason}")

    def check_agenda(self) -> None:
        """Nobody writes now: the agenda must not be later than the first job that is due."""
        if self.play.excused or self.play.profile.store_faults:
            return
        line = self.play.server.raw["agenda"].find_one({"_id": UID})
        now, truth = self.play.clock.now(), []
        for job in self.play.server.raw["jobs"].find({"next_run_time": {"$ne": None}}):
            held = job.get("lease_until") is not None and job["lease_until"] > now
            truth.append(job["nominal"] if held else job["next_run_time"])
        first = min(truth, default=None)
        # What is past already is looked at at once, however far past.
        if first is not None and (line is None or line["next"] is None or line["next"] > max(first, self.play.now())):
            told = None if line is None or line["next"] is None else line["next"] - to_posix(START)
            self.play.monitor.find(f"the agenda says {told}, and something is due at {first - to_posix(START)}")

    def _resume_tenant(self) -> None:
        if self.play.server.tenant_changed:
            operator = self.play.born_as("operator")
            tenancy.resume(operator.store, "acme", who="owner")

    def _resume_jobs(self) -> None:
        for document in self.play.server.raw["jobs"].find({"state": "paused"}):
            operator = self.play.born_as("operator")
            self.play.since[operator.name] = self.play.now()
            stopping.resume(operator.store, "acme", document["_id"])

    def _check_prompt(self) -> None:
        """Nothing that the broker forgot, a dead node marked or a publish refused waits for the slow repeat."""
        for _ in range(4):
            self._healthy_round(6.0, every_node=True)
        waiting = [one["_id"] for one in self.play.server.raw["firings"].find({"state": "dispatched"})]
        for name in waiting:
            self.play.monitor.find(f"{name} is still dispatched 24 s after the broker lost its data")

    def _healthy_round(self, seconds: float, *, every_node: bool = False) -> None:
        self.play.let_pass(seconds)
        nodes = self.play.alive("node") or [self.play.born_as("node")]
        for node in nodes if every_node else nodes[:1]:
            for loop in ("heartbeat", "claim", "release", "sweep"):
                self.play.start(node, loop, self.play.node_round(node, loop))
        worker = (self.play.alive("worker") or [self.play.born_as("worker")])[0]
        while self.play.broker.messages:
            self.play.deliver(worker, "one", self.play.broker.messages.pop(0))
            for _ in range(60):
                if not worker.fibers:
                    break
                self.play.let_pass(1.0)
                if self.play.ready():
                    self.play.resume(*self.play.ready()[0])

    def _quiet(self) -> bool:
        raw = self.play.server.raw
        return raw["jobs"].find_one({"state": "active"}) is None and (
            raw["firings"].find_one({"attend_at": {"$exists": True}}) is None
        )
