"""What a wall-clock time means where the clock changes, as a choice of each timetable."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Gap = Literal["after", "skip"]
Overlap = Literal["first", "second", "both"]


@dataclass(frozen=True, slots=True)
class Dst:
    """What happens to a time that a clock change leaves out (``gap``), or shows twice (``overlap``)."""

    gap: Gap = "after"
    overlap: Overlap = "first"

    def document(self) -> dict[str, object]:
        """Return the policy as it is stored; nothing for the default, which version 1 means by nothing."""
        return {} if self == DEFAULT_DST else {"dst": {"gap": self.gap, "overlap": self.overlap}}

    def words(self) -> str:
        """Return the policy in words, beginning with a comma; nothing for the default."""
        gap = ", left out in a DST gap" if self.gap == "skip" else ""
        passes = {"first": "", "second": "in the second pass of an overlap", "both": "in both passes of an overlap"}
        return gap + (f", {passes[self.overlap]}" if self.overlap != "first" else "")


DEFAULT_DST = Dst()
REAL_TIME = Dst("skip", "both")
"""What exists, as often as the clock shows it: intervals."""


def read_dst(value: object) -> Dst:
    """Return the policy that a specification or document gives.

    Raises:
        ValueError: It is none; the message says what is allowed.
    """
    if not isinstance(value, Mapping) or not value or set(value) - {"gap", "overlap"}:
        raise ValueError(f"write {{gap: after or skip, overlap: first, second or both}}, not {value!r:.60}")
    gap, overlap = value.get("gap", DEFAULT_DST.gap), value.get("overlap", DEFAULT_DST.overlap)
    if gap not in get_args(Gap):
        raise ValueError(f"gap is after or skip, not {gap!r:.40}")
    if overlap not in get_args(Overlap):
        raise ValueError(f"overlap is first, second or both, not {overlap!r:.40}")
    return Dst(gap, overlap)
