"""``horarium api`` and ``pool demand`` on a real MongoDB."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from cluster.demanding import Api, make_api
from cluster.operations import demand as demands
from cluster.settings import ApiSettings, read_settings
from jobstore.pools import PoolSettings
from jobstore.servertime import ManualServerTime
from jobstore.store import open_store
from tests.support.manual import START, ManualCluster

KEY = "a key that is long enough"


def every(seconds: int, first: float) -> dict[str, str]:
    return {"every": f"{seconds}s", "start": (START + timedelta(seconds=first)).isoformat()}


@pytest.fixture
def api(cluster: ManualCluster) -> Iterator[Api]:
    made = make_api(cluster.store, read_settings(ApiSettings, HORARIUM_API_PORT=0, api_key=KEY))
    made.server.start()
    yield made
    made.server.close()


def ask(api: Api, path: str, key: str | None = KEY) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", api.server.port, timeout=10)
    connection.request("GET", path, headers={} if key is None else {"authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, json.loads(body) if answer.getheader("Content-Type") == "application/json" else body


def run_for(cluster: ManualCluster, seconds: float) -> None:
    """Let everything that the broker holds run for so long."""
    messages, cluster.broker.messages = cluster.broker.messages, []
    begun = [firing for message in messages if (firing := cluster.begin(message)) is not None]
    cluster.advance(seconds)
    for firing in begun:
        cluster.finish(firing)


def test_the_answer_has_the_shape_that_an_autoscaler_reads(cluster: ManualCluster, api: Api):
    acme = cluster.tenant("acme")
    for number in range(3):
        cluster.job(acme, f"now-{number}", every(3600, 0), pool="etl")
    cluster.claim()
    assert cluster.begin(cluster.broker.messages[0]) is not None
    cluster.job(acme, "soon", every(3600, 200), pool="etl")
    cluster.job(acme, "later", every(3600, 400), pool="etl")
    cluster.advance(4)
    assert ask(api, "/v1/pools/etl/demand") == (
        200,
        {"slots": 4, "running": 1, "queued": 2, "due_soon": 1, "oldest_age_s": 4.0},
    )
    assert ask(api, "/v1/pools/idle/demand?x=1")[1]["slots"] == 0
    assert ask(api, "/v1/pools/Not%20one/demand")[0] == 404
    assert ask(api, "/readyz", None)[0] == 200
    assert 'horarium_pool_slots{kind="queued",pool="etl"} 2.0' in ask(api, "/metrics", None)[1]


@pytest.mark.parametrize("key", [None, "", "another key", KEY[:-1], KEY + "x", "ключ".encode().decode("latin-1")])
def test_without_the_key_nothing_is_said(api: Api, key: str | None):
    status, said = ask(api, "/v1/pools/etl/demand", key)
    assert (status, set(said)) == (401, {"error"})


def test_an_api_without_a_key_tells_nobody(cluster: ManualCluster):
    api = make_api(cluster.store, read_settings(ApiSettings, HORARIUM_API_PORT=0))
    api.server.start()
    try:
        status, said = ask(api, "/v1/pools/etl/demand", "")
        assert (status, said["error"]) == (401, "this API has no key: set HORARIUM_API_KEY")
        assert ask(api, "/healthz", None)[0] == 200
    finally:
        api.server.close()


def test_a_store_that_does_not_answer_is_no_zero(cluster: ManualCluster):
    away = open_store(
        "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200&timeoutMS=300",
        control=cluster.database,
        runtime=cluster.runtime,
        name="test",
        time=ManualServerTime(cluster.clock),
    )
    api = make_api(away, read_settings(ApiSettings, HORARIUM_API_PORT=0, api_key=KEY))
    api.server.start()
    try:
        assert ask(api, "/healthz", None)[0] == 200
        assert ask(api, "/readyz", None)[0] == 503
        status, said = ask(api, "/v1/pools/etl/demand")
        assert (status, set(said)) == (503, {"error"})
    finally:
        api.server.close()
        away.close()


def test_what_is_due_is_weighed_by_how_long_it_took_before(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    for number in range(20):
        cluster.job(acme, f"short-{number}", every(600, 0))
    cluster.claim()
    run_for(cluster, 0.5)
    cluster.job(acme, "new", every(600, 600))
    (found,) = demands.demand(cluster.store, within_s=700)
    # Twenty of half a second share two slots, and one that never ran has its own.
    assert (found.running, found.queued, found.due_soon, found.due_slots, found.slots) == (0, 0, 21, 3, 3)
    assert (found.causes[0].job, found.causes[0].expected_s, found.causes[0].slots) == ("new", None, 1.0)
    assert {(cause.expected_s, cause.slots, cause.tenant) for cause in found.causes[1:]} == {(0.5, 0.1, "acme")}
    assert demands.demand(cluster.store, within_s=500) == []


def test_a_tenants_firings_are_wanted_where_they_are_led(cluster: ManualCluster):
    acme, globex = cluster.tenant("acme"), cluster.tenant("globex")
    for tenant in (acme, globex):
        cluster.job(tenant, "now", every(3600, 0))
        cluster.job(tenant, "soon", every(3600, 100))
    cluster.claim()
    pools = cluster.store.pools
    assert pools.put("default", PoolSettings(), revision=0, by="ann", at=START)
    assert pools.move(acme.uid, away_from="default", to="etl", revision=1, by="ann", at=START)
    cluster.advance(2)
    found = {one.pool: (one.queued, one.due_soon) for one in demands.demand(cluster.store)}
    assert found == {"default": (2, 1), "etl": (0, 1)}, "what was handed over stays where it is until it is repeated"
    cluster.store.ledger(acme.place).hasten({"tenant": acme.uid}, at=cluster.clock.now())
    cluster.sweep()
    found = {one.pool: (one.queued, one.due_soon) for one in demands.demand(cluster.store)}
    assert found == {"default": (1, 1), "etl": (1, 1)}


def test_the_command_listens_where_it_is_told_and_stops_when_it_is_asked(mongo_url: str, database_name: str):
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "cluster", "api", "--host", "127.0.0.1", "--port", "0"],
        env={
            "PATH": os.environ["PATH"],
            "HORARIUM_MONGODB_URL": mongo_url,
            "HORARIUM_DATABASE": database_name,
            "HORARIUM_API_KEY": KEY,
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "the api is ready on 127.0.0.1:" in line)
        port = int(line.rpartition(":")[2])
        assert port not in (0, 8080)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/v1/pools/etl/demand", headers={"Authorization": f"Bearer {KEY}"})
        assert json.loads(connection.getresponse().read())["slots"] == 0
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(10)
        process.stderr.close()
