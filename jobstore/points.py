"""Named crash points: places after a step of the protocol where a test makes the process stop, pause or raise.

Off unless a test build asks: random kills do not find the windows between two writes, named points do.
"""

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from jobstore.errors import ConfigurationError

NAMES: Final = (
    "claim.after", "record.after", "advance.after", "mark.after", "publish.after", "raise.after",
    "admit.after", "settle.after", "sweep.read", "sweep.after",
    "begin.after", "run.after", "finish.after",
    "edit.bumped", "edit.after", "delete.after", "cancel.after", "trigger.after", "bump.after",
    "halt.after", "purge.after",
)  # fmt: skip


class Points(Protocol):
    """What the code calls after each step."""

    def reach(self, name: str) -> None:
        """Say that the step ``name`` has been done; returns at once unless a test asked for this point."""
        ...


class NoPoints:
    """Production: every point is passed."""

    def reach(self, name: str) -> None:
        """Do nothing."""


@dataclass(slots=True)
class _Order:
    action: str
    hits: int


class CrashPoints:
    """Acts on the n-th hit of a point, or on each hit with a probability.

    Text form: ``mark.after=exit@3,begin.after=pause@1,*=exit%0.03``.  ``exit`` ends the process with status 137 and
    no clean-up, ``pause`` sends SIGSTOP to itself, ``raise`` raises RuntimeError.
    """

    def __init__(self, orders: str, fraction: Callable[[], float]) -> None:
        self._fraction = fraction
        self._counted: dict[str, _Order] = {}
        self._chances: dict[str, tuple[str, float]] = {}
        for order in filter(None, (part.strip() for part in orders.split(","))):
            self._parse(order)

    def _parse(self, order: str) -> None:
        name, _, rest = order.partition("=")
        if name != "*" and name not in NAMES:
            raise ConfigurationError(f"there is no crash point {name!r}; known: {', '.join(NAMES)}")
        if "%" in rest:
            action, _, chance = rest.partition("%")
            self._chances[name] = (action, float(chance))
        else:
            action, _, hits = rest.partition("@")
            self._counted[name] = _Order(action, int(hits or 1))
        if action not in _ACTIONS:
            raise ConfigurationError(f"{action!r} is not an action of a crash point; known: {', '.join(_ACTIONS)}")

    def reach(self, name: str) -> None:
        """Count the hit and act if it is the one that was asked for."""
        order = self._counted.get(name)
        if order is not None:
            order.hits -= 1
            if order.hits == 0:
                _ACTIONS[order.action]()
        chance = self._chances.get(name) or self._chances.get("*")
        if chance is not None and self._fraction() < chance[1]:
            _ACTIONS[chance[0]]()


def _exit() -> None:
    os._exit(137)


def _pause() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise() -> None:
    raise RuntimeError("a crash point was asked to raise here")


_ACTIONS: Final[Mapping[str, Callable[[], None]]] = {"exit": _exit, "pause": _pause, "raise": _raise}
