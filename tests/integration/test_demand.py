"""What pools want, and a whole node's port, on a real MongoDB."""

import http.client
from datetime import timedelta

from cluster.observing import Port, observe
from jobstore.demand import Demand, read_demand
from jobstore.runs import Outcome
from tests.support.manual import START, ManualCluster


def every(seconds: int, first: float) -> dict[str, str]:
    return {"every": f"{seconds}s", "start": (START + timedelta(seconds=first)).isoformat()}


def wanted(cluster: ManualCluster, horizon: float = 30) -> dict[str, Demand]:
    return {one.pool: one for one in read_demand(cluster.store, horizon=timedelta(seconds=horizon))}


def test_running_queued_and_due_firings_want_slots_in_their_own_pool(cluster: ManualCluster):
    acme, globex = cluster.tenant("acme"), cluster.tenant("globex")
    for number in range(3):
        cluster.job(acme, f"now-{number}", every(3600, 0), pool="etl")
    cluster.job(globex, "now", every(3600, 0))
    cluster.claim()
    assert cluster.begin(cluster.broker.messages[0]) is not None
    cluster.job(acme, "soon", every(3600, 20), pool="etl")
    cluster.job(globex, "soon", every(3600, 29), pool="etl")
    cluster.job(globex, "late", every(3600, 31), pool="etl")
    cluster.advance(4)
    found = wanted(cluster, horizon=26)
    assert found["etl"].running + found["default"].running == 1
    assert found["etl"].running + found["etl"].queued == 3
    assert found["etl"].due_soon == 2
    assert found["etl"].slots == 5
    assert found["etl"].oldest_age_s == 4.0


def test_a_firing_that_runs_keeps_its_pool_from_looking_idle(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "long", every(3600, 0))
    cluster.claim()
    (message,) = cluster.broker.messages
    firing = cluster.begin(message)
    assert firing is not None
    cluster.advance(600)
    assert wanted(cluster)["default"].slots == 1
    cluster.finish(firing, Outcome(state="succeeded"))
    assert wanted(cluster) == {}


def test_a_paused_job_and_a_job_under_a_claim_are_not_due(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", every(10, 0))
    cluster.node()
    keys = cluster.node().claiming.claims.look(acme.place, budget=5).due
    cluster.node().claiming.claims.claim(acme.place, keys, owner="node-a")
    assert wanted(cluster) == {}


def test_a_node_tells_lateness_demand_and_readiness_on_its_port(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", every(60, 0))
    node = cluster.node()
    observed = observe(node, Port(port=0, tenants=("acme",)))
    try:
        assert ask(observed.server.port, "/readyz")[0] == 503
        cluster.advance(3)
        node.loops["claim"].round()
        assert ask(observed.server.port, "/readyz")[0] == 200
        status, text = ask(observed.server.port, "/metrics")
    finally:
        observed.close()
    lines = text.splitlines()
    assert status == 200
    assert "horarium_claims_total 1.0" in lines
    assert "horarium_firing_lateness_seconds_sum 3.0" in lines
    assert 'horarium_tenant_lateness_seconds_count{tenant="acme"} 1.0' in lines
    assert 'horarium_pool_slots{kind="queued",pool="default"} 1.0' in lines
    assert "horarium_backlog 1.0" in lines


def ask(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body
