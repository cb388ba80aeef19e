"""Fixtures of the tests that step a cluster by hand."""

from collections.abc import Iterator

import pytest

from tests.support.manual import ManualCluster
from tests.support.victim import watched


@pytest.fixture
def cluster(mongo_url: str, database_name: str) -> Iterator[ManualCluster]:
    """A stepped cluster in a database of its own."""
    made = ManualCluster(mongo_url, database_name)
    yield made
    made.close()


@pytest.fixture
def world(cluster: ManualCluster) -> Iterator[ManualCluster]:
    """Two tenants, of which the test attacks one; the other must not notice."""
    yield from watched(cluster)
