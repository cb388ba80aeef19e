"""A broker that is restarted, away, emptied, rewound, slow, or that takes messages and does not say so."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests.support.faults import Storm
from tests.support.proxy import Proxy


def broker(it: Storm) -> "redis.Redis":
    return redis.Redis.from_url(it.valkey.url, socket_timeout=5)


@pytest.mark.faults
def test_the_broker_is_emptied_again_and_again(storm: Callable[..., Storm]):
    it = storm()
    it.staff()
    it.load()

    def strike() -> None:
        with broker(it) as client:
            client.flushall()

    it.row.figures["flushes"] = it.while_running(strike, every=3.0)
    it.settle(within=240)
    it.verdict()


@pytest.mark.chaos
@pytest.mark.parametrize("persist", [False, True], ids=["forgets", "keeps its messages"])
def test_the_broker_is_killed_and_started_again(storm: Callable[..., Storm], persist: bool):
    it = storm(persist=persist)
    it.staff()
    it.load()

    def strike() -> None:
        it.valkey.kill()
        it.valkey.restart()

    it.row.figures["restarts"] = it.while_running(strike, every=5.0)
    it.settle(within=240)
    it.verdict()


@pytest.mark.chaos
def test_the_broker_is_away_for_a_minute(storm: Callable[..., Storm]):
    it = storm()
    it.staff()
    it.load()
    it.rest(5)
    it.valkey.kill()
    it.rest(60)
    it.valkey.restart()
    it.settle(within=240)
    it.verdict()


@pytest.mark.chaos
def test_the_broker_is_restored_from_an_older_snapshot(storm: Callable[..., Storm], tmp_path: Path):
    it = storm()
    it.staff()
    it.load()
    it.rest(10)
    with broker(it) as client:
        (directory,) = client.config_get("dir").values()
        where = Path(directory)
        client.save()
    shutil.copy(where / "dump.rdb", tmp_path / "older.rdb")
    it.rest(10)
    it.valkey.kill()
    shutil.copy(tmp_path / "older.rdb", where / "dump.rdb")
    it.valkey.restart()
    it.settle(within=240)
    it.verdict()


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("ambiguous", marks=pytest.mark.faults),
        pytest.param("blackhole", marks=pytest.mark.chaos),
        pytest.param("slow", marks=pytest.mark.chaos),
    ],
)
def test_one_node_publishes_through_a_bad_line(storm: Callable[..., Storm], mode: str):
    it = storm()
    with Proxy(("127.0.0.1", it.valkey.port)) as proxy:
        it.staff(nodes=1)
        it.supervisor.start([it.node("bad-line", {"HORARIUM_BROKER_URL": f"redis://127.0.0.1:{proxy.port}/0"})])
        proxy.mode = mode  # type: ignore[assignment]
        it.load()
        it.while_running(lambda: None, every=1.0)
        proxy.mode = "pass"
        it.settle(within=300)
    it.verdict()
    it.row.figures |= {"cut": proxy.cuts, "failed publishes": it.said("bad-line", "PublishFailed")}
    if mode == "ambiguous":
        assert proxy.cuts > 0, "publishes got in and raised"
