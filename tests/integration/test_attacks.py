"""Attempts to reach another tenant through every door: refused or set aside, and the other one notices nothing.

Each test attacks ``acme``'s way; ``globex`` is the victim.  Afterwards its documents are as they were, and its next
firing goes out in the next pass.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from cluster.operations import firings, jobs, limits, plans, quarantine, stopping, tenancy, tenants
from cluster.operations.apply import apply
from cluster.operations.common import NotAllowed
from cluster.operations.manifest import read_manifests
from cluster.operations.triggering import trigger
from jobstore.clock import to_posix
from jobstore.errors import AlreadyExists, InvalidInput, NotFound
from jobstore.words import label
from tests.support.manual import START, ManualCluster
from tests.support.victim import place_of, put
from workers.wire import BadMessage, decode, encode, sign

BY: dict[str, Any] = {"who": "eve", "why": "x"}
ZERO = to_posix(START)


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
