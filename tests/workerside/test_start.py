"""How a worker starts, and in which words it does not; brokers that go away; workers that users start themselves."""

import sys
from pathlib import Path

import pytest

from cluster.dev.valkey import EmbeddedValkey
from tests.support.processes import group_of
from tests.support.waiting import eventually
from tests.workerside.bench import PROJECT, Bench, WorkerProcess

pytestmark = pytest.mark.celery

NOWHERE = "127.0.0.1:9"


def refused(bench: Bench, **settings: object) -> str:
    """Start a worker that must give up; return its last line."""
    worker = bench.worker(ready=False, **settings)
    code = worker.wait()
    return f"{code}: {worker.lines[-1]}"


def test_it_says_in_one_line_that_it_is_ready(bench: Bench):
    worker = bench.worker(name="w1", concurrency=3, celery_pool="threads")
    (line,) = [line for line in worker.lines if "ready" in line and line.startswith("horarium")]
    assert line == (f"horarium worker w1 is ready: pool {bench.pool}, threads, 3 at a time, pid {worker.process.pid}")
    assert worker.terminate() == 0
    assert not group_of(worker.process.pid)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"app": "nosuch.module:app"}, "importing nosuch.module failed: ModuleNotFoundError: No module named 'nosuch'"),
        ({"concurrency": "many"}, "is not a number"),
        ({"mongodb_url": "http://x"}, "the MongoDB URL cannot be used"),
        ({"broker_url": "", "app": ""}, "HORARIUM_BROKER_URL is not set"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_used_is_one_clear_sentence(bench: Bench, settings: dict, words: str):
    said = refused(bench, **settings)
    assert said.startswith("2: ")
    assert words in said


@pytest.mark.parametrize(
    ("setting", "url", "words"),
    [
        ("mongodb_url", f"mongodb://{NOWHERE}/?replicaSet=rs0", "MongoDB did not answer"),
        ("broker_url", f"redis://{NOWHERE}/0", f"the broker at {NOWHERE} does not answer"),
        ("broker_url", f"amqp://{NOWHERE}//", f"the broker at {NOWHERE} does not answer"),
    ],
    ids=str,
)
def test_a_server_that_is_not_there_is_waited_for_and_then_given_up(bench: Bench, setting: str, url: str, words: str):
    worker = bench.worker(ready=False, **{setting: url, "start_within": "5.5"})
    worker.await_line("trying again for")
    assert worker.wait() == 6
    assert words in worker.lines[-1]


def test_a_broker_that_comes_late_is_found(bench: Bench):
    with EmbeddedValkey() as broker:
        broker.kill()
        worker = bench.worker(ready=False, broker_url=broker.url)
        worker.await_line("trying again for")
        broker.restart()
        worker.await_line("is ready")


def test_a_broker_that_goes_away_in_the_middle_is_reconnected(bench: Bench, tmp_path: Path):
    with EmbeddedValkey() as broker:
        bench.use_broker(broker.url)
        worker = bench.worker(concurrency=2)
        held = bench.fire("shop.hold", str(tmp_path))
        eventually((tmp_path / "begun").exists)
        broker.kill()
        worker.await_line("Connection to broker lost")
        broker.restart()
        worker.await_line("Connected to redis")
        assert bench.ended(bench.fire("shop.nothing"), within=30).state == "succeeded"
        (tmp_path / "go").touch()
        firing = bench.ended(held)
        assert (firing.state, firing.attempt, firing.result) == ("succeeded", 1, "held")


def stock(bench: Bench, *options: str, **environment: str) -> WorkerProcess:
    """Start ``celery -A shop worker`` as a user would."""
    command = (sys.executable, "-m", "celery", "-A", "shop", "worker", "--loglevel", "INFO", *options)
    worker = WorkerProcess(
        {"SHOP_BROKER_URL": bench.broker_url, "PYTHONPATH": str(PROJECT), **environment}, command=command
    )
    bench.processes.append(worker)
    return worker


def given(bench: Bench) -> dict[str, str]:
    return {"HORARIUM_MONGODB_URL": bench.mongo_url, "HORARIUM_DATABASE": bench.database}


@pytest.mark.parametrize("celery_pool", ["prefork", "threads", "solo"])
def test_a_worker_that_the_user_starts_runs_firings(bench: Bench, celery_pool: str):
    worker = stock(bench, "-P", celery_pool, "-c", "2", "-Q", f"horarium.{bench.pool}", **given(bench))
    firing = bench.ended(bench.fire("shop.echo"), within=40)
    assert firing.state == "succeeded"
    (member, *_) = bench.store.workers.all()
    assert (member.details["celery_pool"], member.details["pools"]) == (celery_pool, [bench.pool])
    assert worker.terminate() == 0
    assert bench.store.workers.all() == []


def test_a_worker_of_other_queues_needs_nothing_of_ours(bench: Bench):
    worker = stock(bench, "-P", "solo", "-Q", "celery")
    worker.await_line("ready")
    assert worker.terminate() == 0
    assert "HORARIUM" not in worker.text()


def test_a_worker_of_our_queue_without_our_settings_stops_with_a_sentence(bench: Bench):
    worker = stock(bench, "-P", "prefork", "-Q", f"horarium.{bench.pool}")
    assert worker.wait() == 2
    assert "HORARIUM_MONGODB_URL is not set" in worker.text()


def test_nothing_in_the_current_directory_takes_the_place_of_what_is_installed(bench: Bench, tmp_path: Path):
    (tmp_path / "redis.py").write_text("raise SystemExit('this is not the redis you want')")
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "__init__.py").write_text("raise SystemExit('these are not the workers you want')")
    (tmp_path / "mine.py").write_text(
        "from celery import Celery\nimport workers\napp = Celery()\nworkers.install(app)\n"
    )
    worker = WorkerProcess(
        given(bench) | {"HORARIUM_BROKER_URL": bench.broker_url, "HORARIUM_APP": "mine:app"}, directory=tmp_path
    )
    bench.processes.append(worker)
    worker.await_line("is ready")


def test_a_package_of_the_same_name_is_refused(bench: Bench, tmp_path: Path):
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "__init__.py").touch()
    environment = given(bench) | {"HORARIUM_BROKER_URL": bench.broker_url, "PYTHONPATH": str(tmp_path)}
    worker = WorkerProcess(environment, directory=tmp_path)
    bench.processes.append(worker)
    assert worker.wait() == 2
    assert f"Python finds the package 'cluster' at {tmp_path / 'cluster' / '__init__.py'}" in worker.lines[-1]
