"""MongoDB or the broker is not there: at the start a clear sentence and an exit code, in the middle patience."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from cluster.dev.mongod import EmbeddedMongo
from cluster.dev.valkey import EmbeddedValkey
from tests.support.live import ROOT, LiveCluster
from tests.support.waiting import eventually

pytestmark = [pytest.mark.celery, pytest.mark.slow, pytest.mark.servers, pytest.mark.timeout(240)]

NOWHERE = "127.0.0.1:9"


def start(*words: str, mongo: str, broker: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "HORARIUM_MONGODB_URL": mongo,
        "HORARIUM_BROKER_URL": broker,
        "HORARIUM_APP": "tests.support.noting_app:app",
        "HORARIUM_START_WITHIN": "2",
        "HORARIUM_HTTP_PORT": "0",
    }
    command = [sys.executable, "-P", "-m", "cluster", *words]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "words", [("node", "--name", "n"), ("worker",), ("tenant", "list")], ids=["node", "worker", "command"]
)
def test_without_mongodb_a_process_says_so_and_ends(redis_url: str, words: tuple[str, ...]):
    ended = start(*words, mongo=f"mongodb://{NOWHERE}", broker=redis_url)
    assert ended.returncode == 6
    assert "MongoDB did not answer" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("words", [("node", "--name", "n"), ("worker",)], ids=["node", "worker"])
def test_without_a_broker_a_process_says_so_and_ends(mongo_url: str, words: tuple[str, ...]):
    ended = start(*words, mongo=mongo_url, broker=f"redis://{NOWHERE}/0")
    assert ended.returncode == 6
    assert "broker" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_servers_that_go_and_come_back_cost_no_firing(tmp_path: Path):
    """MongoDB is killed and started again, then the broker, without its data; every instant is covered and run once."""
    with (
        EmbeddedMongo(directory=tmp_path / "mongo") as mongo,
        EmbeddedValkey() as valkey,
        LiveCluster(mongo.url, valkey.url, "away", tmp_path) as live,
    ):
        live.supervisor.start([live.node("node-a"), live.worker("worker-1", "--concurrency", "2")])
        start = live.store.time.now() + timedelta(seconds=1)
        end = start + timedelta(seconds=30)
        acme = live.tenant("acme")
        for number in range(4):
            every = {"every": "1s", "start": start.isoformat(), "end": end.isoformat()}
            live.job(acme, f"tick-{number}", every, "noting.quick", max_instances=50)
        eventually(lambda: live.finals() >= 12, within=30, that="it runs")
        mongo.kill()
        mongo.restart()
        mongo.await_primary()
        seen = live.finals()
        eventually(lambda: live.finals() >= seen + 12, within=60, that="it goes on after MongoDB was away")
        valkey.restart()
        eventually(live.settled, within=100, that="every timetable has ended and nothing is open")
        assert live.findings(quiet_for=0) == [], live.logs()
        assert {firing.state for firing in live.firings()} == {"succeeded"}
