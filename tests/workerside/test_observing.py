"""A worker's port: alive, ready, and counts that are right whichever process did the work."""

import http.client
import os
import signal
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster.dev.valkey import EmbeddedValkey
from tests.support.waiting import eventually, never
from tests.workerside.bench import Bench

pytestmark = pytest.mark.celery


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Asked:
    """A watched worker and its port."""

    def __init__(self, bench: Bench, **settings: object) -> None:
        self.port = free_port()
        self.worker = bench.worker(app="watched:app", watched_port=self.port, **settings)

    def status(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    def samples(self) -> dict[str, float]:
        """Return the counters by name and labels."""
        found = {}
        for family in text_string_to_metric_families(self.status("/metrics")[1]):
            for sample in family.samples:
                if sample.name.startswith("horarium_"):
                    found[" ".join([sample.name, *sample.labels.values()])] = sample.value
        return found

    def await_count(self, name: str, count: float) -> None:
        eventually(lambda: self.samples().get(name) == count, that=f"{name} = {count}")


@pytest.mark.parametrize("celery_pool", ["prefork", "threads", "solo"])
def test_every_process_of_a_worker_counts_and_the_port_tells_the_sum(bench: Bench, celery_pool: str):
    asked = Asked(bench, celery_pool=celery_pool, concurrency=1 if celery_pool == "solo" else 2)
    for _ in range(6):
        bench.fire("shop.echo")
    failed = bench.fire("shop.boom")
    bench.ended(failed)
    asked.await_count("horarium_firings_total succeeded none", 6)
    asked.await_count("horarium_firings_total failed raised", 1)
    assert asked.samples()["horarium_runs_begun_total"] == 7
    assert asked.samples()["horarium_run_seconds_total"] > 0
    assert asked.status("/healthz")[0] == 200
    eventually(lambda: asked.status("/readyz")[0] == 200)
    assert asked.worker.terminate() == 0


def test_a_killed_process_takes_no_count_with_it(bench: Bench):
    asked = Asked(bench, celery_pool="prefork", concurrency=2)
    for _ in range(4):
        bench.fire("shop.echo")
    asked.await_count("horarium_firings_total succeeded none", 4)
    for member in bench.store.workers.all():
        os.kill(member.details["pid"], signal.SIGKILL)
    bench.ended(bench.fire("shop.echo"))
    asked.await_count("horarium_firings_total succeeded none", 5)


def test_a_worker_whose_broker_is_away_is_alive_and_not_ready(bench: Bench):
    with EmbeddedValkey() as broker:
        bench.use_broker(broker.url)
        asked = Asked(bench, celery_pool="prefork", concurrency=1)
        eventually(lambda: asked.status("/readyz")[0] == 200)
        broker.kill()
        eventually(lambda: asked.status("/readyz") == (503, "not connected to the broker\n"))
        assert asked.status("/healthz")[0] == 200
        broker.restart()
        eventually(lambda: asked.status("/readyz")[0] == 200, within=30)
        assert bench.ended(bench.fire("shop.nothing"), within=30).state == "succeeded"


def test_a_worker_that_drains_is_not_ready_and_stays_alive(bench: Bench, tmp_path: Path):
    asked = Asked(bench, celery_pool="prefork", concurrency=1)
    eventually(lambda: asked.status("/readyz")[0] == 200)
    bench.fire("shop.hold", str(tmp_path))
    eventually((tmp_path / "begun").exists)
    asked.worker.process.send_signal(signal.SIGTERM)
    eventually(lambda: asked.status("/readyz")[0] == 503)
    never(lambda: asked.status("/healthz")[0] != 200)
    (tmp_path / "go").touch()
    assert asked.worker.wait() == 0
