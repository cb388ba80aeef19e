"""The signs of states, so that a screen reads without colour, and the names behind ids.  Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from jobstore.firing import Firing

Kind = Literal["succeeded", "failed", "passed", "running", "waiting", "late", "hole"]

# What did not run, and is accounted for: neither success nor failure.
_PASSED: Final = frozenset(("skipped", "missed", "cancelled", "superseded", "shadowed"))
_MEMBER: Final = re.compile(r"-\d+-[0-9a-f]{6}$")
_KINDS: Final[tuple[Kind, ...]] = ("succeeded", "failed", "passed", "running", "waiting", "late", "hole")

STYLES: Final[Mapping[Kind, str]] = {
    "succeeded": "green",
    "failed": "bold red",
    "passed": "yellow",
    "running": "bright_blue",
    "waiting": "bright_black",
    "late": "yellow",
    "hole": "bold white on red",
}


@dataclass(frozen=True, slots=True)
class Signs:
    """One set of signs: for terminals that show Unicode, or for those that do not."""

    of: Mapping[Kind, str]
    up: str
    down: str
    between: str
    to: str
    rule: str


UNICODE: Final = Signs(dict(zip(_KINDS, "✓✗–▸·░?", strict=True)), up="●", down="○", between="·", to="→", rule="─")  # noqa: RUF001 - signs, not text
ASCII: Final = Signs(dict(zip(_KINDS, "+x->.~?", strict=True)), up="*", down="o", between="|", to="->", rule="-")


def signs_for(encoding: str | None) -> Signs:
    """Return the signs that an output of this encoding can show."""
    return UNICODE if (encoding or "").lower().replace("-", "").startswith("utf") else ASCII


def kind_of(firing: Firing) -> Kind:
    """Return how a firing is shown."""
    if firing.state == "succeeded":
        return "succeeded"
    if firing.state in {"failed", "lost"}:
        return "failed"
    if firing.state in _PASSED:
        return "passed"
    return "running" if firing.state in {"dispatched", "running"} else "waiting"


def worker_of(member: str | None) -> str:
    """Return the process that a worker's name in the ledger stands for: without its child's pid and boot."""
    return _MEMBER.sub("", member or "")


def letter_of(node: str | None) -> str:
    """Return the last part of a node's name where that is one letter, for the strip."""
    last = (node or "").rpartition("-")[2]
    return last if len(last) == 1 else ""
