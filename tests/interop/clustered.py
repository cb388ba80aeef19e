"""Jobs, triggers and scheduler processes of the tests of ``ClusterScheduler``.

Run as ``python -m tests.interop.clustered '{"url": …}'`` it is one scheduler process: says ``ready``, ends on SIGTERM.
"""

import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apscheduler.triggers.base import BaseTrigger
from pymongo import MongoClient

from cluster import ClusterScheduler
from jobstore import SharedMongoDBJobStore
from tests.interop.node import SignalAt
from workers import CeleryExecutor

_END = {signal.SIGTERM}

gates: dict[str, threading.Event] = {}
calls: list[str] = []


def call(name: str) -> str:
    """Note the call; wait if there is a gate of that name."""
    calls.append(name)
    if name in gates:
        assert gates[name].wait(20)
    return name


def fail(name: str) -> None:
    """Note the call, and raise."""
    calls.append(name)
    raise ZeroDivisionError(name)


def hold(folder: str, name: str) -> None:
    """Say that an instance begins, wait until it may end, and say that it does."""
    place = Path(folder)
    _write(place, name, "begin")
    pause = threading.Event()
    while not (place / "go").exists():
        pause.wait(0.02)
    _write(place, name, "end")


def said(folder: Path) -> list[dict[str, Any]]:
    """Return what instances have said, in order."""
    path = folder / "said"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def most_at_once(lines: list[dict[str, Any]]) -> int:
    """Return how many instances ran at the same time at most."""
    running, most = 0, 0
    for line in lines:
        running += 1 if line["what"] == "begin" else -1
        most = max(most, running)
    return most


class Wire:
    """A connection to a server that a test can lay later, and freeze."""

    def __init__(self, port: int, host: str, to: int) -> None:
        self._target = (host, to)
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        """Keep what is sent from arriving."""
        self._flows.clear()

    def thaw(self) -> None:
        """Let it arrive."""
        self._flows.set()

    def close(self) -> None:
        """Cut it."""
        self.thaw()
        self._listener.close()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while sent := one.recv(65536):
                self._flows.wait()
                other.sendall(sent)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)


def _write(place: Path, name: str, what: str) -> None:
    line = json.dumps({"job": name, "what": what, "pid": os.getpid()}).encode() + b"\n"
    file = os.open(place / "said", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line)
    finally:
        os.close(file)


class Endless(BaseTrigger):  # type: ignore[misc]
    """A trigger of the application that does not come back, until the test ends, once it has named an instant."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return now, and after that nothing."""
        if previous_fire_time is None:
            return now
        pause = threading.Event()
        while not gates["endless"].is_set():
            with suppress(Exception):
                pause.wait(0.01)
        return None


def main(settings: dict[str, Any]) -> None:
    """Run until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _END)
    client: Any = MongoClient(settings["url"])
    stores = {}
    for alias in settings["stores"]:
        store = SharedMongoDBJobStore(database=settings["database"], collection=alias, client=client)
        store.lease_for = timedelta(seconds=settings["lease_s"])
        if settings.get("signal_at"):
            store.points = SignalAt(*settings["signal_at"])
        stores[alias] = store

    class Scheduler(ClusterScheduler):
        dead_after_s = settings.get("dead_after_s", 10.0)

    executors = {"default": CeleryExecutor(**settings["celery"])} if "celery" in settings else {}
    scheduler = Scheduler(jobstores=stores, executors=executors, timezone=UTC)
    scheduler.start()
    print("ready", flush=True)  # noqa: T201
    signal.sigwait(_END)
    scheduler.shutdown()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
