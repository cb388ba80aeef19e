"""A running firing that is asked to end, in real workers of every kind of pool."""

from pathlib import Path

import pytest

from tests.support.waiting import eventually
from tests.workerside.bench import Bench

pytestmark = pytest.mark.celery


def ask(bench: Bench, firing: str) -> None:
    ledger = bench.store.ledger(bench.tenant.place)
    assert ledger.request_cancel([firing], reason="cancel_asked", at=bench.store.time.now()) == {firing}


@pytest.mark.parametrize(
    ("celery_pool", "task"),
    [("prefork", "shop.hold"), ("prefork", "shop.block"), ("solo", "shop.block"), ("threads", "shop.hold")],
)
def test_code_that_runs_is_interrupted_once_and_the_firing_is_cancelled(
    bench: Bench, tmp_path: Path, celery_pool: str, task: str
):
    bench.worker(concurrency=1, celery_pool=celery_pool)
    id_ = bench.fire(task, str(tmp_path), retry={"max_attempts": 5})
    eventually((tmp_path / "begun").exists)
    ask(bench, id_)
    after = bench.await_state(id_, "cancelled")
    assert (after.reason, after.attempt, after.result) == ("cancel_asked", 1, None)
    assert (tmp_path / "ended").read_text() == "RunCancelled True"
    assert bench.ended(bench.fire("shop.nothing")).state == "succeeded"


def test_code_that_tidies_up_and_fails_is_cancelled_and_says_how(bench: Bench, tmp_path: Path):
    bench.worker(concurrency=1)
    id_ = bench.fire("shop.tidies", str(tmp_path), fails=True, retry={"max_attempts": 5})
    eventually((tmp_path / "begun").exists)
    ask(bench, id_)
    after = bench.await_state(id_, "cancelled")
    assert (after.reason, after.error.splitlines()[-1]) == ("cancel_asked", "OSError: the drawer jams")


def test_code_that_catches_it_and_returns_has_ended_by_itself(bench: Bench, tmp_path: Path):
    bench.worker(concurrency=1)
    id_ = bench.fire("shop.tidies", str(tmp_path), fails=False)
    eventually((tmp_path / "begun").exists)
    ask(bench, id_)
    assert bench.ended(id_).result == "tidied up"
