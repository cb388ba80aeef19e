"""A bench for every test, and workers that are shared by the tests of one module."""

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pymongo
import pytest
import redis

from tests.workerside.bench import Bench

_NUMBERS = iter(range(1, 1000))


@pytest.fixture(autouse=True)
def _marked(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("celery"), "tests of this folder start workers: mark them"


def bench_of(mongo_url: str, redis_url: str) -> Iterator[Bench]:
    """Yield a bench in a database and on a queue of its own."""
    number = next(_NUMBERS)
    database = f"w{os.getpid()}_{number}"
    broker = urlsplit(redis_url)._replace(path="/2").geturl()
    made = Bench(mongo_url, broker, database, pool=f"p{number}")
    yield made
    made.close()
    with pymongo.MongoClient(mongo_url) as client:
        client.drop_database(database)
    with redis.Redis.from_url(broker) as broker_client:
        broker_client.flushdb()


@pytest.fixture
def bench(mongo_url: str, redis_url: str) -> Iterator[Bench]:
    """A bench without a worker."""
    yield from bench_of(mongo_url, redis_url)


@pytest.fixture(scope="module")
def prefork(mongo_url: str, redis_url: str) -> Iterator[Bench]:
    """A bench with a running worker of two processes, for all tests of a module."""
    for made in bench_of(mongo_url, redis_url):
        made.worker(celery_pool="prefork", concurrency=2, name="pre")
        yield made


@pytest.fixture(scope="module", params=["prefork", "threads", "solo"])
def every_pool(request: Any, mongo_url: str, redis_url: str) -> Iterator[Bench]:
    """The same with each kind of pool in turn."""
    for made in bench_of(mongo_url, redis_url):
        made.worker(celery_pool=request.param, concurrency=1 if request.param == "solo" else 2, name=request.param)
        yield made
