"""The rules of the house that no linter knows: sizes, light imports, one place for each broad handler."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from jobstore.lifecycle import FIRINGS, JOBS, TENANTS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("jobstore", "workers", "cluster")
LONGEST_FILE, LONGEST_TEST_FILE, LONGEST_FUNCTION = 400, 500, 75

# Where code outlives whatever is raised, each with its reason at the spot.
BROAD = {
    "cluster/cli/main.py",
    "cluster/scheduler/scheduler.py",
    "cluster/dev/mongod.py", "cluster/dev/server.py", "cluster/dev/stack.py", "cluster/dev/valkey.py",
    "cluster/loop.py", "cluster/scheduler/plain.py", "cluster/scheduler/submission.py", "cluster/scheduler/visits.py",
    "jobstore/apscheduler/passes.py", "jobstore/apscheduler/pickles.py", "jobstore/apscheduler/plan.py",
    "workers/execute.py", "workers/executor/desk.py", "workers/executor/executor.py", "workers/heartbeat.py",
    "workers/identity.py", "workers/references.py",
}  # fmt: skip


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_is_longer_than_a_reader_can_hold():
    long = {
        name_of(path): count
        for folder, longest in ((PACKAGES, LONGEST_FILE), (("tests",), LONGEST_TEST_FILE))
        for path in sources(*folder)
        if (count := len(path.read_text().splitlines())) > longest
    }
    assert long == {}


def test_no_function_is_longer_than_a_screen():
    long = {}
    for path in sources(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long[f"{name_of(path)}:{node.name}"] = length
    assert long == {}


def test_broad_handlers_stand_in_named_places_only():
    found = set()
    for path in sources(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node.type):
                found.add(name_of(path))
    assert found <= BROAD, "give the new handler a reason, or a narrower class"
    assert found == BROAD, "the list names places that have none any more"


def _is_broad(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    names = [part.id for part in ast.walk(kind) if isinstance(part, ast.Name)]
    return "Exception" in names or "BaseException" in names


@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        ("jobstore", ("pymongo", "celery", "apscheduler")),
        ("workers", ("celery", "pymongo")),
        ("cluster", ("celery", "pymongo", "rich")),
    ],
)
def test_importing_a_package_loads_no_driver(package: str, unwanted: tuple[str, ...]):
    code = f"import sys, {package}; print([name for name in {unwanted!r} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_no_stored_or_sent_name_is_an_import_path():
    from workers.wire import TASK, queue_of

    assert TASK == "horarium.run"
    assert queue_of("etl") == "horarium.etl"


@pytest.mark.parametrize("table", [FIRINGS, JOBS, TENANTS], ids=["firings", "jobs", "tenants"])
def test_the_states_in_the_docs_are_those_of_the_code(table):
    """Each move of the tables stands in docs/protocol.md as a row; add it there when the test names one."""
    text = (ROOT / "docs" / "protocol.md").read_text()
    missing = [
        row
        for action, (sources_, target) in table.items()
        if (row := f"| {action} | {', '.join(sources_)} | {target} |") not in text
    ]
    assert missing == []
