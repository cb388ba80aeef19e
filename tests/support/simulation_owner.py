"""What owners of jobs do in a schedule, through the real operations."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cluster.operations import jobs as operations
from cluster.operations import stopping, tenancy, triggering
from jobstore.halt import GAP_POLICIES
from jobstore.job import parse_spec
from jobstore.jobs import next_nominal
from jobstore.timetable import Timetable
from tests.support.simulation_setup import START, UID
from tests.support.simulation_world import Process

if TYPE_CHECKING:
    from tests.support.simulation import Schedule


@dataclass(slots=True)
class Owner:
    """Adds, edits, pauses, resumes, deletes and triggers jobs."""

    play: "Schedule"

    def operate(self, process: Process) -> None:
        job = f"job-{self.play.rng.randrange(self.play.profile.jobs)}"
        act = self.play.rng.choice(("pause", "resume", "delete", "put", "retime", "trigger"))
        if self.play.rng.random() < (0.4 if self.play.profile.theme == "tenant" else 0.08):
            self._halt(process)
            return
        number = self.play.rng.randrange(1000)
        store, monitor = process.store, self.play.monitor

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
            self.play.answered = True
            self.play.say(f"{process.name}: {act} {job} answered, revision {document['revision']}")
            if act in ("pause", "delete"):
                known = monitor.stopped.get(document["incarnation"], 0)
                monitor.stopped[document["incarnation"]] = max(known, document["stop_rev"])
            elif act in ("put", "retime"):
                known = monitor.edited.get(document["incarnation"], 0)
                monitor.edited[document["incarnation"]] = max(known, document["revision"])

        self.play.say(f"{process.name}: {act} {job}")
        self.play.since[process.name] = self.play.now()
        process.document = None
        self.play.start(process, "act", once)

    def _halt(self, process: Process) -> None:
        """Suspend or drain the tenant, or let it go on."""
        act = self.play.rng.choice(("suspend", "suspend", "drain", "go on", "go on"))
        gap = self.play.rng.choice(GAP_POLICIES)

        def once() -> None:
            if act == "go on":
                tenancy.resume(process.store, "acme", who="owner")
                return
            stop = tenancy.suspend if act == "suspend" else tenancy.drain
            told = stop(process.store, "acme", who="owner", why="simulated", gap=gap)
            if act == "suspend":
                self.play.monitor.epoch = max(self.play.monitor.epoch, told.epoch)
            self.play.say(f"{process.name}: {act} of the tenant answered, epoch {told.epoch}")

        self.play.say(f"{process.name}: {act} the tenant, {gap}")
        self.play.since[process.name] = self.play.now()
        self.play.start(process, "act", once)

    def definition(self, job: str, number: int, *, retimed: bool) -> dict[str, Any]:
        every = self.play.profile.every
        start = START + timedelta(seconds=number % every if retimed else int(job[-1]))
        end = START + timedelta(
            seconds=self.play.profile.horizon + (number % 2) * 10 if retimed else self.play.profile.horizon
        )
        return {
            "every": f"{every + (number % 3 if retimed else 0)}s",
            "start": start.isoformat(),
            "end": end.isoformat(),
            "task": "demo.task",
            "kwargs": {"number": number},
            "max_instances": self.play.profile.instances,
            "retry": {"max_attempts": self.play.profile.attempts, "delay_s": 3.0, "on_lost": self.play.profile.on_lost},
        }

    def add_jobs(self) -> None:
        operator = self.play.born_as("operator")
        self.play.since[operator.name] = self.play.now()
        for number in range(self.play.profile.jobs):
            job = f"job-{number}"
            fields = self.definition(job, 0, retimed=False)
            when = {key: fields.pop(key) for key in ("every", "start", "end")}
            timetable = Timetable.from_spec(when, now=START)
            target = {"name": fields.pop("task")}
            spec = parse_spec({"trigger": timetable.to_document(), "target": target, **fields})
            first = next_nominal(timetable, self.play.clock.now())
            operator.store.agenda.bump(UID, first or 0.0)
            operator.store.jobs(self.play.server.tenant.place).add(job, spec, first=first)
