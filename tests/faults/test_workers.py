"""Workers that die or stand still in the middle of a run, messages that come twice or late, targets that do harm."""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from jobstore.firing import Firing
from tests.support.faults import Storm
from tests.support.waiting import eventually
from workers.sender import open_sender
from workers.wire import Message


def running_on(it: Storm, worker: str) -> list[Firing]:
    return [one for one in it.firings() if one.state == "running" and (one.worker or "").startswith(worker)]


def exact_slots(it: Storm, firings: list[Firing], most: int) -> None:
    """Runs of a job overlap at most ``most`` times, from the ledger's begins and ends; the declared dead count not."""
    runs: dict[tuple[str, str], list[tuple[datetime, int]]] = defaultdict(list)
    for firing in firings:
        for entry in firing.attempts:
            if entry["state"] != "lost":
                runs[firing.uid, firing.job] += [(entry["started_at"], 1), (entry["at"], -1)]
    for job, moments in runs.items():
        at_once = 0
        for _, change in sorted(moments, key=lambda one: (one[0], one[1])):
            at_once += change
            assert at_once <= most, f"{job} ran {at_once} times at once"


@pytest.mark.faults
@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_a_worker_struck_in_the_middle_of_runs(storm: Callable[..., Storm], how: str):
    it = storm()
    it.staff(nodes=2, workers=2)
    it.load("noting.slow", every="4s", args=[2.0], max_instances=1)
    struck = eventually(lambda: running_on(it, "worker-1"), within=40, that="worker-1 runs something")
    getattr(it.supervisor, how)("worker-1")
    it.once.add("worker-1")
    if how == "freeze":
        it.rest(it.dead_after + 6)
        it.supervisor.thaw("worker-1")
    else:
        it.supervisor.restart("worker-1")
    it.settle(within=240)
    firings = it.verdict()
    exact_slots(it, firings, 1)
    again = {firing.id: firing for firing in firings}
    lost = [one for one in struck if any(entry["state"] == "lost" for entry in again[one.id].attempts)]
    assert lost, "what ran there was declared dead"
    assert all(again[one.id].state == "succeeded" and again[one.id].attempt == 2 for one in lost)
    it.row.figures |= {"declared dead": len(lost), "refused": it.refused()}
    if how == "freeze":
        assert it.said("worker-1", "WriteRefused"), "what it wrote after waking was refused and said so"


@pytest.mark.chaos
@pytest.mark.parametrize("point", ["begin.after", "run.after", "finish.after"])
def test_every_crash_point_of_a_worker(storm: Callable[..., Storm], point: str):
    it = storm()
    it.staff(nodes=2, workers=1)
    more = {"HORARIUM_CRASH_POINTS": f"{point}=exit@{it.rng.randint(1, 5)}"}
    it.supervisor.start([it.worker("dies", "--concurrency", "1", "--celery-pool", "solo", more=more)])
    it.once.add("dies")
    it.load()
    eventually(lambda: it.supervisor.view("dies").exit_code == 137, within=60, that=f"it dies at {point}")
    it.settle(within=240)
    it.verdict()


def message_of(firing: Firing) -> Message:
    return Message(
        uid=firing.uid, firing=firing.id, attempt=firing.attempt, epoch=firing.epoch, pool=firing.snapshot.pool
    )


@pytest.mark.chaos
def test_messages_delivered_two_to_five_times_and_very_late(storm: Callable[..., Storm]):
    it = storm()
    it.staff(nodes=2)
    it.load()
    sender = open_sender(it.valkey.url, it.store.message_key())
    sent: list[Message] = []

    def strike() -> None:
        some = [one for one in it.firings() if one.state in ("dispatched", "running")][:20]
        copies = [message_of(one) for one in some for _ in range(it.rng.randint(1, 4))]
        sender.send(copies)
        sent.extend(copies)

    it.while_running(strike, every=0.5)
    it.settle(within=180)
    sender.send(sent)  # once more, when all is long over
    dropped = len(sent)
    sender.close()
    eventually(it.valkey_is_empty, within=60, that="the queue is worked off")
    it.verdict()
    it.row.figures["copies"] = dropped
    said = sum(it.said(name, "MessageDropped") for name in ("worker-1", "worker-2"))
    assert said >= len(sent), f"{said} dropped messages were counted, {len(sent)} were sent late"


@pytest.mark.chaos
def test_poison_is_set_aside_and_the_rest_goes_on(storm: Callable[..., Storm]):
    it = storm()
    it.staff(nodes=2)
    poisoned = it.tenant("poison")
    start = it.store.time.now() + timedelta(seconds=3)
    long = {"every": "1h", "start": start.isoformat()}
    it.job(poisoned, "kills", long, "noting.kills", retry={"max_attempts": 3, "delay_s": 0.5})
    it.job(poisoned, "unknown", long, "noting.no_such_task")
    it.job(poisoned, "unreadable", long, "noting.quick")
    jobs: Any = it.store.collections.jobs(poisoned.place)
    jobs.update_one({"_id": "unreadable"}, {"$set": {"spec": {"trigger": 7}}})
    it.load()
    it.forget("poison")
    it.settle(within=240)
    eventually(lambda: _state(it, poisoned, "kills") == "lost", within=240, that="the killer is given up")
    eventually(lambda: jobs.find_one({"_id": "unknown"})["state"] == "quarantined", within=60)
    note = jobs.find_one({"_id": "unreadable"})
    assert note["state"] == "quarantined"
    assert "unreadable" in note["quarantine"]["reason"]
    lines = [line for line in it.notes.read_text().splitlines() if '"poison"' in line]
    assert len(lines) == 3, "three attempts, each begun once"
    it.verdict()


def _state(it: Storm, tenant: Any, job: str) -> str | None:
    found = it.store.ledger(tenant.place).history(tenant.uid, job=job)
    return found[0].state if found else None
