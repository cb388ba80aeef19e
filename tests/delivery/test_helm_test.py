"""What ``helm test`` runs in the cluster, run here against a real node and a real worker."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.helm import CHART
from tests.workerside.bench import WorkerProcess

pytestmark = [pytest.mark.celery, pytest.mark.servers]

BIN = Path(sys.executable).parent
SHOP = Path(__file__).parents[1] / "workerside" / "project"


@pytest.fixture
def environment(mongo_url: str, redis_db: str, database_name: str) -> dict[str, str]:
    return {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HORARIUM_MONGODB_URL": mongo_url,
        "HORARIUM_BROKER_URL": redis_db,
        "HORARIUM_DATABASE": database_name,
    }


@pytest.fixture
def cluster(environment: dict[str, str]) -> Iterator[None]:
    """A node and a worker of the pool ``etl``, as the chart starts them."""
    node = WorkerProcess(environment | {"HORARIUM_HTTP_PORT": "0"}, command=("horarium", "node", "--name", "n"))
    worker = WorkerProcess(
        environment | {"HORARIUM_APP": "shop:app"},
        directory=SHOP,
        command=("horarium", "worker", "--pool", "etl", "--concurrency", "1"),
    )
    try:
        node.await_line("is ready")
        worker.await_line("is ready")
        yield
    finally:
        for process in (worker, node):
            process.kill()


def helm_test(environment: dict[str, str], seconds: int, pools: str, task: str = "") -> tuple[int, str]:
    command = [sys.executable, str(CHART / "files" / "test.py"), str(seconds), pools, task]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_a_pool_that_works_passes_and_one_without_workers_does_not(environment: dict[str, str], cluster: None):
    found, said = helm_test(environment, 3, "etl,nobody")
    assert "pool-etl: has workers; name a task in tests.task to see one run" in said.splitlines()
    assert "pool-nobody: no worker in time" in said.splitlines()
    assert found == 1
    for task, code, line in (("shop.nothing", 0, "pool-etl: succeeded"), ("shop.boom", 1, "pool-etl: failed raised")):
        found, said = helm_test(environment, 30, "etl", task)
        assert line in [one.rstrip() for one in said.splitlines()], said
        assert found == code, said
