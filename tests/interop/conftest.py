"""APScheduler's own sources, an older APScheduler, and schedulers whose loop and executor a test turns by hand."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from apscheduler.events import EVENT_ALL

from jobstore import SharedMongoDBJobStore
from tests.interop import functions
from tests.interop.by_hand import HandTurned

_OLDER = "3.10.4"


@pytest.fixture(scope="session")
def upstream_sources() -> Path:
    """The unpacked source distribution of the installed APScheduler, with its tests."""
    release = f"apscheduler-{version('apscheduler')}"
    unpacked = _cache() / release
    if not unpacked.is_dir():
        loading = _cache() / f"{release}.{os.getpid()}"
        requirement = f"apscheduler=={version('apscheduler')}"
        _pip("download", "--no-deps", "--no-binary", "apscheduler", "--dest", str(loading), requirement)
        with tarfile.open(next(loading.glob("*.tar.gz"))) as archive:
            archive.extractall(loading, filter="data")
        _move(loading / release, unpacked)
        shutil.rmtree(loading)
    return unpacked


@pytest.fixture(scope="session")
def older_apscheduler() -> Path:
    """A folder to put on ``PYTHONPATH`` that holds APScheduler 3.10."""
    installed = _cache() / f"installed-{_OLDER}"
    if not installed.is_dir():
        loading = _cache() / f"installed-{_OLDER}.{os.getpid()}"
        _pip("install", "--target", str(loading), f"apscheduler=={_OLDER}")
        _move(loading, installed)
    return installed


def _cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "horarium-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _move(made: Path, to: Path) -> None:
    try:
        made.rename(to)
    except OSError:
        assert to.is_dir(), f"{made} could not be moved to {to}"  # another test process was quicker


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", *arguments[1:]]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if result.returncode != 0:
        said = f"the package index gave no {arguments[-1]}: {result.stderr.strip()[-300:]}"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)


@pytest.fixture(autouse=True)
def _forget() -> None:
    functions.noted.clear()
    functions.actions.clear()


@pytest.fixture
def hand_turned(mongo_client: Any, database_name: str) -> Iterator[Callable[..., HandTurned]]:
    """Makes started schedulers on one shared collection; every one stands for a process."""
    made: list[HandTurned] = []

    def make(**settings: Any) -> HandTurned:
        store = SharedMongoDBJobStore(database=database_name, client=mongo_client)
        for name, value in settings.items():
            setattr(store, name, value)
        scheduler = HandTurned(store)
        made.append(scheduler)
        scheduler.start()
        return scheduler

    yield make
    for scheduler in made:
        if scheduler.running:
            scheduler.shutdown()


@pytest.fixture
def shared(mongo_client: Any, database_name: str) -> Callable[..., Any]:
    """Makes a shared store in a collection of that name, on the one client of all."""

    def make(name: str = "jobs", **settings: Any) -> Any:
        store = SharedMongoDBJobStore(database=database_name, collection=name, client=mongo_client)
        store.lease_for = timedelta(seconds=0.5)
        for key, value in settings.items():
            setattr(store, key, value)
        return store

    return make


@pytest.fixture
def start_cluster(shared: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Starts cluster schedulers (or others); each notes its events in ``told``."""
    from cluster import ClusterScheduler
    from tests.interop import clustered

    clustered.calls.clear()
    with ExitStack() as stack:

        def make(kind: Any = ClusterScheduler, **options: Any) -> Any:
            options.setdefault("jobstores", {"default": shared()})
            paused = options.pop("paused", False)
            scheduler = kind(timezone=UTC, **options)
            scheduler.start_within_s = 0.5
            scheduler.told = []
            scheduler.add_listener(scheduler.told.append, EVENT_ALL)
            scheduler.start(paused=paused)
            stack.callback(lambda: scheduler.running and scheduler.shutdown())
            return scheduler

        yield make
        for gate in clustered.gates.values():
            gate.set()
    clustered.gates.clear()
