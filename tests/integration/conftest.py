"""Fixtures of the tests that step a cluster by hand."""

from collections.abc import Iterator

import pytest

from tests.support.manual import ManualCluster


@pytest.fixture
def cluster(mongo_url: str, database_name: str) -> Iterator[ManualCluster]:
    """A stepped cluster in a database of its own."""
    made = ManualCluster(mongo_url, database_name)
    yield made
    made.close()
