"""The examples do what they say, without any server."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from jobstore.noted import NOTHING
from workers import Retry
from workers.context import FiringContext, Span, running
from workers.notebook import Notebook

EXAMPLES = Path(__file__).parents[3] / "examples"
AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def demo() -> Iterator[Any]:
    spec = spec_from_file_location("demo_app", EXAMPLES / "demo_app.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["demo_app"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["demo_app"]


@contextmanager
def firing(fence: int = 1, attempt: int = 1) -> Iterator[None]:
    context = FiringContext(
        tenant="acme", uid="acme-x", job="j", id="acme-x:y", kind="scheduled", nominal=AT, effective=AT,
        covers=Span(start=AT, through=AT, count=1, exact=True), attempt=attempt, fence=fence, _previous=lambda: None, _cancelled=lambda: False,
        _notebook=Notebook(attempt, NOTHING, lambda: AT), _once=lambda *_: True,
    )  # fmt: skip
    token = running.set(context)
    try:
        yield
    finally:
        running.reset(token)


@pytest.fixture(autouse=True)
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HORARIUM_EXAMPLES_OUT", str(tmp_path))
    return tmp_path / "acme"


def test_orders_are_added_up_by_region(demo: Any, out: Path):
    with firing():
        result = demo.summarise_orders(by="region")
    written = json.loads((out / "orders-by-region.json").read_text())
    assert {row["region"] for row in written["result"]["rows"]} == {"north", "south", "east", "west"}
    assert result["eur"] == round(sum(row["eur"] for row in written["result"]["rows"]), 2) > 1000


def test_a_late_writer_with_an_older_fence_changes_nothing(demo: Any, out: Path):
    for fence in (7, 5):
        with firing(fence=fence):
            demo.rank_customers(top=3)
    assert json.loads((out / "best-customers.json").read_text())["fence"] == 7


def test_a_service_that_is_not_well_is_asked_again(demo: Any, out: Path):
    from http.server import ThreadingHTTPServer
    from threading import Thread

    demo._Service.asked = 5
    with ThreadingHTTPServer(("127.0.0.1", 0), demo._Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        with firing():
            assert demo.check_http(port)["status"] == 200
            with pytest.raises(Retry, match="503"):
                demo.check_http(port)
        with firing(attempt=2):
            assert demo.check_http(port)["said"] == "well"
        server.shutdown()
    with firing(attempt=2):
        assert demo.check_http(port)["status"] == 0
    assert len((out / f"port-{port}.log").read_text().splitlines()) == 4


def test_disks_are_reported(demo: Any, out: Path):
    with firing():
        assert demo.report_disks(["/"])["paths"] == 1
        assert demo.measure_tree("data")["files"] == 1
    assert 0 <= json.loads((out / "disks.json").read_text())["result"]["/"]["full"] <= 1


def test_the_files_name_only_what_the_application_has(demo: Any):
    from cluster.operations.manifest import read_manifests
    from workers.registry import functions

    for file in ("acme", "globex", "initech"):
        (manifest,) = read_manifests((EXAMPLES / f"{file}.yaml").read_text(), file)
        for job in manifest.jobs.values():
            known = demo.app.tasks if "task" in job else functions.names()
            assert job.get("task", job.get("function")) in known
