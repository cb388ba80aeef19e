"""SIGTERM on a busy worker: what runs may end in time, the rest is given back at once, nothing new begins."""

import signal
from pathlib import Path

import pytest

from cluster.operations import draining
from jobstore.errors import InvalidInput, NotFound
from tests.support.waiting import eventually
from tests.workerside.bench import Bench

pytestmark = pytest.mark.celery

KINDS = [("prefork", "shop.hold"), ("solo", "shop.block"), ("threads", "shop.hold")]


@pytest.mark.parametrize(("celery_pool", "task"), KINDS)
def test_a_run_longer_than_the_drain_is_given_back_at_once(bench: Bench, tmp_path: Path, celery_pool: str, task: str):
    worker = bench.worker(concurrency=1, celery_pool=celery_pool, drain_timeout_s=0.5)
    id_ = bench.fire(task, str(tmp_path))
    eventually((tmp_path / "begun").exists)
    worker.process.send_signal(signal.SIGTERM)
    after = bench.await_state(id_, "pending", within=15)
    assert (after.attempt, after.wait, after.attempts[0]["reason"]) == (2, "retry", "worker_stopped")
    assert (after.attend_at - after.attempts[0]["at"]).total_seconds() <= 0.1, "no lease and no delay is waited for"
    assert (tmp_path / "ended").read_text() == "RunStopped True"
    assert worker.wait() == 0
    assert bench.store.workers.all() == []
    bench.worker(concurrency=1)
    (tmp_path / "go").touch()
    if task == "shop.hold":
        bench.again(id_, 2)
        assert bench.await_state(id_, "succeeded").attempt == 2


@pytest.mark.parametrize(("celery_pool", "task"), KINDS[::2])
def test_a_run_that_ends_within_the_drain_keeps_its_result(bench: Bench, tmp_path: Path, celery_pool: str, task: str):
    worker = bench.worker(concurrency=1, celery_pool=celery_pool, drain_timeout_s=60)
    id_ = bench.fire(task, str(tmp_path))
    eventually((tmp_path / "begun").exists)
    worker.process.send_signal(signal.SIGTERM)
    worker.await_line("Warm shutdown")
    (tmp_path / "go").touch()
    assert worker.wait() == 0
    assert bench.firing(id_).result == "held"


def test_a_job_that_must_not_run_twice_fails_instead(bench: Bench, tmp_path: Path):
    worker = bench.worker(concurrency=1, drain_timeout_s=0)
    id_ = bench.fire("shop.hold", str(tmp_path), retry={"on_lost": "fail", "max_attempts": 5})
    eventually((tmp_path / "begun").exists)
    worker.process.send_signal(signal.SIGTERM)
    after = bench.await_state(id_, "failed", within=15)
    assert (after.reason, after.attempt) == ("worker_stopped", 1)
    assert worker.wait() == 0


@pytest.mark.slow
def test_code_that_heeds_nothing_is_given_back_and_its_process_ends(bench: Bench, tmp_path: Path):
    worker = bench.worker(concurrency=1, drain_timeout_s=0)
    id_ = bench.fire("shop.stubborn", str(tmp_path))
    eventually((tmp_path / "begun").exists)
    worker.process.send_signal(signal.SIGTERM)
    after = bench.await_state(id_, "pending", within=25)
    assert (after.attempt, after.attempts[0]["reason"]) == (2, "worker_stopped")
    worker.wait(within=20)


@pytest.mark.parametrize("celery_pool", ["prefork", "threads"])
def test_a_worker_that_is_asked_to_drain_stops_and_another_pools_goes_on(bench: Bench, celery_pool: str):
    worker = bench.worker(concurrency=2, celery_pool=celery_pool, name="asked")
    other = bench.worker(concurrency=1, pool="other", name="other")
    eventually(lambda: len(bench.store.workers.all()) == (3 if celery_pool == "prefork" else 2))
    result = draining.drain(bench.store, pool=bench.pool, wait_s=20)
    assert (result.asked, result.left) == (2 if celery_pool == "prefork" else 1, ())
    assert worker.wait() == 0
    assert other.process.poll() is None
    with pytest.raises(NotFound):
        draining.drain(bench.store, ["asked-"])
    with pytest.raises(InvalidInput, match="say which workers"):
        draining.drain(bench.store)
