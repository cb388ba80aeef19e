"""Jobs that run on Celery workers in the tests of ``CeleryExecutor``: they say in a file what they see."""

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import workers


@dataclass(frozen=True)
class Parcel:
    """An argument of the application's own class."""

    content: str

    def weigh(self, factor: int) -> int:
        """Return a number."""
        return len(self.content) * factor


def echo(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return what was given, as text, and where."""
    firing = workers.current_firing()
    return {"args": repr(args), "kwargs": repr(kwargs), "pid": os.getpid(), "tenant": firing.tenant, "job": firing.job}


async def wait_and_echo(value: str) -> str:
    """Return what was given, from a coroutine."""
    return value


def fail() -> None:
    """Raise."""
    raise ZeroDivisionError("no such number")


def record(path: str, name: str) -> None:
    """Append a line for the run."""
    _append(path, {"job": name, "run_time": workers.current_firing().nominal.timestamp()})


def hold(folder: str) -> None:
    """Say that a run begins, wait until it may end, and say that it does."""
    said = str(Path(folder) / "said")
    _append(said, {"what": "begin", "pid": os.getpid()})
    pause = threading.Event()
    while not (Path(folder) / "go").exists():
        pause.wait(0.02)
    _append(said, {"what": "end", "pid": os.getpid()})


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file that jobs wrote."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _append(path: str, line: dict[str, Any]) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)
