"""Servers, fresh names on them, and a clean environment for every test."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    import pymongo
    import redis

# Before anything reads it: a developer's own settings must not decide what the tests see.
for _name in [name for name in os.environ if name.startswith("HORARIUM_") and not name.startswith("HORARIUM_TEST_")]:
    del os.environ[_name]

from tests.support.servers import mongo_source, valkey_source  # noqa: E402

_SERVER_FIXTURES = {"mongo_url", "redis_url"}


def pytest_report_header() -> list[str]:
    """Say which servers the tests will run against."""
    return [f"mongodb: {mongo_source().said}; valkey: {valkey_source().said}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses a server, so that ``-m "not servers"`` leaves it out."""
    for item in items:
        if _SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    """The URL of a MongoDB replica set that takes writes."""
    with ExitStack() as stack:
        yield mongo_source().start(stack)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a Valkey server, database 0."""
    with ExitStack() as stack:
        yield valkey_source().start(stack)


@pytest.fixture(scope="session")
def _mongo_session(mongo_url: str) -> "Iterator[pymongo.MongoClient[dict[str, Any]]]":
    import pymongo

    with pymongo.MongoClient(
        mongo_url,
        w="majority",
        tz_aware=True,
        serverSelectionTimeoutMS=5000,
        connectTimeoutMS=5000,
        socketTimeoutMS=20000,
    ) as client:
        yield client


@pytest.fixture
def mongo_client(_mongo_session: "pymongo.MongoClient[dict[str, Any]]") -> "pymongo.MongoClient[dict[str, Any]]":
    """A client with majority writes, short timeouts and aware times; shared by all tests: do not close it."""
    return _mongo_session


@pytest.fixture
def database_name(request: pytest.FixtureRequest, mongo_client: "pymongo.MongoClient[dict[str, Any]]") -> Iterator[str]:
    """The name of a database that nobody used before, dropped afterwards."""
    name = f"t{os.getpid()}_{_count(request.config)}"
    mongo_client.drop_database(name)
    yield name
    mongo_client.drop_database(name)


@pytest.fixture
def database(database_name: str, mongo_client: "pymongo.MongoClient[dict[str, Any]]") -> Any:
    """The database of that name."""
    return mongo_client[database_name]


@pytest.fixture
def redis_prefix(request: pytest.FixtureRequest) -> str:
    """A key and queue prefix that no other test uses."""
    return f"t{os.getpid()}-{_count(request.config)}-"


@pytest.fixture
def redis_db(redis_url: str) -> Iterator[str]:
    """The URL of a database on the broker that is empty, and emptied afterwards."""
    url = urlsplit(redis_url)._replace(path=f"/{_SCRATCH_DB}").geturl()
    with _redis(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture
def redis_client(redis_db: str) -> "Iterator[redis.Redis]":
    """A client of the database of ``redis_db``."""
    with _redis(redis_db) as client:
        yield client


_SCRATCH_DB = 1
_counter = pytest.StashKey[int]()


def _count(config: pytest.Config) -> int:
    number = config.stash.get(_counter, 0) + 1
    config.stash[_counter] = number
    return number


def _redis(url: str) -> "redis.Redis":
    import redis

    return redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5, decode_responses=True)
