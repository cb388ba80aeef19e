"""``horarium dev`` whole: the real command, real nodes, real Celery workers, a node killed on the way."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.dev.screen import DevOptions, run_dev
from tests.support.processes import is_running

ROOT = Path(__file__).parents[2]
PID = re.compile(r"^(?:node|worker)-\S+ +[\d.]+ s  pid (\d+)", re.MULTILINE)
COMMAND = (sys.executable, "-P", "-m", "cluster", "dev", "--headless")
TENANTS = """
tenant: {tenant}
jobs:
  each-second: {{every: 1s, task: noting.quick}}
  each-other: {{every: 2s, task: noting.slow, kwargs: {{seconds: 0.2}}}}
"""

pytestmark = [pytest.mark.celery, pytest.mark.servers]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary directories are made, for this process and its children; nothing may stay in it."""
    path = tmp_path / "tmp"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    monkeypatch.setenv("TMPDIR", str(path))
    yield path
    assert list(path.iterdir()) == []


class KillOnce:
    """Presses the key that kills a node once the screen has shown some firings."""

    def __init__(self, screen: io.StringIO, after: int) -> None:
        self.screen, self.after, self.pressed = screen, after, False

    def take(self) -> str | None:
        if self.pressed or self.screen.getvalue().count("succeeded") < self.after:
            return None
        self.pressed = True
        return "k"


def test_a_node_is_killed_and_nothing_is_lost_and_nothing_begins_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    manifests = []
    for tenant in ("acme", "globex", "initech"):
        manifests.append(tmp_path / f"{tenant}.yaml")
        manifests[-1].write_text(TENANTS.format(tenant=tenant))
    notes, summary = tmp_path / "notes.jsonl", tmp_path / "summary.json"
    screen = io.StringIO()
    keys = KillOnce(screen, after=8)
    options = DevOptions(
        headless=True, for_s=12, app="tests.support.noting_app:app", manifests=tuple(manifests), json_file=summary
    )
    environment = {**os.environ, "HORARIUM_DEV_NOTES": str(notes), "NOTES": str(notes)}
    code = run_dev(options, environment, out=screen, keys=lambda: keys)
    said = screen.getvalue()
    found: dict[str, Any] = json.loads(summary.read_text())
    assert code == 0, said
    assert keys.pressed
    assert (found["lost"], found["twice"], found["findings"]) == (0, 0, [])
    assert found["fired"] >= 15, "after the death one firing answers for several instants, until the others help sooner"
    assert found["lines"] >= 2 * found["outcomes"]["succeeded"] - 1, "the tasks wrote it down themselves"
    (death,) = found["deaths"]
    assert death["how"] == "killed"
    assert death["taken_over_by"] in {"node-a", "node-b"} - {death["process"]}
    assert 0 <= death["after_s"] <= 5
    assert f"{death['process']} killed; {death['taken_over_by']} took over after" in said
    pids = [int(pid) for pid in PID.findall(said)]
    assert len(pids) == 3
    assert not [pid for pid in pids if is_running(pid)]


def run_demo(*words: str, until: str | None = None) -> tuple[int, str]:
    """Run the command with its demonstration; end it with Ctrl-C once it has said ``until``."""
    with subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as run:
        assert run.stdout is not None
        said = ""
        while until is not None and until not in said:
            line = run.stdout.readline()
            assert line, f"it ended without saying {until!r}:\n{said}"
            said += line
        if until is not None:
            run.send_signal(signal.SIGINT)
        rest, _ = run.communicate(timeout=90)
    assert not [pid for pid in map(int, PID.findall(said + rest)) if is_running(pid)]
    return run.returncode, said + rest


def test_kept_data_go_on_where_they_were_and_what_was_owed_meanwhile_is_caught_up(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    code, said = run_demo("--dir", str(kept), until="succeeded")
    assert code == 0, said
    assert "lost 0, twice 0" in said
    code, said = run_demo("--dir", str(kept), "--for", "4s")
    assert code == 0, said
    assert "lost 0, twice 0" in said
    assert re.search(r"caught up globex/shop-health: \d+ instants? since [\d:]+ in one firing", said)
