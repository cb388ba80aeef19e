"""A worker's signs of life, and runs that lose their worker, their attempt, or MongoDB for a while."""

import os
import signal
from pathlib import Path

import pytest

from jobstore.members import Member
from tests.support.processes import is_running
from tests.support.waiting import eventually, never
from tests.workerside.bench import Bench
from tests.workerside.conftest import bench_of

pytestmark = pytest.mark.celery


def members(bench: Bench) -> list[Member]:
    return bench.store.workers.all()


def begun(place: Path) -> int:
    """The process in which the run has begun."""
    return int(eventually(lambda: (place / "begun").exists() and (place / "begun").read_text()))


def of(bench: Bench, pid: int) -> Member:
    # Its first sign of life may still be on its way when its first run has begun.
    (found,) = eventually(lambda: [member for member in members(bench) if member.details["pid"] == pid])
    return found


def test_every_process_has_a_document_that_says_what_it_can_run_and_leaves_with_it(bench: Bench):
    worker = bench.worker(concurrency=2, name="w")
    both = eventually(lambda: len(found := members(bench)) == 2 and found)
    for member in both:
        about = member.details
        assert member.id.startswith(f"w-{about['pid']}-")
        assert about["pools"] == [bench.pool]
        assert "shop.echo" in about["tasks"]
        assert not [name for name in about["tasks"] if name.startswith(("celery.", "horarium."))]
        assert about["functions"] == ["ask_again", "echo"]
        assert about["celery_pool"] == "prefork"
        assert about["runs"] == []
        assert about["host"]
        assert about["tzdata"]
        eventually(lambda member=member: of(bench, member.details["pid"]).counter >= member.counter + 2)
    assert len({member.boot for member in both}) == 2
    assert worker.terminate() == 0
    assert members(bench) == []


def test_a_clean_stop_lets_what_runs_come_to_its_end(bench: Bench, tmp_path: Path):
    worker = bench.worker(concurrency=1)
    id_ = bench.fire("shop.hold", str(tmp_path))
    begun(tmp_path)
    worker.process.send_signal(signal.SIGTERM)
    worker.await_line("Warm shutdown")
    (tmp_path / "go").touch()
    assert worker.wait() == 0
    assert bench.firing(id_).result == "held"
    assert members(bench) == []


def test_a_child_killed_in_mid_run_leaves_a_silent_document_and_no_second_start(bench: Bench, tmp_path: Path):
    worker = bench.worker(concurrency=2)
    id_ = bench.fire("shop.hold", str(tmp_path))
    pid = begun(tmp_path)
    before = bench.firing(id_)
    eventually(lambda: before.run_token in of(bench, pid).details["runs"])
    os.kill(pid, signal.SIGKILL)
    worker.await_line("WorkerLostError|signal 9")
    silent = of(bench, pid)
    # Another child takes its place and works; nobody requeues the message.
    assert bench.ended(bench.fire("shop.nothing")).state == "succeeded"
    never(lambda: bench.firing(id_) != before or of(bench, pid) != silent, during=1.0)
    assert worker.terminate() == 0
    assert [member.id for member in members(bench)] == [before.worker]


@pytest.mark.parametrize(
    ("celery_pool", "task"),
    [("prefork", "shop.hold"), ("prefork", "shop.block"), ("solo", "shop.block"), ("threads", "shop.hold")],
)
def test_code_whose_attempt_was_declared_dead_is_stopped(bench: Bench, tmp_path: Path, celery_pool: str, task: str):
    worker = bench.worker(concurrency=1, celery_pool=celery_pool)
    id_ = bench.fire(task, str(tmp_path))
    begun(tmp_path)
    now = bench.store.time.now()
    ledger = bench.store.ledger(bench.tenant.place)
    assert ledger.declare_dead(bench.firing(id_), retry_at=now, reason="worker_gone", at=now)
    ended = eventually(lambda: (tmp_path / "ended").exists() and (tmp_path / "ended").read_text())
    assert ended == "RunLost True"
    worker.await_line(f"WriteRefused step=finish subject={id_}")
    after = bench.firing(id_)
    assert (after.state, after.attempt, after.result) == ("pending", 2, None)
    assert bench.ended(bench.fire("shop.nothing")).state == "succeeded"  # the process lives and works


def test_a_result_that_comes_after_the_verdict_is_discarded(bench: Bench, tmp_path: Path):
    worker = bench.worker(concurrency=1, heartbeat=10)  # too slow to notice before the run ends
    id_ = bench.fire("shop.hold", str(tmp_path))
    begun(tmp_path)
    now = bench.store.time.now()
    ledger = bench.store.ledger(bench.tenant.place)
    assert ledger.declare_dead(bench.firing(id_), retry_at=None, reason="worker_gone", at=now)
    (tmp_path / "go").touch()
    worker.await_line(f"WriteRefused step=finish subject={id_}")
    after = bench.firing(id_)
    assert (after.state, after.reason, after.result) == ("lost", "worker_gone", None)


@pytest.mark.parametrize("point", ["begin.after", "run.after"])
def test_a_process_that_dies_between_two_steps_leaves_the_run_running(bench: Bench, point: str):
    worker = bench.worker(concurrency=1, crash_points=f"{point}=exit@1")
    id_ = bench.fire("shop.nothing")
    worker.await_line("WorkerLostError|exitcode 137")
    firing = bench.firing(id_)
    assert (firing.state, len(firing.attempts)) == ("running", 0)


def test_a_process_that_dies_after_its_finish_has_finished(bench: Bench):
    worker = bench.worker(concurrency=1, crash_points="finish.after=exit@1")
    id_ = bench.fire("shop.nothing")
    worker.await_line("WorkerLostError|exitcode 137")
    assert bench.firing(id_).state == "succeeded"


@pytest.mark.slow
def test_a_run_that_ends_while_mongodb_is_away_is_finished_when_it_is_back(redis_url: str, tmp_path: Path):
    from cluster.dev.mongod import EmbeddedMongo

    with EmbeddedMongo() as mongo:
        for bench in bench_of(mongo.url, redis_url):
            worker = bench.worker(concurrency=1)
            id_ = bench.fire("shop.hold", str(tmp_path))
            pid = begun(tmp_path)
            beats = of(bench, pid).counter
            mongo.kill()
            (tmp_path / "go").touch()
            worker.await_line("LoopFailed loop=heartbeat")
            assert (tmp_path / "ended").read_text() == "returned"
            mongo.restart()
            assert bench.await_state(id_, "succeeded", within=30).result == "held"
            assert eventually(lambda: of(bench, pid).counter > beats + 1), "the heartbeat goes on"  # noqa: B023
            assert is_running(pid)


@pytest.mark.slow
def test_nothing_begins_without_an_answer_from_mongodb(redis_url: str):
    from cluster.dev.mongod import EmbeddedMongo

    with EmbeddedMongo() as mongo:
        for bench in bench_of(mongo.url, redis_url):
            worker = bench.worker(concurrency=1)
            message = bench.record("shop.nothing")
            mongo.kill()
            bench.sender.send([message])
            worker.await_line(f"MessageDropped firing={message.firing} reason=unanswered")
            mongo.restart()
            eventually(lambda: bench.firing(message.firing).state == "dispatched")  # noqa: B023
            bench.sender.send([message])
            assert bench.ended(message.firing, within=30).state == "succeeded"
