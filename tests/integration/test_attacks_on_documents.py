"""Documents edited or forged by hand, by somebody who can write a tenant's collections: set aside, nothing begins."""

import os
import pickle
from typing import Any

import pytest
from bson.binary import Binary

from cluster.operations import quarantine
from cluster.operations.triggering import trigger
from jobstore.clock import to_posix
from jobstore.events import JobQuarantined
from jobstore.setaside import UNREADABLE_EVERY
from tests.support.manual import START, ManualCluster
from tests.support.victim import place_of, put

ZERO = to_posix(START)


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
