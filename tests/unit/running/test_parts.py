"""The small parts: registry, context, settings, log lines, whose package this is."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import workers
from jobstore.errors import ConfigurationError
from jobstore.events import FiringFinished, MessageDropped
from workers.identity import check_packages, load_app
from workers.installation import pool_type
from workers.registry import Registry
from workers.settings import WorkerSettings
from workers.telemetry import line


def test_a_function_is_found_by_the_name_it_was_given():
    registry = Registry()

    @registry.register("reports.daily")
    def make() -> str:
        return "made"

    assert make() == "made"
    assert registry.get("reports.daily") is make
    assert registry.get("make") is None
    assert registry.names() == ["reports.daily"]


def test_two_functions_cannot_have_one_name_and_one_may_be_defined_again():
    registry = Registry()

    def one() -> None: ...
    def other() -> None: ...

    assert registry.register("n")(one) is one
    assert registry.register("n")(one) is one
    with pytest.raises(ConfigurationError, match=r"the name 'n' belongs to .*one; .*other needs another"):
        registry.register("n")(other)


@pytest.mark.parametrize("name", ["", "with space", "$where", "x" * 256, "-x", None])
def test_a_name_that_no_job_could_say_is_refused(name: str):
    with pytest.raises(ConfigurationError, match="cannot name a function"):
        Registry().register(name)


def test_there_is_no_firing_outside_of_one():
    with pytest.raises(LookupError, match="not called by a Horarium worker"):
        workers.current_firing()


def test_what_the_package_offers_is_what_it_says():
    for name in ("install", "register", "current_firing", "Retry", "RunLost", "FiringContext"):
        assert callable(getattr(workers, name))
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        _ = workers.nosuch


def test_importing_the_package_loads_neither_celery_nor_a_driver():
    script = "import sys, workers, workers.wire; print(sorted({'celery', 'pymongo', 'redis'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"


def test_settings_check_themselves():
    good = WorkerSettings(mongodb_url="mongodb://x")
    assert (good.database, good.pool, good.celery_pool, good.start_within_s) == ("horarium", "default", "prefork", 30)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"celery_pool": "gevent"}, "cannot run with the Celery pool 'gevent'; use prefork, threads, solo"),
        ({"concurrency": 0}, "a concurrency of at least 1"),
        ({"heartbeat_s": 30.0}, "the heartbeat must come at least every 10 s"),
        ({"pool": "No Such"}, "is not a valid pool"),
        ({"mongodb_url": ""}, "HORARIUM_MONGODB_URL is not set"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused_with_what_is_right(wrong: dict, words: str):
    with pytest.raises(ConfigurationError, match=words):
        WorkerSettings(**{"mongodb_url": "mongodb://x"} | wrong)


@pytest.mark.parametrize(
    ("pool", "found"),
    [
        ("prefork", "prefork"),
        ("processes", "prefork"),
        ("celery.concurrency.prefork:TaskPool", "prefork"),
        ("threads", "threads"),
        ("celery.concurrency.thread:TaskPool", "threads"),
        ("solo", "solo"),
    ],
)
def test_every_way_to_name_a_pool_is_understood(pool: str, found: str):
    assert pool_type(pool) == found


@pytest.mark.parametrize("pool", ["gevent", "eventlet", "custom", "my.pool:Pool", None])
def test_a_pool_in_which_runs_cannot_be_stopped_is_refused(pool: str | None):
    with pytest.raises(ConfigurationError, match="use prefork, threads, solo"):
        pool_type(pool)


def test_an_event_is_one_line_of_names_and_values():
    assert line(MessageDropped("acme:x", "forged")) == "MessageDropped firing=acme:x reason=forged"
    ended = FiringFinished("acme:x", 2, "succeeded", "", 0.25)
    assert line(ended) == "FiringFinished firing=acme:x attempt=2 state=succeeded reason='' seconds=0.25"
    assert line(MessageDropped("with space", "x")) == "MessageDropped firing='with space' reason=x"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with an application in it; what is imported from it is forgotten afterwards."""
    (tmp_path / "a_shop.py").write_text("from celery import Celery\napp = Celery('a_shop')\nother = 5\n")
    (tmp_path / "a_ruin.py").write_text("x = 1 / 0\n")
    (tmp_path / "a_clash.py").write_text("import workers.nosuch\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("a_shop", "a_ruin", "a_clash"):
        sys.modules.pop(name, None)


def test_the_users_application_is_found_in_the_directory_after_everything_installed(project: Path):
    assert load_app("a_shop:app", project).main == "a_shop"
    assert load_app("a_shop", project) is load_app("a_shop:app", project)
    assert sys.path[-1] == str(project)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a_nosuch:app", "importing a_nosuch failed: ModuleNotFoundError: No module named 'a_nosuch'"),
        ("a_shop:nosuch", "'nosuch' in a_shop has no such name"),
        ("a_shop:other", "'other' in a_shop is a int, not a Celery application"),
        ("a_ruin:app", r"importing a_ruin failed: ZeroDivisionError: division by zero at .*a_ruin.py:1"),
        ("/etc/passwd", "give it as package.module:variable"),
        ("", "give it as package.module:variable"),
    ],
)
def test_an_application_that_cannot_be_loaded_is_one_clear_sentence(project: Path, name: str, words: str):
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_app(name, project)
    assert "\n" not in str(caught.value)


def test_a_package_that_our_name_hides_is_named(project: Path):
    (project / "workers").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be imported, that name is Horarium's"):
        load_app("a_clash", project)


def test_packages_from_another_place_are_named(tmp_path: Path):
    check_packages()
    with pytest.raises(ConfigurationError, match=f"which is not Horarium's .{tmp_path / 'cluster'}"):
        check_packages(tmp_path)
