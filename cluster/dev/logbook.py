"""What supervised processes say: a file each, one for all with names in front, and the last lines in memory."""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from jobstore.clock import Clock

LineSink = Callable[[str, str], None]

_ALL = "all"
_LIMIT_BYTES = 10_000_000
_TAIL_LINES = 200


class LogBook:
    """Takes lines from any thread.  A file that grows past 10 MB becomes ``<name>.log.1`` and begins anew."""

    def __init__(self, directory: Path, clock: Clock, sink: LineSink | None = None) -> None:
        """Write into ``directory``, and tell ``sink(name, line)`` of every line."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._clock = clock
        self._sink = sink
        self._lock = threading.Lock()
        self._tails: dict[str, deque[str]] = {}

    def write(self, name: str, line: str) -> None:
        """Add a line of the process ``name``."""
        at = self._clock.now().strftime("%H:%M:%S.%f")[:-3]
        with self._lock:
            self._tails.setdefault(name, deque(maxlen=_TAIL_LINES)).append(line)
            self._append(name, line)
            self._append(_ALL, f"{at} {name} | {line}")
        if self._sink is not None:
            self._sink(name, line)

    def tail(self, name: str, count: int = 10) -> list[str]:
        """Return the last ``count`` lines of a process, at most 200."""
        with self._lock:
            return list(self._tails.get(name, ()))[-count:]

    def path(self, name: str) -> Path:
        """Return the file that holds the lines of a process."""
        return self.directory / f"{name}.log"

    def _append(self, name: str, line: str) -> None:
        path = self.path(name)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            full = file.tell() > _LIMIT_BYTES
        if full:
            path.replace(path.with_suffix(".log.1"))
