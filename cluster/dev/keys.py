"""Single keys from a terminal, read while something else is drawn on it."""

import os
import re
import select
import termios
import threading
import tty
from collections import deque
from contextlib import suppress
from typing import Any, Final, Protocol, Self

_SEQUENCE: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)


class Keys(Protocol):
    """Where keys come from; tests pass their own."""

    def take(self) -> str | None:
        """Return the oldest key that nobody has taken, None when there is none."""
        ...


class NoKeys:
    """There is no keyboard."""

    def take(self) -> None:
        """Return None."""


class TerminalKeys:
    """Reads a terminal key by key while the ``with`` block lasts; Ctrl-C stays a signal."""

    def __init__(self, descriptor: int, wake: threading.Event) -> None:
        """Read ``descriptor``; ``wake`` is set with every key."""
        self._descriptor, self._wake = descriptor, wake
        self._keys: deque[str] = deque()
        self._before: list[Any] | None = None
        self._end, self._ended = os.pipe()
        self._thread = threading.Thread(target=self._read, name="keys", daemon=True)

    def take(self) -> str | None:
        """Return the oldest key that nobody has taken."""
        return self._keys.popleft() if self._keys else None

    def __enter__(self) -> Self:
        with suppress(termios.error):
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor, termios.TCSADRAIN)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._ended, b".")
        self._thread.join(1.0)
        os.close(self._ended)
        os.close(self._end)
        with suppress(termios.error):  # the terminal may be gone
            if self._before is not None:
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._descriptor, self._end], [], [])
            if self._end in ready:
                return
            try:
                data = os.read(self._descriptor, 64)
            except OSError:  # hung up: a signal says so as well
                return
            if not data:
                return
            # An arrow or function key is a sequence of characters, none of which is meant.
            self._keys.extend(_SEQUENCE.sub(b"", data).decode(errors="ignore").lower())
            self._wake.set()
