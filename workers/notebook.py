"""What the code of one run says, kept here until the next heartbeat or the end of the run writes it.

One write a line would let a loop that logs a thousand lines cost more than the work that it is about.
"""

import math
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Final

from jobstore.noted import NOTHING, Line, Noted, Progress

MOST_LINES: Final = 100
LONGEST_LINE: Final = 500
MOST_BYTES: Final = 16 * 1024
LONGEST_PROGRESS: Final = 200
MOST_KEYS: Final = 20


class Notebook:
    """The notes of one run; safe for the threads that its code starts."""

    def __init__(self, attempt: int, before: Noted, now: Callable[[], datetime]) -> None:
        """Go on from what earlier attempts said.

        Args:
            attempt: The attempt that runs.
            before: What the record holds.
            now: The time that lines get.
        """
        self._attempt = attempt
        self._now = now
        self._lines = deque(before.lines)
        self._bytes = sum(_size(line) for line in before.lines)
        self._dropped = before.dropped
        self._progress: Progress | None = None
        self._once = list(before.once)
        self._version = self._written = 0
        self._lock = threading.Lock()

    def log(self, text: object) -> None:
        """Keep a line; the oldest go when there are more than a hundred, or 16 KiB of them."""
        line = Line(at=self._now(), attempt=self._attempt, text=_bounded(text, LONGEST_LINE))
        with self._lock:
            self._lines.append(line)
            self._bytes += _size(line)
            while len(self._lines) > MOST_LINES or self._bytes > MOST_BYTES:
                self._bytes -= _size(self._lines.popleft())
                self._dropped += 1
            self._version += 1

    def progress(self, fraction: float, text: object = "") -> None:
        """Say how far the run is; only the latest counts.

        Raises:
            ValueError: The fraction is not between 0 and 1.
        """
        number = float(fraction)
        if not (math.isfinite(number) and 0 <= number <= 1):
            raise ValueError(f"progress is a fraction between 0 and 1, not {fraction!r}")
        shown = _bounded(text, LONGEST_PROGRESS)
        said = Progress(at=self._now(), attempt=self._attempt, fraction=number, text=shown)
        with self._lock:
            self._progress = said
            self._version += 1

    def marked(self, key: str) -> None:
        """Note that the run set a marker."""
        with self._lock:
            self._once = [*self._once, key][-MOST_KEYS:]
            self._version += 1

    def unwritten(self) -> tuple[int, Noted] | None:
        """Return what is to be written, with its version; None when the record has it already."""
        with self._lock:
            return None if self._version == self._written else (self._version, self._all())

    def written(self, version: int) -> None:
        """Say that the record has what there was at ``version``."""
        with self._lock:
            self._written = max(self._written, version)

    def all(self) -> Noted:
        """Return everything, for the end of the run."""
        with self._lock:
            return self._all() if self._version else NOTHING

    def _all(self) -> Noted:
        return Noted(lines=tuple(self._lines), dropped=self._dropped, progress=self._progress, once=tuple(self._once))


def _size(line: Line) -> int:
    return len(line.text.encode())


def _bounded(text: object, most: int) -> str:
    # What cannot be encoded must not keep the outcome from being written.
    said = str(text).encode("utf-8", "backslashreplace").decode()
    return said if len(said) <= most else said[: most - 1] + "…"
