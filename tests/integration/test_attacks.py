"""Attempts to reach another tenant through every door: refused or set aside, and the other one notices nothing.

Each test attacks ``acme``'s way; ``globex`` is the victim.  Afterwards its documents are as they were, and its next
firing goes out in the next pass.
"""

import copy
import json
import os
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bson.binary import Binary

from cluster.operations import firings, jobs, limits, plans, quarantine, stopping, tenancy, tenants
from cluster.operations.apply import apply
from cluster.operations.common import NotAllowed
from cluster.operations.manifest import read_manifests
from cluster.operations.triggering import trigger
from jobstore.clock import to_posix
from jobstore.errors import AlreadyExists, InvalidInput, NotFound
from jobstore.events import JobQuarantined
from jobstore.setaside import UNREADABLE_EVERY
from jobstore.words import label
from tests.support.manual import START, ManualCluster
from workers.wire import BadMessage, decode, encode, sign

BY: dict[str, Any] = {"who": "eve", "why": "x"}
ZERO = to_posix(START)


@pytest.fixture
def world(cluster: ManualCluster) -> Iterator[ManualCluster]:
    """Two tenants in one ledger; the victim's documents are compared afterwards, and its next firing is on time."""
    for name in ("acme", "globex"):
        tenants.create(cluster.store, name)
        put(cluster, name)
    cluster.store.cache.refresh()
    cluster.advance(10)
    cluster.claim()
    cluster.deliver()
    before = victim(cluster)
    assert len(before["firings"]) == 1
    yield cluster
    assert victim(cluster) == before
    cluster.broker.messages.clear()
    cluster.advance(50)
    cluster.claim()
    uid = cluster.store.tenants.get("globex").uid
    assert [message.uid for message in cluster.broker.messages].count(uid) == 1
    assert len([firing for firing in cluster.deliver() if firing.uid == uid]) == 1


def put(cluster: ManualCluster, tenant: str, job: str = "tick", **more: Any) -> Any:
    definition = {"every": "10s", "start": START.isoformat(), "task": "demo.task", **more}
    return jobs.put(cluster.store, tenant, job, definition)


def victim(cluster: ManualCluster) -> dict[str, Any]:
    tenant = cluster.store.tenants.get("globex")
    collections = cluster.store.collections
    return {
        "tenant": tenant,
        "jobs": list(collections.jobs(tenant.place).find()),
        "firings": list(collections.firings(tenant.place).find({"_id": {"$regex": f"^{tenant.uid}:"}})),
    }


def place_of(cluster: ManualCluster, name: str = "acme") -> Any:
    return cluster.store.tenants.get(name).place


# -- ids

NAMES = [
    "", ".", "..", "../globex", "globex/tick", "$where", "$ne", "a.b", "globex\0", "a\0b", "globex\n", " globex",
    "GLOBEX", "gl\u043ebex", "\uff47lobex", "a" * 1000, "system.users", "jobs.globex", "{'$gt': ''}", "%00", "globex:",
    "-globex", "*", "globex-", "\u202eglobex",
]  # fmt: skip
TENANT_DOORS: list[Callable[[Any, Any], Any]] = [
    tenants.create,
    lambda store, name: tenants.put(store, name, weight=9),
    tenants.get,
    lambda store, name: tenancy.suspend(store, name, **BY),
    lambda store, name: tenancy.drain(store, name, **BY),
    lambda store, name: tenancy.resume(store, name, who="eve"),
    tenancy.preview_delete,
    lambda store, name: plans.update(store, name, {"weight": 9}, who="eve"),
    limits.usage,
    quarantine.list_all,
    lambda store, name: jobs.put(store, name, "tick", {"every": "5s", "task": "t"}),
    jobs.list_jobs,
    firings.list_firings,
    lambda store, name: stopping.delete(store, name, "tick"),
    lambda store, name: trigger(store, name, "tick"),
]
JOB_DOORS: list[Callable[[Any, Any], Any]] = [
    lambda store, name: jobs.put(store, "acme", name, {"every": "5s", "task": "t"}),
    lambda store, name: jobs.get(store, "acme", name),
    lambda store, name: stopping.pause(store, "acme", name),
    lambda store, name: stopping.resume(store, "acme", name),
    lambda store, name: stopping.delete(store, "acme", name),
    lambda store, name: trigger(store, "acme", name),
    lambda store, name: firings.list_firings(store, "acme", job_id=name),
]
OPERATORS: list[Any] = [{"$ne": None}, {"$gt": ""}, ["globex"], None, 7, True, {"$regex": ".*"}, b"globex"]


@pytest.mark.parametrize("name", [*NAMES, *OPERATORS], ids=repr)
def test_a_hostile_tenant_id_opens_no_door(world: ManualCluster, name: Any):
    for door in TENANT_DOORS:
        with pytest.raises(InvalidInput):
            door(world.store, name)


HOSTILE_JOBS = [
    name for name in NAMES if name not in {"a.b", "GLOBEX", "globex:", "globex-", "system.users", "jobs.globex"}
]


@pytest.mark.parametrize("name", [*HOSTILE_JOBS, *(one for one in OPERATORS if one is not None)], ids=repr)
def test_a_hostile_job_id_opens_no_door(world: ManualCluster, name: Any):
    for door in JOB_DOORS:
        with pytest.raises(InvalidInput):
            door(world.store, name)


@pytest.mark.parametrize("name", ["system.users", "jobs.globex", "globex:tick", "a.b"])
def test_a_job_id_that_looks_like_a_place_is_only_an_id(world: ManualCluster, name: str):
    put(world, "acme", name)
    assert jobs.get(world.store, "acme", name).tenant == "acme"
    stopping.delete(world.store, "acme", name)


def test_another_tenants_firing_is_not_shown_nor_found_in_quarantine(world: ManualCluster):
    (theirs,) = world.firings(world.store.tenants.get("globex"))
    with pytest.raises(NotFound):
        firings.get(world.store, "acme", theirs.id)
    for act in (
        quarantine.show,
        lambda *a: quarantine.retry(*a, who="eve"),
        lambda *a: quarantine.discard(*a, who="eve"),
    ):
        with pytest.raises(NotFound):
            act(world.store, "acme", theirs.id)


# -- places


def places(cluster: ManualCluster) -> list[dict[str, str]]:
    theirs = place_of(cluster, "globex")
    return [
        {"jobs": theirs.jobs}, {"jobs": theirs.jobs, "prefix": "x"}, {"firings": theirs.jobs}, {"jobs": "firings"},
        {"jobs": "system.users"}, {"jobs": "system.views"}, {"jobs": "tenants"}, {"jobs": "agenda"}, {"jobs": "audit"},
        {"jobs": "config"}, {"jobs": "gates"}, {"firings": "nodes"}, {"firings": "workers"}, {"jobs": "a$cmd"},
        {"jobs": "a\0b"}, {"jobs": ".a"}, {"jobs": "a."}, {"database": "admin"}, {"database": "local"},
        {"database": "config"}, {"database": "a$b"}, {"jobs": "x" * 300}, {"jobs": "pack", "prefix": "a\0"},
        {"jobs": "pack", "prefix": "$where"}, {"jobs": "pack", "prefix": "\uffff"}, {"jobs": "same", "firings": "same"},
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(26))
def test_a_place_that_would_reach_others_is_refused(world: ManualCluster, number: int):
    before = sorted(world.store.client[world.database].list_collection_names())
    with pytest.raises((InvalidInput, AlreadyExists)):
        tenants.create(world.store, "eve", **places(world)[number])
    assert sorted(world.store.client[world.database].list_collection_names()) == before
    with pytest.raises(NotFound):
        tenants.get(world.store, "eve")


def test_a_prefix_that_begins_anothers_is_refused(world: ManualCluster):
    tenants.create(world.store, "one", jobs="pack", prefix="one:")
    for prefix in ("o", "one:", "one:x", "on"):
        with pytest.raises((InvalidInput, AlreadyExists)):
            tenants.create(world.store, "two", jobs="pack", prefix=prefix)


# -- operators and code in definitions

DEFINITIONS: list[Any] = [
    {"every": {"$gt": ""}, "task": "t"},
    {"every": "5s", "task": {"$ne": None}},
    {"every": "5s", "task": "$where"},
    {"every": "5s", "task": "t\0"},
    {"every": "5s", "task": "t", "pool": {"$ne": 1}},
    {"every": "5s", "task": "t", "pool": "../globex"},
    {"every": "5s", "task": "t", "pool": "Globex"},
    {"every": "5s", "task": "t", "tenant": "globex"},
    {"every": "5s", "task": "t", "uid": "globex-a00002"},
    {"every": "5s", "task": "t", "slots": []},
    {"every": "5s", "task": "t", "$set": {"state": "active"}},
    {"every": "5s", "reference": "os:system"},
    {"every": "5s", "task": "t", "target": {"kind": "reference", "name": "os:system"}},
    {"every": "5s", "task": "t", "kwargs": {"a\0b": 1}},
    {"every": "5s", "task": "t", "args": [object()]},
    {"every": "5s", "task": "t", "retry": {"$inc": 1}},
    {"cron": "0 0 * * *; drop", "task": "t"},
    [{"$match": {}}],
    "$where",
    None,
]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda one: repr(one)[:60])
def test_an_operator_or_a_foreign_field_in_a_definition_is_refused(world: ManualCluster, definition: Any):
    with pytest.raises(InvalidInput):
        jobs.put(world.store, "acme", "evil", definition)
    assert world.store.jobs(place_of(world)).fetch("evil") is None


@pytest.mark.parametrize(
    "value",
    [{"$where": "sleep(1)"}, {"$set": {"state": "x"}}, {"a.b": 1}, {"$function": {"body": "f"}}, {"$literal": "$spec"}],
    ids=repr,
)
def test_operators_among_arguments_are_data(world: ManualCluster, value: dict[str, Any]):
    put(world, "acme", "data", kwargs=value, args=[copy.deepcopy(value)])
    trigger(world.store, "acme", "data")
    assert world.release() == 1
    (found,) = world.deliver()
    assert (found.snapshot.kwargs, found.snapshot.args) == (value, (value,))


YAML = [
    "tenant: acme\njobs: !!python/object/apply:os.system ['touch {mark}']",
    "tenant: acme\njobs: {{x: {{every: 5s, task: !!python/name:os.system }}}}",
    "tenant: {{$ne: null}}",
    "tenant: [globex]",
    "tenant: acme\nplace: {{jobs: jobs.globex}}",
    "tenant: acme\nuid: globex-a00002",
    "tenant: acme\ntenant: globex",
    "tenant: acme\njobs: {{'$set': {{every: 5s, task: t}}}}",
    "tenant: acme\njobs: [1]",
    "a: &a [*a]",
]


@pytest.mark.parametrize("text", YAML)
def test_a_hostile_file_is_refused_and_runs_nothing(world: ManualCluster, tmp_path: Any, text: str):
    mark = tmp_path / "hacked"
    with pytest.raises(InvalidInput):
        read_manifests(text.format(mark=mark), "evil.yaml")
    assert not mark.exists()


def test_a_file_with_a_good_and_a_bad_job_puts_the_good_one_only(world: ManualCluster):
    text = "tenant: acme\njobs: {good: {every: 1h, task: t}, bad: {every: 1h, task: t, tenant: globex}}"
    verdicts = {one.name: one.verdict for one in apply(world.store, read_manifests(text, "x.yaml"))}
    assert (verdicts["good"], verdicts["bad"]) == ("created", "refused")


# -- messages


def forged(world: ManualCluster) -> list[dict[str, Any]]:
    key = world.store.message_key()
    message = world.broker.messages[0]
    good = encode(message, key)
    theirs = world.firings(world.store.tenants.get("globex"))[0]
    mine = place_of(world).uid
    signed = {"uid": mine, "firing": theirs.id, "attempt": 1, "epoch": 1}
    return [
        {}, {**good, "mac": ""}, {**good, "mac": "0" * 64}, {**good, "mac": None}, {**good, "attempt": 2},
        {**good, "epoch": 2}, {**good, "uid": theirs.uid}, {**good, "firing": theirs.id}, {**good, "v": 2},
        {**good, "v": True}, {**good, "task": "os.system"}, {**good, "attempt": "1"}, {**good, "attempt": {"$gt": 0}},
        {**good, "firing": {"$ne": None}}, {**good, "uid": ["globex"]}, {**good, "epoch": True},
        {key: value for key, value in good.items() if key != "mac"},
        {"v": 1, **signed, "mac": sign(key, **signed)},  # type: ignore[arg-type]
        {"v": 1, **signed, "mac": sign(b"k" * 32, **signed)},  # type: ignore[arg-type]
        {**good, "mac": sign(key, uid=mine, firing=good["firing"], attempt=2, epoch=1)},  # type: ignore[arg-type]
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(20))
def test_a_forged_message_is_dropped(world: ManualCluster, number: int):
    trigger(world.store, "acme", "tick")
    world.release()
    with pytest.raises(BadMessage):
        decode(forged(world)[number], world.store.message_key())
    world.deliver()


def test_a_message_of_another_cluster_is_dropped(world: ManualCluster):
    trigger(world.store, "acme", "tick")
    world.release()
    with pytest.raises(BadMessage):
        decode(encode(world.broker.messages[0], b"x" * 32), world.store.message_key())
    world.deliver()


def test_a_replayed_message_begins_nothing(world: ManualCluster):
    trigger(world.store, "acme", "tick")
    world.release()
    (message,) = world.broker.messages
    assert len(world.deliver()) == 1
    for _ in range(3):
        assert world.begin(message) is None


# -- documents edited by hand


def edit(world: ManualCluster, change: dict[str, Any]) -> None:
    place = place_of(world)
    world.store.collections.jobs(place).update_one({"_id": "tick"}, {"$set": {"next_run_time": ZERO + 10, **change}})
    world.store.agenda.bump(place.uid, ZERO)
    world.claim()


EDITS: list[dict[str, Any]] = [
    {"tenant": "globex-a00002"},
    {"tenant": None},
    {"v": 99},
    {"spec.pool": "../globex"},
    {"spec.pool": {"$ne": 1}},
    {"spec.target": {"kind": "shell", "name": "rm"}},
    {"spec.target.name": "$(touch x)"},
    {"spec.trigger": {"$where": "1"}},
    {"spec.trigger": {"v": 1, "every": "0s"}},
    {"spec": "job"},
    {"spec.max_instances": -1},
    {"incarnation": {"$ne": 1}},
    {"fence": "9"},
    {"slots": "all"},
    {"revision": True},
    {"nominal": "now"},
]


@pytest.mark.parametrize("change", EDITS, ids=repr)
def test_a_job_edited_by_hand_is_set_aside_with_its_reason(world: ManualCluster, change: dict[str, Any]):
    edit(world, change)
    assert world.broker.messages == []
    document = world.store.collections.jobs(place_of(world)).find_one({"_id": "tick"})
    assert document["state"] == "quarantined"
    assert document["quarantine"]["reason"]
    assert [event.job for event in world.seen(JobQuarantined)] == ["tick"]
    (one,) = quarantine.list_all(world.store, "acme")
    assert (one.kind, one.id) == ("job", "tick")


def test_slots_that_name_another_tenants_firings_change_nothing_there(world: ManualCluster):
    (theirs,) = world.firings(world.store.tenants.get("globex"))
    put(world, "acme", "tick", max_instances=1)
    edit(world, {"slots": [theirs.id]})
    world.deliver()


@pytest.mark.parametrize(
    "state",
    [
        pickle.dumps(os.system),
        pickle.dumps({"version": 1}),
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04" + b"(" * 100_000 + b".",
        b"not a pickle",
        b"",
        b"\x80\x05\x8c\x03pid\x94Q.",
        pickle.dumps("x" * 2_000_000),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("codec", ["structured", "pickled"])
def test_a_hostile_pickle_runs_nothing_in_either_kind_of_tenant(world: ManualCluster, state: bytes, codec: str):
    stray = {"_id": "stray", "next_run_time": ZERO, "job_state": Binary(state)}
    if codec == "pickled":
        from cluster.operations.adopting import adopt

        world.store.client[world.database]["apjobs"].insert_one(stray)
        name = adopt(world.store, "eve", f"{world.database}.apjobs").tenant.tenant
        world.store.cache.refresh()
    else:
        name = "acme"
        world.store.collections.jobs(place_of(world)).insert_one(stray)
    world.store.agenda.bump(place_of(world, name).uid, ZERO)
    world.claim()
    found = world.store.collections.jobs(place_of(world, name)).find_one({"_id": "stray"})
    assert found["state"] == "quarantined"
    assert bytes(found["job_state"]) == state
    assert world.broker.messages == []


def record(world: ManualCluster, **change: Any) -> dict[str, Any]:
    """Return a waiting record of acme as somebody with write access to the ledger would forge it."""
    firings_ = world.store.collections.firings(place_of(world))
    found = dict(firings_.find_one({"_id": {"$regex": f"^{place_of(world).uid}:"}}))
    for name in ("expire_at", "finished_at", "run_token", "started_at"):
        found.pop(name, None)
    uid = place_of(world).uid
    forged_ = found | {
        "_id": f"{uid}:{'a' * 32}", "state": "pending", "admitted": None, "wait": "slot", "kind": "manual",
        "attend_at": START, "attempt": 1,
    }  # fmt: skip
    return forged_ | change


FORGERIES: list[dict[str, Any]] = [
    {"tenant": "globex-a00002"},
    {"_id": f"globex-a00002:{'b' * 32}"},
    {"v": 9},
    {"covers": "all"},
    {"nominal": "never"},
    {"attempt": "x"},
    {"admitted": 7},
]


@pytest.mark.parametrize("change", FORGERIES, ids=repr)
def test_a_forged_record_is_set_aside_and_begins_nothing(world: ManualCluster, change: dict[str, Any]):
    firings_ = world.store.collections.firings(place_of(world))
    forgery = record(world, **change)
    firings_.insert_one(forgery)
    assert world.release() == 0
    assert world.broker.messages == []
    found = firings_.find_one({"_id": forgery["_id"]})
    assert found["quarantine"]["reason"]
    assert found["attend_at"] >= START + UNREADABLE_EVERY
    firings_.delete_one({"_id": forgery["_id"]})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"epoch": 7}, "tenant_stopped"),
        ({"incarnation": "other"}, "job_gone"),
        ({"job": "nothing"}, "job_gone"),
        ({"job": "$where"}, "job_gone"),
    ],
)
def test_a_record_that_fits_nothing_is_cancelled(world: ManualCluster, change: dict[str, Any], reason: str):
    world.store.collections.firings(place_of(world)).insert_one(record(world, **change))
    assert world.release() == 0
    mine = [f for f in world.firings(world.store.tenants.get("acme")) if f.id.endswith("a" * 32)]
    assert [(firing.state, firing.reason) for firing in mine] == [("cancelled", reason)]


@pytest.mark.parametrize("change", [{"tenant": "nobody-x"}, {"v": 9}], ids=["unknown tenant", "unreadable"])
@pytest.mark.parametrize("state", ["pending", "dispatched"])
def test_a_flood_of_records_that_nobody_can_act_upon_delays_nobody(
    world: ManualCluster, change: dict[str, Any], state: str
):
    firings_ = world.store.collections.firings(place_of(world))
    uid = change.get("tenant", place_of(world).uid)
    flood = [record(world, _id=f"{uid}:{number:032d}", state=state, publishes=1, **change) for number in range(1200)]
    firings_.insert_many(flood)
    trigger(world.store, "acme", "tick")
    for _ in range(3):
        world.release()
        world.sweep()
    assert len(world.broker.messages) == 1
    assert len(world.deliver()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"v": 9},
        {"worker": None},
        {"worker": {"$ne": 1}},
        {"run_token": 7},
        {"retry": "often"},
        {"retry": {"max_attempts": 0}},
    ],
    ids=repr,
)
def test_a_forged_run_does_not_keep_the_sweep_from_others(world: ManualCluster, change: dict[str, Any]):
    forgery = record(
        world,
        state="running",
        run_token="t",  # noqa: S106  (no password)
        worker="gone",
        _id=f"{place_of(world).uid}:{'0' * 32}",
    )
    world.store.collections.firings(place_of(world)).insert_one(forgery | change)
    trigger(world.store, "acme", "tick")
    world.release()
    (message,) = world.broker.messages
    world.broker.messages.clear()
    assert world.begin(message) is not None  # and its worker dies
    place = place_of(world)
    world.sweep()
    world.clock.advance(40)
    world.store.cache.refresh()
    world.sweep()
    run = world.store.ledger(place).get(message.firing)
    assert run is not None
    assert (run.state, run.attempt) == ("pending", 2)


def test_an_agenda_line_of_nobody_is_nobodys_turn(world: ManualCluster):
    for uid in ("nobody-x", "globex", "$where"):
        world.store.agenda.bump(uid, ZERO)
    assert world.claim() == 0


# -- labels, certificates, plans


@pytest.mark.parametrize("value", ["x" * 1000, "A", "a b", "a\n", "é", "a-b", '"}', "1a"])
def test_no_word_from_outside_becomes_a_label(value: str):
    assert label(value) == "other"


def test_a_plan_cannot_reach_beyond_its_own_entry(world: ManualCluster):
    for name in ("x.choices", "plans", "cluster.choices", "$set", "message_key"):
        try:
            plans.put(world.store, name, {"max_jobs": 1}, who="eve")
        except InvalidInput:
            continue
    assert plans.get(world.store, None).choices == {}
    assert world.store.tenants.get("globex").choices.max_jobs is None


@pytest.mark.parametrize("text", [b"{}", b"[]", b"x", json.dumps({"tenant": "acme", "mac": "0" * 64}).encode()])
def test_a_made_up_certificate_is_not_genuine(world: ManualCluster, text: bytes):
    from cluster.operations import certifying

    try:
        genuine = certifying.verify(world.store, "acme", text)
    except InvalidInput:
        genuine = False
    assert not genuine


def test_a_suspended_tenant_cannot_fire_by_hand(world: ManualCluster):
    tenancy._stop(world.store, "acme", "suspend", tenancy._halt(world.store, "ann", "x", None, "skip"))
    with pytest.raises(NotAllowed):
        trigger(world.store, "acme", "tick")
