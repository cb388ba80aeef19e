"""What must hold while a schedule runs and after it has settled, told from what was written and what tasks noted."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from jobstore.clock import from_posix, to_posix
from jobstore.firing import Firing, read_firing
from jobstore.lifecycle import FINAL
from jobstore.timetable import Timetable

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Era:
    """A timetable of one incarnation of a job: it owes ``first`` and what follows; ``since`` its edit began."""

    timetable: Timetable
    first: float | None
    since: float


@dataclass(slots=True)
class Monitor:
    """Collects the history of one schedule; ``findings`` are the broken promises."""

    findings: list[str] = field(default_factory=list)
    eras: dict[str, list[Era]] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    stopped: dict[str, int] = field(default_factory=dict)
    edited: dict[str, int] = field(default_factory=dict)
    epoch: int = 0
    finals: dict[str, Document] = field(default_factory=dict)
    begun: list[tuple[str, int]] = field(default_factory=list)
    lines: list[tuple[str, str, int]] = field(default_factory=list)
    running: dict[tuple[str, int], tuple[str, str, str]] = field(default_factory=dict)
    fences: dict[str, list[tuple[int, str, int]]] = field(default_factory=lambda: defaultdict(list))

    def find(self, what: str) -> None:
        """Note a broken promise."""
        self.findings.append(what)

    # -- while it runs

    def job_written(self, document: Document, since: float) -> None:
        """Look at a job as an owner's write left it: a first or another timetable begins an era."""
        incarnation = document["incarnation"]
        self.jobs[incarnation] = document["_id"]
        if document["state"] == "deleting":
            self.deleted.add(incarnation)
            return
        eras = self.eras.setdefault(incarnation, [])
        if not eras or document["timetable_rev"] == document["revision"]:
            eras.append(Era(Timetable.from_document(document["spec"]["trigger"]), document["nominal"], since))

    def firing_begun(self, document: Document, now: float) -> None:
        """Hold a begin, as the ledger took it, against what was answered before."""
        key, incarnation = (document["_id"], document["attempt"]), document["incarnation"]
        self.begun.append(key)
        if document["revision"] < self.stopped.get(incarnation, 0):
            self.find(f"{key} began after its job's pause or delete was answered")
        elif document["revision"] < self.edited.get(incarnation, 0):
            self.find(f"{key} began with arguments older than an answered edit")
        if document["epoch"] < self.epoch:
            self.find(f"{key} began after its tenant's suspension was answered")
        if now < document["nominal"]:
            self.find(f"{key} began before its nominal")
        fence = document["admitted"]["fence"] if document["admitted"] else None
        if fence is None or document["admitted"]["attempt"] != document["attempt"]:
            self.find(f"{key} began without a fence of its own")
        else:
            self.fences[document["job"]].append((fence, document["_id"], document["attempt"]))

    def task(self, event: str, process: str, firing: Firing) -> None:
        """Take a line that running code wrote."""
        key = (firing.id, firing.attempt)
        self.lines.append((event, *key))
        if event == "begin":
            # A re-created id is another job: what still runs of the former one counts for that.
            self.running[key] = (process, firing.incarnation, firing.run_token or "")
        else:
            self.running.pop(key, None)

    def left(self, process: str) -> None:
        """Forget the runs of a process that died."""
        self.running = {key: run for key, run in self.running.items() if run[0] != process}

    def overlapping(self, incarnation: str) -> list[tuple[tuple[str, int], str]]:
        """Return the runs of a job that are under way in the world, with their tokens."""
        return [(key, token) for key, (_, name, token) in self.running.items() if name == incarnation]

    def check_finals(self, documents: Sequence[Document]) -> None:
        """Hold the final records against what they were."""
        now = {document["_id"]: document for document in documents}
        for name, before in self.finals.items():
            after = now.get(name)
            kept = ("state", "attempt", "attempts", "finished_at", "reason")
            if after is None or any(after.get(part) != before.get(part) for part in kept):
                self.find(f"{name} was {before['state']} for good and changed")
        self.finals = {name: document for name, document in now.items() if document["state"] in FINAL}

    # -- when everything has settled

    def check_settled(self, documents: Sequence[Document], now: float) -> None:
        """Check coverage, begins, fences and openness of all records of the schedule."""
        firings = [read_firing(document) for document in documents]
        for firing in firings:
            if firing.state not in FINAL:
                self.find(f"{firing.id} is still {firing.state}")
        groups: dict[str, list[Firing]] = defaultdict(list)
        for firing in firings:
            if firing.kind == "scheduled":
                groups[firing.incarnation].append(firing)
        for incarnation in self.eras:
            self._coverage(incarnation, groups.get(incarnation, []), now)
        self._begins({firing.id: firing for firing in firings})
        self._fences()

    def _coverage(self, incarnation: str, firings: list[Firing], now: float) -> None:
        job = self.jobs[incarnation]
        firings.sort(key=lambda one: one.covers.start)
        for one, other in pairwise(firings):
            if other.covers.start <= one.covers.through:
                self.find(f"{job}: {_when(other.covers.start)} is covered twice")
        for instant in self._owed(incarnation, now):
            if not any(one.covers.start <= instant <= one.covers.through for one in firings):
                self.find(f"{job}: {_when(instant)} is lost")

    def _owed(self, incarnation: str, now: float) -> list[float]:
        """Return the instants that must have a record: of each timetable up to the edit that ended it."""
        eras, owed = self.eras[incarnation], list[float]()
        if incarnation in self.deleted:  # what a deleted job still owed, nobody owes any more
            return owed
        for number, era in enumerate(eras):
            until = now if number == len(eras) - 1 else eras[number + 1].since
            at = era.first
            while at is not None and at <= until:
                owed.append(at)
                following = era.timetable.after(from_posix(at))
                at = None if following is None else to_posix(following)
        return owed

    def _begins(self, firings: Mapping[str, Firing]) -> None:
        for (firing, attempt), count in Counter(line[1:] for line in self.lines if line[0] == "begin").items():
            if count > 1:
                self.find(f"{firing} attempt {attempt} ran {count} times")
        for key, count in Counter(self.begun).items():
            if count > 1:
                self.find(f"{key} began {count} times")
        ran = {line[1] for line in self.lines}
        for firing in firings.values():
            if firing.state == "succeeded" and firing.id not in ran:
                self.find(f"{firing.id} is recorded as run and never ran")
            if firing.state in ("skipped", "missed", "superseded") and firing.id in ran:
                self.find(f"{firing.id} is {firing.state} and ran")
            ended = Counter(entry["attempt"] for entry in firing.attempts)
            if any(count > 1 for count in ended.values()):
                self.find(f"{firing.id} has an attempt that ended twice")
        for name, attempt in self.begun:
            known = firings.get(name)
            if known is None:
                self.find(f"{name} began and has no record")
            elif any(before not in {entry["attempt"] for entry in known.attempts} for before in range(1, attempt)):
                self.find(f"{name} attempt {attempt} began before the one before it had ended")

    def _fences(self) -> None:
        for job, fences in self.fences.items():
            numbers = [fence for fence, _, _ in fences]
            if len(set(numbers)) != len(numbers):
                self.find(f"{job}: a fence was given twice: {fences}")
            latest: dict[str, int] = {}
            for fence, firing, _ in fences:
                if fence <= latest.get(firing, 0):
                    self.find(f"{firing}: its fence did not grow")
                latest[firing] = fence


def _when(instant: float) -> str:
    return from_posix(instant).strftime("%H:%M:%S")
