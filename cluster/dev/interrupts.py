"""Signals that ask this process to stop: the first in order, the second at once."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Counts the signals while the ``with`` block lasts; outside the main thread none arrive.

    ``asked`` is set by the first one or by ``ask``.  The second calls ``at_once`` in a thread of its own, because the
    main thread may be waiting for something that never ends; a third has its usual effect.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.wake = threading.Event()
        self.number: int | None = None
        self.at_once: Callable[[], None] = self.ask
        self._count = 0
        self._previous: dict[int, Any] = {}

    @property
    def impatient(self) -> bool:
        """Return whether it was asked twice."""
        return self._count > 1

    def ask(self) -> None:
        """Ask to stop in order, as a key does."""
        self.asked.set()
        self.wake.set()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _arrived(self, number: int, _: FrameType | None) -> None:
        self._count += 1
        self.number = self.number or number
        self.ask()
        if self._count == 2:
            threading.Thread(target=self.at_once, name="at-once", daemon=True).start()
            for each in _SIGNALS:
                signal.signal(each, signal.SIG_DFL)
