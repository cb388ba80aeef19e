"""What followed a death: who took over, how soon, and how late the latest firing was.  Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cluster.dev.signs import worker_of
from jobstore.clock import to_posix
from jobstore.firing import Firing

# A tenant whose last firing is older than this may belong to anybody.
_LATELY: Final = timedelta(seconds=60)
# A claim of the dead node ends after a lease of 10 s, and then another takes it.
SETTLED_AFTER: Final = timedelta(seconds=12)


@dataclass(frozen=True, slots=True)
class Death:
    """A process that has ended although nobody asked it to stop: its name, when by the store's clock, and how."""

    name: str
    at: datetime
    how: str = "killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """What became of the work of a node that died.

    Attributes:
        death: Which node, and when.
        by: The node that first released something that was its turn; None until one did.
        after_s: How long what was owed then had waited since the death.
        latest_s: How long the longest of these had waited since its instant.
        idle: Nothing was its turn.
        settled: The dead node's claims have ended, so that nothing else can follow.
    """

    death: Death
    by: str | None = None
    after_s: float | None = None
    latest_s: float | None = None
    idle: bool = False
    settled: bool = False


def takeover(death: Death, firings: Sequence[Firing], now: datetime) -> Takeover:
    """Return what followed the death of a node, from the firings known at ``now``."""
    tenants = _turns(death, firings)
    moved = sorted(_by_others(death, tenants, firings), key=lambda pair: pair[0])
    settled = now - death.at > SETTLED_AFTER
    if not moved:
        return Takeover(death=death, idle=not tenants, settled=settled)
    first = moved[0][1]
    died = to_posix(death.at)
    return Takeover(
        death=death,
        by=first.released_by,
        after_s=round(moved[0][0] - max(died, first.covers.start), 1),
        latest_s=round(max(at - firing.covers.start for at, firing in moved), 1),
        settled=settled,
    )


def lost_runs(death: Death, firings: Iterable[Firing]) -> int:
    """Return how many attempts the death of a worker ended, as far as it has been noticed."""
    ended = 0
    for firing in firings:
        for attempt in firing.attempts:
            if attempt.get("state") == "lost" and worker_of(attempt.get("worker")) == death.name:
                ended += attempt["at"] >= death.at
    return ended


def _turns(death: Death, firings: Iterable[Firing]) -> set[str]:
    """Return the tenants whose last firing before the death was the dead node's."""
    last: dict[str, Firing] = {}
    for firing in firings:
        at = firing.released_at
        if at is None or not death.at - _LATELY <= at <= death.at:
            continue
        known = last.get(firing.uid)
        if known is None or known.released_at is None or known.released_at < at:
            last[firing.uid] = firing
    return {uid for uid, firing in last.items() if firing.released_by == death.name}


def _by_others(death: Death, tenants: set[str], firings: Iterable[Firing]) -> Iterable[tuple[float, Firing]]:
    until = death.at + SETTLED_AFTER
    for firing in firings:
        at = firing.released_at
        if at is None or firing.uid not in tenants or firing.attempt != 1 or firing.kind != "scheduled":
            continue
        if death.at < at <= until and firing.released_by not in {None, death.name}:
            yield to_posix(at), firing
