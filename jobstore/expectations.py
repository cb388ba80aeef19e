"""How long a job's next run is expected to take, from its last ones; and how many slots what is due wants.

The expectation is a high quantile, so that one slow run in five does not make the next ones wait, of weights that
decay, so that a job which became quicker or slower is believed after a handful of runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pymongo import DESCENDING

from jobstore.connection import stored
from jobstore.store import Store

QUANTILE: Final = 0.8
DECAY: Final = 0.9
# What is due may wait this long for a slot: many short runs share one, a long one has its own.
PATIENCE_S: Final = 5.0
_RUNS: Final = 20
_LOOKUPS: Final = 100
_KNOWN_FOR_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A job that is due within the horizon; ``at`` is POSIX seconds, ``expected_s`` None where it never ran."""

    uid: str
    job: str
    pool: str
    at: float
    expected_s: float | None = None


def expected(durations: Sequence[float]) -> float | None:
    """Return what the next run takes, seconds, from those of the last ones, the newest first."""
    if not durations:
        return None
    weighed = sorted((seconds, DECAY**age) for age, seconds in enumerate(durations))
    wanted, seen = QUANTILE * sum(weight for _, weight in weighed), 0.0
    for seconds, weight in weighed:
        seen += weight
        if seen >= wanted:
            return seconds
    return weighed[-1][0]


def share(due: Due) -> float:
    """Return what part of a slot a run wants while it is under way; a whole one where nothing is known."""
    seconds = PATIENCE_S if due.expected_s is None else due.expected_s
    return min(seconds, PATIENCE_S) / PATIENCE_S


def peak(due: Iterable[Due]) -> tuple[float, list[Due]]:
    """Return the most slots that are wanted at one moment, and what wants them then, the greatest share first."""
    found = sorted(due, key=lambda one: one.at)
    best, load, at = 0.0, 0.0, 0.0
    ends = sorted((_end(one), share(one)) for one in found)
    passed = 0
    for one in found:
        while passed < len(ends) and ends[passed][0] <= one.at:
            load -= ends[passed][1]
            passed += 1
        load += share(one)
        if load > best:
            best, at = load, one.at
    causes = [one for one in found if one.at <= at < _end(one)]
    return best, sorted(causes, key=lambda one: -share(one))


def _end(due: Due) -> float:
    return due.at + max(PATIENCE_S, due.expected_s or 0.0)


@dataclass(slots=True)
class Expectations:
    """Remembers for a minute what the ledger says; what it had no time to look up yet counts as unknown."""

    store: Store
    _known: dict[tuple[str, str], tuple[float | None, float]] = field(default_factory=dict)

    def of(self, due: Sequence[tuple[str, str]]) -> dict[tuple[str, str], float | None]:
        """Return what runs of these (uid, job) are expected to take (raises StoreUnavailable)."""
        now, looked = self.store.runtime.clock.monotonic(), 0
        found: dict[tuple[str, str], float | None] = {}
        for key in due:
            known = self._known.get(key)
            if (known is None or now - known[1] > _KNOWN_FOR_S) and looked < _LOOKUPS:
                looked += 1
                known = (expected(self._durations(*key)), now)
                self._known[key] = known
            found[key] = None if known is None else known[0]
        self._known = {key: known for key, known in self._known.items() if now - known[1] <= 10 * _KNOWN_FOR_S}
        return found

    @stored
    def _durations(self, uid: str, job: str) -> list[float]:
        tenant = self.store.cache.get(uid)
        if tenant is None:
            return []
        found = self.store.collections.firings(tenant.place).find(
            {"tenant": uid, "job": job, "state": {"$in": ["succeeded", "failed"]}},
            projection={"started_at": 1, "finished_at": 1},
            sort=[("nominal", DESCENDING)],
            limit=_RUNS,
        )
        return [
            _seconds(document["started_at"], document["finished_at"]) for document in found if "started_at" in document
        ]


def _seconds(begun: datetime, ended: datetime) -> float:
    return max(0.0, (ended - begun).total_seconds())
