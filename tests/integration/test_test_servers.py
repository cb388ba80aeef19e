"""The fixtures that every other test stands on: they must give real servers, and fresh names on them."""

import os
import threading
from datetime import timedelta
from typing import Any

import pymongo
import pytest
import redis

from tests.support import servers
from tests.support.clocks import FakeClock
from tests.support.waiting import eventually, never

_seen: list[str] = []


def test_the_mongo_of_the_tests_is_a_replica_set_with_transactions(
    mongo_client: "pymongo.MongoClient[dict[str, Any]]", database_name: str
) -> None:
    things = mongo_client[database_name].things
    things.insert_one({"_id": 1})
    with mongo_client.start_session() as session, session.start_transaction():
        things.insert_one({"_id": 2}, session=session)
    assert things.count_documents({}) == 2
    assert mongo_client.admin.command("hello")["isWritablePrimary"]


@pytest.mark.parametrize("time", ["first", "second"])
def test_every_test_has_an_empty_database_and_the_one_before_is_dropped(
    mongo_client: "pymongo.MongoClient[dict[str, Any]]", database_name: str, time: str
) -> None:
    assert database_name not in mongo_client.list_database_names()
    assert database_name not in _seen
    mongo_client[database_name].things.insert_one({"_id": time})
    assert not set(_seen) & set(mongo_client.list_database_names())
    _seen.append(database_name)


@pytest.mark.parametrize("time", ["first", "second"])
def test_every_test_has_an_empty_broker(redis_client: redis.Redis, redis_db: str, time: str) -> None:
    assert redis_client.dbsize() == 0
    redis_client.lpush("queue", time)
    with redis.Redis.from_url(redis_db) as other:
        assert other.llen("queue") == 1
    assert redis_client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_tests_with_servers_are_marked(request: pytest.FixtureRequest, mongo_url: str) -> None:
    assert request.node.get_closest_marker("servers")


def test_tests_without_servers_are_not_marked_and_see_no_settings(request: pytest.FixtureRequest) -> None:
    assert not request.node.get_closest_marker("servers")
    assert not [name for name in os.environ if name.startswith("HORARIUM_") and not name.startswith("HORARIUM_TEST_")]


def test_a_url_from_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HORARIUM_TEST_MONGO_URL", "mongodb://user:secret@example.org/?replicaSet=rs0")
    source = servers.mongo_source()
    assert source.kind == "url"
    assert "example.org" in source.said
    assert "secret" not in source.said


def test_no_engine_behind_the_socket_means_embedded_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("HORARIUM_TEST_REDIS_URL", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    servers.docker_answers.cache_clear()
    try:
        assert servers.valkey_source().kind == "embedded"
    finally:
        servers.docker_answers.cache_clear()


def test_eventually_returns_what_it_waited_for_and_fails_when_it_never_comes() -> None:
    values = iter([0, None, "here"])
    assert eventually(lambda: next(values)) == "here"
    with pytest.raises(AssertionError, match="the moon rises"):
        eventually(lambda: False, within=0.05, that="the moon rises")
    with pytest.raises(AssertionError, match="it happened"):
        never(lambda: True, during=0.05)


def test_the_fake_clock_stands_still_until_it_is_moved_and_then_wakes_who_waited_long_enough() -> None:
    clock = FakeClock()
    before = clock.now(), clock.monotonic()
    woken: list[str] = []

    def wait(name: str, seconds: float) -> None:
        assert not clock.wait(threading.Event(), seconds)
        woken.append(name)

    threads = [threading.Thread(target=wait, args=args) for args in (("short", 5), ("long", 60))]
    for thread in threads:
        thread.start()
    clock.await_waiters(2)
    assert (clock.now(), clock.monotonic()) == before
    clock.advance(5)
    threads[0].join(timeout=5)
    assert woken == ["short"]
    clock.advance(timedelta(seconds=55))
    threads[1].join(timeout=5)
    assert woken == ["short", "long"]
    clock.step(-300)
    assert clock.now() == before[0] - timedelta(seconds=240)
    assert clock.monotonic() == before[1] + 60


def test_a_wait_on_the_fake_clock_ends_when_the_event_is_set() -> None:
    clock, wake = FakeClock(), threading.Event()
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(clock.wait(wake, 1000)))
    thread.start()
    clock.await_waiters()
    wake.set()
    thread.join(timeout=5)
    assert answers == [True]
