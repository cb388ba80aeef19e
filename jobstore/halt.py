"""Why a tenant does not run, since when and until when; and what becomes of the instants that passed meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

GapPolicy = Literal["skip", "latest", "all"]
GAP_POLICIES: Final[tuple[GapPolicy, ...]] = ("skip", "latest", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Said when a tenant was suspended, drained or deleted.

    ``until`` is when nodes resume it by themselves, and ``gap`` what they then do about what passed; ``purge_at`` is
    when they remove every trace of a deleted tenant.
    """

    who: str
    why: str
    since: datetime
    until: datetime | None = None
    gap: GapPolicy = "skip"
    purge_at: datetime | None = None

    def fields(self) -> dict[str, Any]:
        """Return the stored form."""
        found = {"who": self.who, "why": self.why, "since": self.since, "gap": self.gap}
        return found | {name: at for name, at in (("until", self.until), ("purge_at", self.purge_at)) if at is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What becomes of instants up to ``through`` (POSIX seconds) that are not in the ledger yet.

    They came due while the tenant was halted.  ``skip`` records them as one range, ``latest`` makes one firing for
    all, ``all`` one for each; the job's own grace does not count, because whoever resumed the tenant chose.
    """

    through: float
    policy: GapPolicy

    def fields(self) -> dict[str, Any]:
        """Return the stored form."""
        return {"through": self.through, "policy": self.policy}


def read_halt(stored: Mapping[str, Any] | None) -> Halt | None:
    """Return the halt of a tenant's document (raises KeyError, ValueError where it is damaged)."""
    if stored is None:
        return None
    return Halt(
        who=str(stored["who"]),
        why=str(stored["why"]),
        since=_instant(stored["since"]),
        until=None if stored.get("until") is None else _instant(stored["until"]),
        gap=_policy(stored["gap"]),
        purge_at=None if stored.get("purge_at") is None else _instant(stored["purge_at"]),
    )


def read_gap(stored: Mapping[str, Any] | None) -> Gap | None:
    """Return the gap of a tenant's document (raises KeyError, ValueError where it is damaged)."""
    return None if stored is None else Gap(through=float(stored["through"]), policy=_policy(stored["policy"]))


def _policy(value: object) -> GapPolicy:
    for known in GAP_POLICIES:
        if value == known:
            return known
    raise ValueError(f"{value!r} says nothing about a gap")


def _instant(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise ValueError(f"expected an instant, found {value!r}")
    return value
