"""Fixtures of the tests that run a cluster of real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.live import LiveCluster


@pytest.fixture
def live(mongo_url: str, redis_db: str, database_name: str, tmp_path: Path) -> Iterator[LiveCluster]:
    """A cluster without processes yet."""
    with LiveCluster(mongo_url, redis_db, database_name, tmp_path) as made:
        yield made
