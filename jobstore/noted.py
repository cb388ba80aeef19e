"""What running code says about its run: log lines, how far it is, and which markers it set.  Bounded.

Stored in the firing's record, as ``noted``::

    {lines: [{at: ISODate, attempt: 1, text: "page 3 of 7"}], dropped: 0,
     progress: {at: ISODate, attempt: 1, fraction: 0.43, text: "page 3"} | null, once: ["2026-11"]}
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that an attempt logged."""

    at: datetime
    attempt: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an attempt is: 0 to 1, and what it is at."""

    at: datetime
    attempt: int
    fraction: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """All that was said: the newest ``lines``, ``dropped`` older ones are gone; ``once`` are keys of markers it set."""

    lines: tuple[Line, ...] = ()
    dropped: int = 0
    progress: Progress | None = None
    once: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "lines": [asdict(line) for line in self.lines],
            "dropped": self.dropped,
            "progress": None if self.progress is None else asdict(self.progress),
            "once": list(self.once),
        }


NOTHING = Noted()


def read_noted(stored: Mapping[str, Any] | None) -> Noted:
    """Return what a record holds (raises KeyError, TypeError where it is damaged)."""
    if stored is None:
        return NOTHING
    progress = stored["progress"]
    return Noted(
        lines=tuple(Line(**line) for line in stored["lines"]),
        dropped=int(stored["dropped"]),
        progress=None if progress is None else Progress(**progress),
        once=tuple(stored["once"]),
    )
