"""The rows of the table, printed at the end; the long ones run with ``make chaos`` only."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults import CHAOS, FULL, SHORT, Row, Storm

_ROWS = pytest.StashKey[list[Row]]()
_WHY = "takes minutes at 100 firings a second: make chaos"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROWS] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/faults" not in str(item.path):
            continue
        item.add_marker(pytest.mark.servers)
        item.add_marker(pytest.mark.celery)
        item.add_marker(pytest.mark.slow)
        item.add_marker(pytest.mark.timeout(900 if CHAOS else 240))
        if item.get_closest_marker("chaos") and not CHAOS:
            item.add_marker(pytest.mark.skip(reason=_WHY))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows = config.stash[_ROWS]
    if rows:
        terminalreporter.section("what was done to the cluster, and whether the promise held")
        for row in rows:
            terminalreporter.write_line(row.text())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.when == "call":
        row = item.stash.get(_ROW, None)
        if row is not None:
            row.held = report.passed
    return report


_ROW = pytest.StashKey[Row]()


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """This test's line in the table; its seed is ``HORARIUM_TEST_SEED`` or drawn."""
    seed = int(os.environ.get("HORARIUM_TEST_SEED") or random.SystemRandom().randrange(100_000))
    made = Row(request.node.name.removeprefix("test_").replace("_", " "), seed)
    request.node.stash[_ROW] = made
    request.config.stash[_ROWS].append(made)
    return made


@pytest.fixture
def storm(row: Row, tmp_path: Path) -> Iterator[Callable[..., Storm]]:
    """Makes the cluster: ``storm(members=3)``; it is gone after the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            Storm(tmp_path, row, **({"scale": FULL if CHAOS else SHORT} | options))
        )
