"""Fixtures of the simulation."""

from collections.abc import Iterator

import pytest

from tests.support.simulation import silence
from tests.support.simulation_setup import Server


@pytest.fixture
def server(mongo_url: str, database_name: str) -> Iterator[Server]:
    """A mongod for schedules, with empty collections."""
    silence()
    made = Server(mongo_url, database_name)
    yield made
    made.close()
