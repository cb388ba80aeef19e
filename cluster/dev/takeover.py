"""What followed a death: who took over, how soon, and how late the latest firing was.  Pure."""

from collections.abc import Iterable, Mapping, Sequence
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
    tenants = {uid for uid, node in turns(firings, death.at).items() if node == death.name}
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


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What became of the runs of a worker that died: some wait to be declared lost, some have been."""

    death: Death
    waiting: int = 0
    repeated: int = 0


def aftermath(death: Death, firings: Iterable[Firing]) -> Aftermath:
    """Return what followed the death of a worker."""
    waiting = ended = 0
    for firing in firings:
        mine = firing.state == "running" and worker_of(firing.worker) == death.name
        waiting += mine and firing.started_at is not None and firing.started_at <= death.at
        ended += sum(
            attempt.get("state") == "lost"
            and worker_of(attempt.get("worker")) == death.name
            and attempt["at"] >= death.at
            for attempt in firing.attempts
        )
    return Aftermath(death, waiting, ended)


def turns(firings: Iterable[Firing], before: datetime) -> Mapping[str, str]:
    """Return the node whose turn each tenant was: the one of its last firing, unless that is long ago."""
    last: dict[str, tuple[datetime, str]] = {}
    for firing in firings:
        at, node = firing.released_at, firing.released_by
        if at is None or node is None or not before - _LATELY <= at <= before:
            continue
        if firing.uid not in last or last[firing.uid][0] < at:
            last[firing.uid] = at, node
    return {uid: node for uid, (_, node) in last.items()}


def _by_others(death: Death, tenants: set[str], firings: Iterable[Firing]) -> Iterable[tuple[float, Firing]]:
    until = death.at + SETTLED_AFTER
    for firing in firings:
        at = firing.released_at
        if at is None or firing.uid not in tenants or firing.attempt != 1 or firing.kind != "scheduled":
            continue
        if death.at < at <= until and firing.released_by not in {None, death.name}:
            yield to_posix(at), firing
