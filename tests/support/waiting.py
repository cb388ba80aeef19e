"""Waiting for a condition, with a deadline, never for a time."""

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

T = TypeVar("T")

_POLL_S = 0.02


def eventually(predicate: Callable[[], T], *, within: float = 10.0, that: str = "") -> T:
    """Return the first true value of ``predicate()``; fail the test when there is none within ``within`` seconds."""
    deadline = time.monotonic() + within
    pause = Event()
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within:g} s: {that or predicate}; last seen: {value!r}")
        pause.wait(_POLL_S)


def never(predicate: Callable[[], object], *, during: float = 0.5, that: str = "") -> None:
    """Fail the test when ``predicate()`` becomes true within ``during`` seconds."""
    deadline = time.monotonic() + during
    pause = Event()
    while time.monotonic() < deadline:
        value = predicate()
        if value:
            raise AssertionError(f"it happened: {that or predicate}; seen: {value!r}")
        pause.wait(_POLL_S)
