"""The process supervisor of dev mode, with real processes; what the kernel says counts, not our bookkeeping."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.dev import logbook as logbook_module
from cluster.dev.child import Spec
from cluster.dev.logbook import LogBook
from cluster.dev.supervisor import Supervisor
from jobstore.clock import SystemClock
from jobstore.errors import ConfigurationError, NotFound
from tests.support.processes import group_of, is_running, state
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
SERVE = """
import signal, subprocess, sys, threading
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
helper = subprocess.Popen(["sleep", "1000"])
print("helper", helper.pid, flush=True)
print("now it is ready", flush=True)
stop.wait()
print("bye", flush=True)
helper.kill()
helper.wait()
"""
DEAF = """
import signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
threading.Event().wait()
"""


def is_ready(line: str) -> bool:
    return re.search(r"\bready\b", line) is not None


def spec(
    name: str,
    code: str = SERVE,
    *,
    ready: Callable[[str], bool] | None = is_ready,
    stage: int = 0,
    stop_within: float = 10.0,
) -> Spec:
    argv = (sys.executable, "-c", code)
    return Spec(name=name, argv=argv, env=dict(os.environ), ready=ready, stage=stage, stop_within=stop_within)


@pytest.fixture
def lines() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, lines: list[tuple[str, str]]) -> Iterator[Supervisor]:
    clock = SystemClock()
    made = Supervisor(LogBook(tmp_path / "logs", clock, lambda name, line: lines.append((name, line))), clock)
    yield made
    pids = [view.pid for view in made.views() if view.pid is not None]
    made.kill_all()
    assert not [pid for pid in pids if is_running(pid)]


def pid_of(supervisor: Supervisor, name: str) -> int:
    pid = supervisor.view(name).pid
    assert pid is not None
    return pid


def helper_of(supervisor: Supervisor, name: str) -> int:
    (line,) = [line for line in supervisor.logbook.tail(name) if line.startswith("helper ")]
    return int(line.split()[1])


def test_processes_start_together_and_are_ready_when_they_say_so(supervisor: Supervisor) -> None:
    supervisor.start([spec("one"), spec("two")])
    assert [(view.name, view.state, view.starts) for view in supervisor.views()] == [
        ("one", "ready", 1),
        ("two", "ready", 1),
    ]
    one, two = pid_of(supervisor, "one"), pid_of(supervisor, "two")
    assert group_of(one) == {one, helper_of(supervisor, "one")}
    assert not group_of(one) & group_of(two)
    assert os.getpgid(one) != os.getpgid(0), "Ctrl-C in the terminal must reach us alone"


def test_output_goes_to_a_file_each_and_to_one_for_all_with_names_in_front(
    supervisor: Supervisor, lines: list[tuple[str, str]]
) -> None:
    supervisor.start([spec("one"), spec("two")])
    supervisor.stop_all()
    own = supervisor.logbook.path("one").read_text().splitlines()
    assert own[1:] == ["now it is ready", "bye"]
    together = supervisor.logbook.path("all").read_text()
    for name in ("one", "two"):
        assert re.search(rf"^\d\d:\d\d:\d\d\.\d\d\d {name} \| bye$", together, re.MULTILINE)
    assert ("two", "bye") in lines


def test_a_killed_process_takes_what_it_started_along_and_the_others_stay(supervisor: Supervisor) -> None:
    supervisor.start([spec("one"), spec("two")])
    pid, helper = pid_of(supervisor, "one"), helper_of(supervisor, "one")
    supervisor.kill("one")
    assert not is_running(pid)
    eventually(lambda: not is_running(helper), that="the helper is gone")
    view = supervisor.view("one")
    assert (view.state, view.pid, view.exit_code) == ("killed", None, -signal.SIGKILL)
    assert "bye" not in supervisor.logbook.tail("one")
    assert supervisor.view("two").state == "ready"
    assert is_running(pid_of(supervisor, "two"))


def test_a_process_that_dies_by_itself_is_seen_as_crashed_and_its_group_is_swept(supervisor: Supervisor) -> None:
    supervisor.start([spec("one")])
    pid, helper = pid_of(supervisor, "one"), helper_of(supervisor, "one")
    os.kill(pid, signal.SIGSEGV)
    eventually(lambda: supervisor.view("one").state == "crashed")
    assert supervisor.view("one").exit_code == -signal.SIGSEGV
    eventually(lambda: not is_running(helper), that="the helper is gone")


def test_a_restarted_process_is_another_one_under_the_same_name(supervisor: Supervisor) -> None:
    supervisor.start([spec("one")])
    first = pid_of(supervisor, "one")
    supervisor.restart("one")
    second = pid_of(supervisor, "one")
    assert second != first
    assert not is_running(first)
    assert is_running(second)
    assert supervisor.logbook.tail("one", 3)[0] == "bye", "a running process is asked first"
    supervisor.kill("one")
    supervisor.restart("one")
    assert (supervisor.view("one").state, supervisor.view("one").starts) == ("ready", 3)


def test_a_process_that_does_not_listen_is_killed_after_its_time(supervisor: Supervisor) -> None:
    supervisor.start([spec("deaf", DEAF, stop_within=0.2)])
    pid = pid_of(supervisor, "deaf")
    assert not supervisor.stop("deaf")
    assert supervisor.view("deaf").state == "killed"
    assert not is_running(pid)


def test_all_are_stopped_by_stages_and_what_had_to_be_killed_is_named(
    supervisor: Supervisor, lines: list[tuple[str, str]]
) -> None:
    specs = [spec("first", stage=1), spec("last", stage=0), spec("deaf", DEAF, stage=1, stop_within=0.3)]
    supervisor.start(specs)
    pids = [pid_of(supervisor, each.name) for each in specs]
    assert supervisor.stop_all() == ["deaf"]
    assert [name for name, line in lines if line == "bye"] == ["first", "last"]
    assert [view.state for view in supervisor.views()] == ["stopped", "stopped", "killed"]
    assert not [pid for pid in pids if group_of(pid)]


def test_a_second_wish_to_stop_makes_it_quick(supervisor: Supervisor) -> None:
    supervisor.start([spec("deaf", DEAF, stop_within=60)])
    stopping = threading.Thread(target=supervisor.stop_all)
    stopping.start()
    eventually(lambda: supervisor.view("deaf").state == "stopping")
    supervisor.kill_all()
    stopping.join(timeout=5)
    assert not stopping.is_alive()


def test_a_frozen_process_stands_still_and_hears_a_stop(supervisor: Supervisor) -> None:
    supervisor.start([spec("one")])
    pid, helper = pid_of(supervisor, "one"), helper_of(supervisor, "one")
    supervisor.freeze("one")
    eventually(lambda: (state(pid), state(helper)) == ("T", "T"))
    assert supervisor.view("one").state == "frozen"
    supervisor.thaw("one")
    eventually(lambda: state(pid) != "T")
    assert supervisor.view("one").state == "ready"
    supervisor.freeze("one")
    assert supervisor.stop("one"), "it went by itself"


@pytest.mark.parametrize(
    ("code", "within", "message"),
    [
        ("raise SystemExit('the database is away')", 20.0, r"one ended with code 1.*the database is away"),
        ("import threading; print('not yet', flush=True); threading.Event().wait()", 0.5, r"not ready within 0.5 s.*"),
    ],
)
def test_a_process_that_does_not_become_ready_is_quoted(
    supervisor: Supervisor, code: str, within: float, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"(?s){message}"):
        supervisor.start([spec("one", code)], within=within)


def test_unknown_names_and_programs_are_refused(supervisor: Supervisor) -> None:
    supervisor.start([spec("one")])
    with pytest.raises(NotFound, match="no process two; running: one"):
        supervisor.kill("two")
    with pytest.raises(ConfigurationError, match="a process one already"):
        supervisor.start([spec("one")])
    with pytest.raises(ConfigurationError, match="not an executable program"):
        supervisor.start([Spec(name="none", argv=("/nonexistent/program",), env={})])


def test_a_line_without_an_end_does_not_fill_the_memory(supervisor: Supervisor) -> None:
    code = "import sys; sys.stdout.write('x' * 1_000_000 + '\\nready\\n'); sys.stdout.flush(); sys.stdin.read()"
    supervisor.start([spec("one", code + "; import threading; threading.Event().wait()")])
    assert max(len(line) for line in supervisor.logbook.tail("one", 200)) == 16_384


def test_log_files_do_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logbook_module, "_LIMIT_BYTES", 100)
    book = LogBook(tmp_path, SystemClock())
    for number in range(100):
        book.write("one", f"line {number}")
    assert book.tail("one", 2) == ["line 98", "line 99"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 500
    kept = (tmp_path / "one.log.1").read_text() + (tmp_path / "one.log").read_text()
    assert "line 99" in kept


def test_everything_dies_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    script = f"""
import os, sys, threading
from pathlib import Path
from cluster.dev.child import Spec
from cluster.dev.logbook import LogBook
from cluster.dev.supervisor import Supervisor
from jobstore.clock import SystemClock
clock = SystemClock()
supervisor = Supervisor(LogBook(Path({str(tmp_path)!r}), clock), clock)
code = {DEAF!r}
starter = threading.Thread(target=supervisor.start, args=([
    Spec(name=name, argv=(sys.executable, "-c", code), env=dict(os.environ), ready=lambda line: "ready" in line)
    for name in ("one", "two")
],))
starter.start()
starter.join()
print(*[view.pid for view in supervisor.views()], flush=True)
threading.Event().wait(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(is_running(pid) for pid in pids), "the thread that started them has ended, they live on"
        parent.send_signal(signal.SIGKILL)
    for pid in pids:
        eventually(lambda pid=pid: not is_running(pid), within=5, that=f"{pid} died with its supervisor")
