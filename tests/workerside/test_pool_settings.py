"""``horarium worker --pool``: a real worker is as its pool says."""

import sys

import pytest

from jobstore.pools import PoolSettings
from tests.support.waiting import eventually
from tests.workerside.bench import PROJECT, Bench, WorkerProcess

pytestmark = pytest.mark.celery


def put(bench: Bench, **settings: object) -> None:
    said = PoolSettings.model_validate(settings)
    assert bench.store.pools.put(bench.pool, said, revision=0, by="ann", at=bench.store.time.now())


def command(bench: Bench, *options: str) -> WorkerProcess:
    environment = {
        "HORARIUM_MONGODB_URL": bench.mongo_url,
        "HORARIUM_DATABASE": bench.database,
        "HORARIUM_BROKER_URL": bench.broker_url,
    }
    words = (sys.executable, "-m", "cluster", "worker", "--pool", bench.pool, "--app", "shop:app", *options)
    process = WorkerProcess(environment, directory=PROJECT, command=words)
    bench.processes.append(process)
    return process


def test_a_worker_takes_kind_and_concurrency_of_its_pool_and_serves_its_queues(bench: Bench):
    put(bench, celery_pool="threads", concurrency=3, queues=["spare"])
    worker = command(bench)
    worker.await_line(rf"is ready: pool {bench.pool}, threads, 3 at a time")
    (member,) = eventually(bench.store.workers.all)
    assert sorted(member.details["pools"]) == sorted([bench.pool, "spare"])
    bench.pool = "spare"
    assert bench.ended(bench.fire("shop.nothing")).state == "succeeded"


def test_what_is_said_to_the_worker_itself_goes_before_its_pool(bench: Bench):
    put(bench, celery_pool="threads", concurrency=3)
    command(bench, "--concurrency", "1").await_line(r"threads, 1 at a time")


def test_the_pools_limits_count_for_jobs_without_one_and_cap_the_others(bench: Bench):
    put(bench, time_limit_s=0.3, max_time_limit_s=0.6)
    bench.worker(concurrency=1)
    for given in (None, 30.0):
        firing = bench.ended(bench.fire("shop.slow", 20.0, time_limit_s=given))
        assert (firing.state, firing.reason) == ("failed", "time_limit")
    assert bench.ended(bench.fire("shop.slow", 0.4, time_limit_s=0.55)).state == "succeeded"
