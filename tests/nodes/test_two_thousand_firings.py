"""Two nodes, three tenants, two thousand firings through real Celery workers; then the same with a node killed."""

from datetime import timedelta

import pytest

from tests.support.live import LiveCluster
from tests.support.waiting import eventually

pytestmark = [pytest.mark.celery, pytest.mark.slow, pytest.mark.timeout(240)]

TENANTS, JOBS, SECONDS = 3, 17, 20
OWED = TENANTS * JOBS * SECONDS * 2


def load(live: LiveCluster) -> None:
    """Three tenants whose jobs name about 100 instants a second for a while, and then no more."""
    start = live.store.time.now() + timedelta(seconds=2)
    end = start + timedelta(seconds=SECONDS, milliseconds=-1)
    every = {"every": "500ms", "start": start.isoformat(), "end": end.isoformat()}
    for name in ("acme", "globex", "initech")[:TENANTS]:
        tenant = live.tenant(name)
        for number in range(JOBS):
            live.job(tenant, f"tick-{number}", every, "noting.quick", max_instances=500)


@pytest.mark.parametrize("killed", [False, True], ids=["no-fault", "one-node-killed"])
def test_every_owed_instant_is_covered_once_and_begun_once(live: LiveCluster, killed: bool):
    live.supervisor.start([live.node("node-a"), live.node("node-b"), live.worker("worker-1", "--concurrency", "2")])
    load(live)
    if killed:
        eventually(lambda: live.finals() >= OWED / 4, within=60, that="a quarter of the firings")
        live.supervisor.kill("node-a")
    eventually(live.settled, within=120, that="every timetable has ended and nothing is open")
    findings = live.findings(quiet_for=0)
    assert findings == [], live.logs()
    firings = live.firings()
    assert {firing.state for firing in firings} == {"succeeded"}
    assert sum(firing.covers.count for firing in firings) == OWED
    begun = [(line["firing"], line["attempt"]) for line in live.lines() if line["event"] == "begin"]
    assert len(begun) == len(set(begun)) == len(firings)
