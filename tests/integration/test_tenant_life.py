"""Suspend, drain, resume, delete: what holds after the answer, on a real MongoDB with the nodes' real passes."""

import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cluster.caretaking import Caretaker
from cluster.cli.main import run
from cluster.operations import certifying, jobs, tenancy, tenants
from cluster.operations.common import NotAllowed
from jobstore.clock import to_posix
from jobstore.errors import InvalidInput, NotFound
from jobstore.events import Repaired, TenantPurged
from jobstore.runs import Outcome
from jobstore.tenants import TRUST
from tests.support.manual import START, ManualCluster
from workers.purging import NoPurge, open_purge
from workers.sender import open_sender

WHO: dict[str, Any] = {"who": "ann", "why": "unpaid"}
BEGIN = START + timedelta(seconds=10)
ZERO = to_posix(BEGIN)


def settled(cluster: ManualCluster, call: Callable[[], Any], meanwhile: Callable[[], Any] | None = None) -> Any:
    """Run an operation that waits for everybody to hear of it, on the clock that stands still."""
    answers: list[Any] = []
    faults: list[Exception] = []

    def run() -> None:
        try:
            answers.append(call())
        except Exception as error:  # noqa: BLE001  (raised again by whoever asked)
            faults.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    cluster.clock.await_waiters(1)
    assert not answers
    if meanwhile is not None:
        meanwhile()
    cluster.clock.advance(tenancy.SETTLED)
    thread.join(10)
    cluster.store.cache.refresh()
    if faults:
        raise faults[0]
    return answers[0]


@pytest.fixture
def acme(cluster: ManualCluster) -> ManualCluster:
    tenants.create(cluster.store, "acme")
    put(cluster, "tick", 10)
    cluster.advance(10)
    return cluster


def put(cluster: ManualCluster, name: str, seconds: float, *, tenant: str = "acme", **more: Any) -> None:
    definition = {"every": f"{seconds:g}s", "start": BEGIN.isoformat(), "task": "demo.task", **more}
    jobs.put(cluster.store, tenant, name, definition)


def suspend(cluster: ManualCluster, meanwhile: Callable[[], Any] | None = None, **more: Any) -> Any:
    return settled(cluster, lambda: tenancy.suspend(cluster.store, "acme", **WHO, **more), meanwhile)


def delete(cluster: ManualCluster, grace: timedelta = timedelta(0)) -> Any:
    return settled(cluster, lambda: tenancy.delete(cluster.store, "acme", **WHO, grace=grace))


def states(cluster: ManualCluster, job: str = "tick") -> list[tuple[float, float, str, str]]:
    return [
        (f.covers.start - ZERO, f.covers.through - ZERO, f.state, f.reason)
        for f in cluster.firings(cluster.store.tenants.get("acme"), job)
    ]


def care(cluster: ManualCluster) -> int:
    cluster.store.cache.refresh()
    return cluster.node().caretaker.run_once(("node-a",))


# -- suspend


def test_after_a_suspension_was_answered_nothing_begins(acme: ManualCluster):
    acme.claim()
    (message,) = acme.broker.messages
    result = suspend(acme)
    assert (result.state, result.cancelled, result.epoch) == ("suspended", 1, 2)
    assert acme.begin(message) is None
    assert states(acme) == [(0, 0, "cancelled", "tenant_stopped")]
    acme.advance(60)
    assert acme.claim() == acme.release() == 0
    acme.sweep()
    assert acme.broker.messages == [message]


def test_it_waits_for_those_who_confirmed_the_tenant_before(acme: ManualCluster):
    """A node that still trusts what it knew records and hands over meanwhile: that is cancelled before the answer."""
    acme.store.cache.refresh()
    held: list[Any] = []

    def a_node_that_has_not_heard() -> None:
        acme.clock.advance(TRUST - 0.1)  # no refresh
        assert acme.nodes["node-a"].claiming.run_once(("node-a",)) == 1
        held.extend(acme.broker.messages)

    acme.node()
    result = suspend(acme, a_node_that_has_not_heard)
    assert (result.cancelled, len(held)) == (1, 1)
    assert acme.begin(held[0]) is None


def test_what_runs_goes_on_and_its_retry_does_not_begin(acme: ManualCluster):
    put(acme, "tick", 10, retry={"max_attempts": 3})
    acme.claim()
    running = acme.begin(acme.broker.messages[0])
    result = suspend(acme)
    assert (result.cancelled, result.running) == (0, 1)
    assert acme.finish(running, Outcome(state="failed", reason="raised", retry_at=acme.clock.now()))
    acme.advance(60)
    acme.release()
    assert states(acme) == [(0, 0, "cancelled", "tenant_stopped")]


def test_a_suspension_says_who_why_since_and_until(acme: ManualCluster):
    until = BEGIN + timedelta(hours=1)
    result = suspend(acme, until=until)
    assert (result.who, result.why, result.since, result.until) == ("ann", "unpaid", BEGIN, until)
    (note,) = acme.store.audit.of("acme", limit=1)
    assert (note.what, note.who, note.why, note.uid) == ("tenant.suspend", "ann", "unpaid", result.uid)


def test_suspending_again_completes_what_a_crash_left(acme: ManualCluster):
    acme.claim()
    (message,) = acme.broker.messages
    tenant = acme.store.tenants.get("acme")
    tenancy._stop(acme.store, "acme", "suspend", tenancy._halt(acme.store, "bob", "x", None, "skip"))
    acme.advance(30)  # long ago: nobody has to be waited for
    result = tenancy.suspend(acme.store, "acme", **WHO)
    assert (result.verdict, result.cancelled, result.who) == ("unchanged", 1, "bob")
    assert acme.begin(message) is None
    assert acme.store.tenants.get("acme").epoch == tenant.epoch + 1


@pytest.mark.parametrize(
    "bad",
    [
        {"why": ""},
        {"who": " "},
        {"why": "x" * 501},
        {"why": "a\nb"},
        {"until": START + timedelta(seconds=1)},
        {"gap": "some"},
        {"gap": {"$ne": 1}},
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(acme: ManualCluster, bad: dict[str, Any]):
    with pytest.raises(InvalidInput):
        tenancy.suspend(acme.store, "acme", **(WHO | bad))
    assert acme.store.tenants.get("acme").state == "active"


# -- resume


def test_the_gap_is_skipped_as_one_range(acme: ManualCluster):
    suspend(acme)
    acme.advance(100 - tenancy.SETTLED.total_seconds())
    assert tenancy.resume(acme.store, "acme", who="ann").gap == "skip"
    acme.advance(5)
    assert acme.claim() == 1
    assert states(acme) == [(0, 100, "skipped", "tenant_halted")]
    acme.advance(5)
    acme.claim()
    assert states(acme)[1][:3] == (110, 110, "dispatched")


def test_the_gap_is_made_up_for_by_one_firing(acme: ManualCluster):
    put(acme, "tick", 10, misfire_grace_s=1.0, catch_up="none")
    suspend(acme)
    acme.advance(100 - tenancy.SETTLED.total_seconds())
    tenancy.resume(acme.store, "acme", who="ann", gap="latest")
    acme.advance(0)
    acme.claim()
    assert states(acme) == [(0, 100, "dispatched", "")]


def test_the_gap_is_made_up_for_instant_by_instant(acme: ManualCluster):
    suspend(acme)
    acme.advance(30 - tenancy.SETTLED.total_seconds())
    tenancy.resume(acme.store, "acme", who="ann", gap="all")
    acme.advance(0)
    acme.claim()
    assert [(start, through) for start, through, *_ in states(acme)] == [(0, 0), (10, 10), (20, 20), (30, 30)]
    for _ in range(10):
        acme.deliver()
        acme.advance(1)
        acme.release()
    assert {state for *_, state, _ in states(acme)[:4]} == {"succeeded"}


def test_what_was_cancelled_does_not_come_back(acme: ManualCluster):
    acme.claim()
    (message,) = acme.broker.messages
    suspend(acme)
    result = tenancy.resume(acme.store, "acme", who="ann")
    assert result.epoch == 3
    acme.advance(0)
    assert acme.begin(message) is None
    acme.advance(20)
    acme.claim()
    assert [state for *_, state, _ in states(acme)].count("dispatched") == 1


def test_nodes_resume_a_tenant_when_its_time_has_come(acme: ManualCluster):
    suspend(acme, until=BEGIN + timedelta(minutes=5), gap="latest")
    acme.advance(60)
    assert care(acme) == 0
    acme.advance(240)
    assert care(acme) == 1
    tenant = acme.store.tenants.get("acme")
    assert (tenant.state, tenant.halt, tenant.gap.policy) == ("active", None, "latest")
    acme.advance(0)
    assert acme.claim() == 1
    assert acme.store.audit.of("acme", limit=1)[0].who == "node node-a"


# -- drain


def test_a_drained_tenant_ends_what_was_recorded_and_gets_nothing_new(acme: ManualCluster):
    put(acme, "tick", 10, retry={"max_attempts": 2})
    acme.claim()
    running = acme.begin(acme.broker.messages.pop())
    settled(acme, lambda: tenancy.drain(acme.store, "acme", **WHO))
    acme.finish(running, Outcome(state="failed", reason="raised", retry_at=acme.clock.now()))
    acme.advance(30)
    assert acme.claim() == 0
    assert acme.release() == 1  # its retry
    assert len(acme.deliver()) == 1
    assert states(acme) == [(0, 0, "succeeded", "")]
    assert tenancy.resume(acme.store, "acme", who="ann", gap="latest").state == "active"
    acme.advance(0)
    assert acme.claim() == 1


def test_a_lost_message_of_a_draining_tenant_is_published_again(acme: ManualCluster):
    acme.broker.swallow = True
    acme.claim()
    acme.broker.swallow = False
    settled(acme, lambda: tenancy.drain(acme.store, "acme", **WHO))
    acme.advance(70)
    acme.sweep()
    assert len(acme.deliver()) == 1


# -- delete


def everything(cluster: ManualCluster) -> dict[str, str]:
    """Return each collection of the cluster's database as text, by name."""
    database = cluster.store.client[cluster.database]
    return {name: repr(list(database[name].find())) for name in database.list_collection_names()}


def test_a_deletion_says_first_what_it_would_remove(acme: ManualCluster):
    acme.claim()
    result = tenancy.preview_delete(acme.store, "acme")
    assert (result.verdict, result.state, result.jobs, result.firings, result.waiting) == (
        "unchanged", "active", 1, 1, 1,
    )  # fmt: skip
    assert acme.store.tenants.get("acme").state == "active"


def test_no_trace_of_a_purged_tenant_is_left_but_its_tombstone(acme: ManualCluster, redis_db: str, redis_client: Any):
    tenants.create(acme.store, "globex")
    put(acme, "tick", 10, tenant="globex")
    sender = open_sender(redis_db, acme.store.message_key(), acme.ids)
    for _ in range(3):
        acme.claim()
        sender.send(acme.broker.messages)
        acme.deliver()
        acme.advance(10)
    acme.claim()
    sender.send(acme.broker.messages)
    # One is in a worker's hands.
    taken = redis_client.rpop("horarium.default")
    redis_client.hset("unacked", "tag-1", json.dumps([json.loads(taken), "horarium.default", "horarium.default"]))
    redis_client.zadd("unacked_index", {"tag-1": 1.0})
    sender.close()
    uid = acme.store.tenants.get("acme").uid
    assert sum(uid in text for text in everything(acme).values()) >= 4
    held = len(redis_client.lrange("horarium.default", 0, -1)) + 1
    assert held == 7
    result = delete(acme)
    assert result.firings == 4
    purge = open_purge(redis_db)
    caretaker = Caretaker(acme.store, purge, "node-a")
    acme.advance(1)
    assert caretaker.run_once(("node-a",)) == 1
    purge.close()
    for name, text in everything(acme).items():
        assert name == "audit" or ("acme" not in text and "acme" not in name), name
    for key in redis_client.scan_iter():
        kind = redis_client.type(key)
        values = {
            "list": lambda key=key: redis_client.lrange(key, 0, -1),
            "hash": lambda key=key: redis_client.hgetall(key).values(),
        }.get(kind, list)()
        assert "acme" not in key
        for value in values:
            assert uid_of(value) == acme.store.tenants.get("globex").uid
    assert acme.seen(TenantPurged) == [TenantPurged(uid)]
    # The other tenant has everything and goes on.
    assert len(acme.firings(acme.store.tenants.get("globex"))) == 3


def uid_of(text: str) -> str:
    from workers.purging import uid_in

    found = uid_in(text)
    assert found is not None
    return found


def test_the_certificate_is_genuine_and_a_changed_one_is_not(acme: ManualCluster):
    delete(acme)
    acme.advance(1)
    assert care(acme) == 1
    certificate = certifying.get(acme.store, "acme")
    assert (certificate["deleted_by"], certificate["why"]) == ("ann", "unpaid")
    assert certificate["removed"] == {"jobs": 1, "firings": 0}
    text = json.dumps(certificate)
    assert certifying.verify(acme.store, "acme", text.encode())
    assert not certifying.verify(acme.store, "acme", text.replace("unpaid", "asked").encode())
    assert not certifying.verify(acme.store, "globex", text.encode())
    with pytest.raises(InvalidInput):
        certifying.verify(acme.store, "acme", b"[]")
    with pytest.raises(NotFound):
        tenants.get(acme.store, "acme")


def test_within_its_grace_a_deleted_tenant_comes_back_whole(acme: ManualCluster):
    delete(acme, timedelta(days=7))
    acme.advance(6 * 86_400)
    assert care(acme) == 0
    assert tenancy.resume(acme.store, "acme", who="ann", gap="latest").state == "active"
    acme.advance(0)
    assert acme.claim() == 1
    acme.advance(2 * 86_400)
    assert care(acme) == 0


def test_a_deleted_tenant_can_only_be_resumed(acme: ManualCluster):
    delete(acme, timedelta(days=7))
    with pytest.raises(NotAllowed, match="is deleted; resume it first"):
        tenancy.suspend(acme.store, "acme", **WHO)
    with pytest.raises(NotAllowed, match="is deleted; resume it first"):
        put(acme, "new", 10)


def test_what_somebody_writes_after_the_purge_is_purged_again(acme: ManualCluster):
    """A process that had stood still wakes up with a record in its hands."""
    acme.claim()
    tenant = acme.store.tenants.get("acme")
    firings = acme.store.collections.firings(tenant.place)
    late_record = firings.find_one({"tenant": tenant.uid})
    late_job = acme.store.jobs(tenant.place).fetch("tick")
    delete(acme)
    acme.advance(1)
    assert care(acme) == 1
    firings.insert_one(late_record)
    acme.store.collections.jobs(tenant.place).insert_one(late_job)
    acme.store.agenda.bump(tenant.uid, ZERO)
    acme.advance(16 * 60)
    care(acme)
    assert all("acme" not in text and "acme" not in name for name, text in everything(acme).items() if name != "audit")
    assert Repaired("purged_again", tenant.uid) in acme.events
    acme.advance(25 * 3600)
    care(acme)
    (tombstone,) = acme.store.audit.tombstones("acme")
    assert "again_at" not in tombstone
    assert [sum(found.values()) for found in tombstone["repeats"]] == [2, 0]


def test_a_crash_in_the_middle_of_a_purge_is_completed_by_another_node(acme: ManualCluster):
    delete(acme)
    acme.advance(1)
    tenant = acme.store.tenants.get("acme")
    with pytest.raises(KeyboardInterrupt):
        Dying(acme.store, NoPurge(), "node-a").run_once(("node-a",))
    assert acme.store.tenants.get("acme").uid == tenant.uid
    acme.advance(60)
    assert care(acme) == 0
    acme.advance(61)
    assert care(acme) == 1
    assert certifying.get(acme.store, "acme")["uid"] == tenant.uid


class Dying(Caretaker):
    """A node that dies when the documents are gone and nothing says so yet."""

    def _bury(self, *_: Any) -> None:
        raise KeyboardInterrupt


def test_the_name_of_a_purged_tenant_can_be_used_again_and_a_late_purge_leaves_it_alone(acme: ManualCluster):
    place = acme.store.tenants.get("acme").place
    delete(acme)
    acme.advance(1)
    care(acme)
    tenants.create(acme.store, "acme")
    put(acme, "tick", 10)
    acme.advance(16 * 60)
    assert acme.claim() == 1
    care(acme)
    acme.advance(25 * 3600)
    care(acme)
    fresh = acme.store.tenants.get("acme").place
    assert fresh.uid != place.uid
    assert acme.store.jobs(fresh).count() == 1
    assert len(states(acme)) == 1


def test_a_pack_keeps_the_jobs_of_its_other_tenants(cluster: ManualCluster):
    for name in ("acme", "globex"):
        tenants.create(cluster.store, name, jobs="jobs.pack-01", prefix=f"{name}:")
        put(cluster, "tick", 10, tenant=name)
    stray = cluster.store.jobs(cluster.store.tenants.get("acme").place).fetch("tick")
    stray |= {"_id": "acme:stray", "tenant": "globex-a00002"}  # edited by hand to look like another's
    cluster.store.client[cluster.database]["jobs.pack-01"].insert_one(stray)
    delete(cluster)
    cluster.advance(1)
    care(cluster)
    left = [document["_id"] for document in cluster.store.client[cluster.database]["jobs.pack-01"].find()]
    assert left == ["globex:tick"]


# -- the command line


def test_by_command(mongo_url: str, database_name: str, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    """On the real clock: a suspension answers after the seven seconds that it waits for everybody."""
    monkeypatch.setenv("HORARIUM_MONGODB_URL", mongo_url)
    monkeypatch.setenv("HORARIUM_DATABASE", database_name)

    def cli(*words: str) -> tuple[int, str, str]:
        code = run(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    assert cli("tenant", "create", "acme")[0] == 0
    started = time.monotonic()
    code, out, _ = cli("tenant", "suspend", "acme", "--reason", "unpaid", "--by", "ann", "--until", "2h")
    assert (code, out.splitlines()[0]) == (0, "changed: tenant acme is suspended")
    assert time.monotonic() - started >= tenancy.SETTLED.total_seconds()
    assert "unpaid" in out
    assert "unpaid" in cli("tenant", "get", "acme")[1]
    assert json.loads(cli("tenant", "get", "acme", "-o", "json")[1])["halt"]["who"] == "ann"
    assert cli("job", "put", "acme", "tick", "--every", "1h", "--task", "t")[0] == 0
    assert cli("job", "trigger", "acme", "tick")[0] == 4
    assert cli("tenant", "resume", "acme", "--gap", "some")[0] == 2
    assert json.loads(cli("tenant", "resume", "acme", "--gap", "all", "-o", "json")[1])["gap"] == "all"
    assert cli("job", "trigger", "acme", "tick")[0] == 0
    dry = cli("tenant", "delete", "acme")
    assert dry[0] == 0
    assert "nothing was done" in dry[1]
    assert cli("tenant", "delete", "acme", "--confirm", "globex", "--reason", "x")[0] == 2
    assert cli("tenant", "delete", "acme", "--confirm", "acme")[0] == 2
    assert cli("tenant", "suspend", "acme")[0] == 2  # no reason
    assert cli("tenant", "suspend", "acme", "--reason", "x", "--until", "yesterday")[0] == 2
    assert cli("tenant", "certificate", "acme")[0] == 3
    assert json.loads(cli("tenant", "get", "acme", "-o", "json")[1])["state"] == "active"
