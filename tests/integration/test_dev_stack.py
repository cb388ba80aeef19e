"""The whole of dev mode started and ended as one: real servers, stand-ins for our own processes."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis

from cluster.dev import stack as stack_module
from cluster.dev.plan import StackPlan, says_ready
from cluster.dev.stack import DevStack, Step, Stopped
from jobstore.errors import ConfigurationError, HorariumError, InvalidInput
from tests.support.processes import is_running, listens_on
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
STAND_IN = (sys.executable, str(ROOT / "tests" / "support" / "stand_in.py"))

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tmp"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def plan(**changes: Any) -> StackPlan:
    return StackPlan(**{"command": STAND_IN, **changes})


def pids_of(stack: DevStack) -> list[int]:
    assert stack.mongo is not None
    assert stack.valkey is not None
    supervised = [view.pid for view in stack.supervisor.views() if view.pid is not None]
    return [*supervised, *stack.mongo.pids, stack.valkey.pid]


def seen(stack: DevStack) -> list[dict[str, Any]]:
    with pymongo.MongoClient(stack.environment["HORARIUM_MONGODB_URL"]) as client:
        return list(client["horarium"].seen.find({}, {"_id": 0}))


def test_a_stack_starts_servers_nodes_workers_and_the_demonstration_and_leaves_nothing(
    tmp_path: Path, temporary: Path
) -> None:
    steps: list[Step] = []
    stack = DevStack(plan(nodes=2, workers=1, app="proj.celery:app"), os.environ, on_step=steps.append)
    try:
        stack.start(prepare_seen)
        pids = pids_of(stack)
        assert len(pids) == 5
        assert {view.name: view.state for view in stack.supervisor.views()} == {
            "node-a": "ready",
            "node-b": "ready",
            "worker-1": "ready",
        }
        found = seen(stack)
        assert sorted(" ".join(each["words"]) for each in found) == [
            "node --name node-a",
            "node --name node-b",
            "prepared",
            "worker --pool default --name worker-1",
        ]
        assert {each["app"] for each in found} == {"proj.celery:app"}
        with redis.Redis.from_url(stack.environment["HORARIUM_BROKER_URL"]) as broker:
            assert broker.llen("seen") == 3
        names = [step.name for step in steps]
        assert names[:2] == ["valkey", "mongod"]
        assert sorted(names[2:]) == ["demo", "node-a", "node-b", "worker-1"]
    finally:
        assert stack.stop() == []
    assert not [pid for pid in pids if is_running(pid)]
    assert list(temporary.iterdir()) == []


def prepare_seen(environment: Mapping[str, str]) -> None:
    with pymongo.MongoClient(environment["HORARIUM_MONGODB_URL"], w="majority") as client:
        client[environment["HORARIUM_DATABASE"]].seen.insert_one(
            {"words": ["prepared"], "app": environment["HORARIUM_APP"]}
        )


def test_a_node_is_killed_and_restarted_by_name_while_the_rest_runs_on() -> None:
    with DevStack(plan(), os.environ) as stack:
        before = pids_of(stack)
        stack.supervisor.kill("node-a")
        assert [view.state for view in stack.supervisor.views()] == ["killed", "ready", "ready"]
        assert [is_running(pid) for pid in before] == [False, True, True, True, True]
        stack.supervisor.restart("node-a")
        assert len(seen(stack)) == 4


def test_kept_data_are_there_in_the_next_run_and_messages_too(tmp_path: Path, temporary: Path) -> None:
    kept = plan(directory=tmp_path / "kept", nodes=1, workers=0)
    for run in (1, 2):
        with DevStack(kept, os.environ) as stack:
            assert len(seen(stack)) == run
            with redis.Redis.from_url(stack.environment["HORARIUM_BROKER_URL"]) as broker:
                eventually(
                    lambda run=run, broker=broker: broker.llen("seen") == run,
                    that="the messages of the run before are there",
                )
    assert list(temporary.iterdir()) == []


def test_a_directory_in_use_is_refused_and_its_owner_runs_on(tmp_path: Path) -> None:
    kept = plan(directory=tmp_path / "kept", nodes=1, workers=0)
    with DevStack(kept, os.environ) as owner:
        with pytest.raises(ConfigurationError, match="in use by another process"):
            DevStack(kept, os.environ)
        assert owner.supervisor.view("node-a").state == "ready"


def test_servers_that_run_already_are_used_and_left_alone(mongo_url: str, redis_db: str, database_name: str) -> None:
    given = plan(nodes=1, workers=0, mongodb_url=mongo_url, broker_url=redis_db, database=database_name)
    with DevStack(given, os.environ) as stack:
        assert stack.mongo is None
        assert stack.valkey is None
    with redis.Redis.from_url(redis_db) as broker:
        assert broker.lrange("seen", 0, -1) == [b"node --name node-a"]


def test_ports_in_use_do_not_stop_a_second_stack() -> None:
    with (
        DevStack(plan(nodes=1, workers=0), os.environ) as first,
        DevStack(plan(nodes=1, workers=0), os.environ) as other,
    ):
        assert first.environment["HORARIUM_MONGODB_URL"] != other.environment["HORARIUM_MONGODB_URL"]
        assert len(seen(first)) == len(seen(other)) == 1


def refuse(_: Mapping[str, str]) -> None:
    raise InvalidInput("the manifest is refused")


@pytest.mark.parametrize("what", ["a preparation", "a command"])
def test_a_stack_that_does_not_start_says_why_and_leaves_nothing(what: str, temporary: Path) -> None:
    ends = (sys.executable, "-c", "raise SystemExit('no such command')")
    stack = DevStack(plan(command=ends) if what == "a command" else plan(), os.environ)
    expected = {"a preparation": "the manifest is refused", "a command": "(?s)ended with code 1.*no such command"}
    with pytest.raises(HorariumError, match=expected[what]):
        stack.start(refuse if what == "a preparation" else None)
    pids = pids_of(stack)
    stack.stop()
    assert not [pid for pid in pids if is_running(pid)]
    assert list(temporary.iterdir()) == []


def test_a_start_that_is_given_up_ends_soon_and_leaves_nothing(temporary: Path) -> None:
    stack: DevStack
    given_up = []

    def give_up(step: Step) -> None:
        if step.name == "mongod":
            stack.abort_start()

    stack = DevStack(plan(), os.environ, on_step=give_up)
    with pytest.raises(Stopped):
        stack.start(lambda _: given_up.append("prepared"))
    assert given_up == []
    stack.stop()
    assert list(temporary.iterdir()) == []


def test_a_port_that_another_program_took_first_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        offered = [taken]
        really = stack_module._mongo_port
        monkeypatch.setattr(
            stack_module, "_mongo_port", lambda members, liked: offered.pop() if offered else really(members, liked)
        )
        with DevStack(plan(), os.environ) as stack:
            assert stack.mongo is not None
            assert stack.mongo.members[0].port != taken
            assert len(seen(stack)) == 3


def test_everything_dies_with_a_stack_that_is_killed(temporary: Path) -> None:
    script = f"""
import os, threading
from cluster.dev.plan import StackPlan
from cluster.dev.stack import DevStack
with DevStack(StackPlan(command={STAND_IN!r}), os.environ) as stack:
    print(*[view.pid for view in stack.supervisor.views()], *stack.mongo.pids, stack.valkey.pid, flush=True)
    threading.Event().wait(60)
"""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 5
        assert all(is_running(pid) for pid in pids)
        parent.send_signal(signal.SIGKILL)
    for pid in pids:
        eventually(lambda pid=pid: not is_running(pid), within=5, that=f"{pid} died with the stack")


def test_ctrl_c_while_the_servers_start_leaves_nothing(temporary: Path) -> None:
    script = f"""
import os, signal
from cluster.dev.plan import StackPlan
from cluster.dev.stack import DevStack
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored
with DevStack(StackPlan(command={STAND_IN!r}), os.environ, on_step=lambda step: print(step.name, flush=True)):
    pass
"""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "valkey\n", "the broker is up first, MongoDB is still starting"
        parent.send_signal(signal.SIGINT)
        _, errors = parent.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert list(temporary.iterdir()) == []


def test_a_plan_lists_everything_that_is_wrong_with_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        StackPlan(nodes=0, workers=27, mongo_members=2, app_directory=tmp_path / "none")
    assert len(refused.value.faults) == 4


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("node node-a is ready", True),
        ("celery@host ready.", True),
        ("MongoDB is not ready; trying again", False),
        ("already started", False),
    ],
)
def test_only_a_line_that_says_so_makes_a_process_ready(line: str, answer: bool) -> None:
    assert says_ready(line) is answer


def test_the_servers_listen_on_the_loopback_interface_only() -> None:
    with DevStack(plan(nodes=1, workers=0), os.environ) as stack:
        assert stack.mongo is not None
        assert stack.valkey is not None
        for port in (stack.mongo.members[0].port, stack.valkey.port):
            assert listens_on(port) == {"0100007F"}
