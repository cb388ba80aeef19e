"""Jobs edited, paused, resumed, deleted and created again while they fire: nothing begins after the answer."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import pytest

from cluster.operations import jobs as operations
from cluster.operations import stopping, triggering
from jobstore.errors import HorariumError
from jobstore.firing import Firing
from tests.support.faults import Storm


@dataclass(frozen=True, slots=True)
class Answer:
    """What an owner was told at ``at``: nothing recorded below ``revision`` begins any more."""

    incarnation: str
    revision: int
    at: datetime


@pytest.mark.faults
def test_nothing_begins_after_a_pause_or_a_delete_was_answered(storm: Callable[..., Storm]):
    it = storm()
    it.staff(nodes=2)
    it.load()
    stops: list[Answer] = []
    edits: list[Answer] = []

    def strike() -> None:
        tenant = it.tenants[it.rng.choice(sorted(it.tenants))]
        job = f"job-{it.rng.randrange(it.scale.jobs)}"
        act = it.rng.choice(("pause", "resume", "delete", "put", "trigger"))
        try:
            _act(it, tenant.id, job, act)
        except HorariumError:
            return
        document = it.store.jobs(tenant.place).fetch(job)
        if document is None:
            return
        answered = it.store.time.now()
        if act in ("pause", "delete"):
            stops.append(Answer(document["incarnation"], document["stop_rev"], answered))
        elif act == "put":
            edits.append(Answer(document["incarnation"], document["revision"], answered))

    it.row.figures["edits"] = it.while_running(strike, every=0.05)
    for tenant in it.tenants.values():
        for document in it.store.jobs(tenant.place).all():
            if document["state"] == "paused":
                stopping.resume(it.store, tenant.id, document["_id"])
    it.settle(within=240)
    assert _late(it.firings(), [*stops, *edits]) == []
    _no_overlap(it.firings())
    counted = [(line["firing"], line["attempt"]) for line in it.lines() if line["event"] == "begin"]
    assert len(counted) == len(set(counted))
    it.row.figures |= {"answered stops": len(stops), "answered edits": len(edits), "begun": len(counted)}


def _late(firings: list[Firing], answered: list[Answer]) -> list[tuple[str, datetime, datetime]]:
    """Return the begins, as the ledger has them, of what an answer before them had ended or changed."""
    by_job: dict[str, list[Answer]] = defaultdict(list)
    for one in answered:
        by_job[one.incarnation].append(one)
    return [
        (firing.id, begun, one.at)
        for firing in firings
        for begun in [firing.started_at, *(entry.get("started_at") for entry in firing.attempts)]
        for one in by_job[firing.incarnation]
        if begun is not None and firing.snapshot.revision < one.revision and begun > one.at
    ]


def _no_overlap(firings: list[Firing]) -> None:
    """No instant of a job is covered twice, whatever its owner did to the timetable."""
    jobs: dict[str, list[Firing]] = defaultdict(list)
    for firing in firings:
        if firing.kind == "scheduled":
            jobs[firing.incarnation].append(firing)
    for records in jobs.values():
        records.sort(key=lambda one: one.covers.start)
        assert all(one.covers.through < other.covers.start for one, other in pairwise(records))


COMMANDS = (
    ("edit.bumped", ("pause",)), ("edit.after", ("pause",)), ("bump.after", ("pause",)), ("cancel.after", ("pause",)),
    ("edit.bumped", ("resume",)), ("edit.after", ("resume",)), ("bump.after", ("resume",)), ("settle.after", ("resume",)),
    ("trigger.after", ("trigger",)), ("bump.after", ("trigger",)), ("delete.after", ("delete",)),
    ("cancel.after", ("delete",)),
)  # fmt: skip


@pytest.mark.chaos
def test_every_crash_point_of_the_command_line(storm: Callable[..., Storm]):
    """A command that dies half-way leaves something that the nodes, or the same command again, complete."""
    it = storm()
    it.staff(nodes=2)
    it.load()
    tenant = next(iter(it.tenants))
    died = 0
    for number, (point, words) in enumerate(COMMANDS):
        job = f"job-{number % (it.scale.jobs - 1)}" if words[0] != "delete" else f"job-{it.scale.jobs - 1}"
        if words[0] == "resume":
            it.command("job", "pause", tenant, job)
        if it.command("job", *words, tenant, job, more={"HORARIUM_CRASH_POINTS": f"{point}=exit@1"}) == 137:
            died += 1
        if words[0] in ("pause", "resume"):
            assert it.command("job", "resume", tenant, job) == 0
    assert it.command("job", "delete", tenant, f"job-{it.scale.jobs - 1}") in (0, 3)
    it.jobs.pop((tenant, f"job-{it.scale.jobs - 1}"))
    it.settle(within=240)
    _no_overlap(it.firings())
    it.verdict()
    it.row.figures["died"] = f"{died} of {len(COMMANDS)}"
    assert died >= len(COMMANDS) - 3, "some points are passed only when an instant was due meanwhile"


def _act(it: Storm, tenant: str, job: str, act: str) -> None:
    if act == "put":
        definition = {
            "every": "1s",
            "start": it.store.time.now().isoformat(),
            "end": it.end.isoformat(),
            "task": "noting.quick",
            "max_instances": 500,
            "description": f"edit {it.rng.randrange(1000)}",
        }
        operations.put(it.store, tenant, job, definition)
    elif act == "trigger":
        triggering.trigger(it.store, tenant, job)
    else:
        {"pause": stopping.pause, "resume": stopping.resume, "delete": stopping.delete}[act](it.store, tenant, job)
