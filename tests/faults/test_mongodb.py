"""MongoDB fails over, freezes, goes away; one node is cut off from it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, PyMongoError

from jobstore.clock import to_posix
from jobstore.errors import StoreUnavailable
from tests.support.faults import CHAOS, FULL, SHORT, Storm
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

OUTAGE = 60 if CHAOS else 15


def strike_primary(it: Storm, how: str) -> Callable[[], None]:
    """Strike the primary; return what ends the fault."""
    primary = it.mongo.await_primary()
    if how == "killed":
        primary.kill()
        return it.mongo.restart
    if how == "frozen":
        primary.freeze()
        return primary.thaw
    with MongoClient("127.0.0.1", primary.port, directConnection=True, serverSelectionTimeoutMS=5000) as client:
        try:
            client.admin.command("replSetStepDown", 20, secondaryCatchUpPeriodSecs=5, force=True)
        except AutoReconnect:
            pass
        except PyMongoError as error:
            raise AssertionError(f"the primary did not step down: {error}") from error
    return lambda: None


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("killed", marks=pytest.mark.faults),
        pytest.param("stepped down", marks=pytest.mark.chaos),
        pytest.param("frozen", marks=pytest.mark.chaos),
    ],
)
def test_the_primary_of_three_members_is(storm: Callable[..., Storm], how: str):
    it = storm(members=3)
    it.staff()
    it.load()
    it.rest(4)
    struck = it.clock.now()
    heal = strike_primary(it, how)
    eventually(lambda: goes_on(it, struck), within=40, that="firings are released again")
    if how == "frozen":
        it.rest(max(0.0, 20 - (it.clock.now() - struck).total_seconds()))
    heal()
    it.settle(within=240)
    firings = it.verdict()
    after = [to_posix(one.released_at) - to_posix(struck) for one in firings if one.released_at]
    gap = min(seconds for seconds in after if seconds > 0.5)
    it.row.figures["went on after s"] = f"{gap:.1f}"
    assert gap <= 15


def goes_on(it: Storm, struck: datetime) -> bool:
    try:
        return any(one.released_at is not None and one.released_at > struck for one in it.firings())
    except StoreUnavailable:  # this test's own reads fail over as well
        return False


@pytest.mark.chaos
def test_mongodb_is_away_while_tasks_run_through_it(storm: Callable[..., Storm]):
    # As many jobs as there are places: each runs through the whole outage.
    it = storm(scale=replace(FULL if CHAOS else SHORT, tenants=2, jobs=2))
    it.staff(nodes=2)
    it.load("noting.slow", every="20s", args=[OUTAGE + 10.0], max_instances=1)
    eventually(lambda: any(line["event"] == "begin" for line in it.lines()), within=60, that="something runs")
    it.rest(2)
    before = {name: it.cpu_seconds(name) for name in ("node-1", "node-2")}
    it.mongo.kill()
    it.rest(OUTAGE)
    used = {name: it.cpu_seconds(name) - seconds for name, seconds in before.items()}
    it.mongo.restart()
    it.settle(within=600)
    firings = it.verdict()
    assert all(one.attempt == 1 for one in firings), "no second attempt of what a living worker runs"
    assert max(used.values()) < 0.2 * OUTAGE, f"no busy loop: {used}"
    it.row.figures["node cpu s"] = f"{max(used.values()):.1f} of {OUTAGE}"


@pytest.mark.chaos
@pytest.mark.parametrize("cut_off", ["mongodb", "broker"])
def test_one_node_is_cut_off_from_its(storm: Callable[..., Storm], cut_off: str):
    it = storm()
    mongo, valkey = it.mongo.members[0].port, it.valkey.port
    with Proxy(("127.0.0.1", mongo if cut_off == "mongodb" else valkey)) as proxy:
        here = f"127.0.0.1:{proxy.port}"
        more = {
            "mongodb": {"HORARIUM_MONGODB_URL": f"mongodb://{here}/?directConnection=true"},
            "broker": {"HORARIUM_BROKER_URL": f"redis://{here}/0"},
        }
        it.staff(nodes=2)
        it.supervisor.start([it.node("cut-off", more[cut_off])])
        it.load()
        it.rest(5)
        proxy.mode = "blackhole"
        it.rest(2 * it.lease)
        proxy.mode = "pass"
        it.settle(within=300)
    firings = it.verdict()
    worst = max(it.lateness(one) for one in firings if one.attempt == 1 and one.released_at)
    it.row.figures["worst s"] = f"{worst:.1f}"
    assert worst <= it.lease + 3.5, "the others took over as from a frozen node"
