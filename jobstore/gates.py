"""A tenant's limits on what is handed over: firings under way, and firings a second, exact under many nodes.

One small document a tenant that has such a limit.  ``live`` names attempts that may be under way: a cache of the
ledger, as ``slots`` are of a job, repaired from it when it is full, so nothing leaks when a node dies.  The rate is a
bucket of tokens.  Both change by one compare-and-set on ``seq``.

Shape::

    {_id: "acme-k3x9q2", v: 1, seq: NumberLong(7), live: ["acme-k3x9q2:ab…#1"], tokens: 12.5, at: 1795683000.0,
     spent: {"1795682999": 12, …}}
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from jobstore.choices import Choices
from jobstore.connection import Document, Documents, stored
from jobstore.lifecycle import OPEN, before

Limit = Literal["live", "rate"]
VERSION: Final = 1
REMEMBERED_S: Final = 10
_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt that wants to be handed over."""

    firing: str
    attempt: int

    @property
    def key(self) -> str:
        """Return its name in ``live``."""
        return f"{self.firing}#{self.attempt}"


@dataclass(frozen=True, slots=True)
class Passage:
    """Which attempts may go, and which limit keeps the others."""

    granted: tuple[Entry, ...]
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What a tenant has handed over lately: firings a second over the last ten seconds."""

    per_s: float


class Gates:
    """Lets attempts of tenants with limits pass."""

    def __init__(self, control: Database[Document]) -> None:
        self._gates = control["gates"]

    @stored
    def enter(self, uid: str, wanted: Sequence[Entry], choices: Choices, *, firings: Documents, now: float) -> Passage:
        """Return those of ``wanted`` that may be handed over now, the first ones first.

        An attempt that was let pass before, by somebody who died since, passes again at no cost.
        """
        for _ in range(_TRIES):
            found = self._gates.find_one({"_id": uid}) or {}
            passage, change = self._decide(found, wanted, choices, firings, now)
            if change is None or self._swap(uid, found, change):
                return passage
        return Passage((), "rate")  # others are at it all the time: the next look finds it calmer

    def _decide(
        self, found: Mapping[str, object], wanted: Sequence[Entry], choices: Choices, firings: Documents, now: float
    ) -> tuple[Passage, Document | None]:
        live = [str(key) for key in _list(found.get("live"))]
        held = set(live)
        before_now = [entry for entry in wanted if entry.key in held]
        fresh = [entry for entry in wanted if entry.key not in held]
        room, limit = len(fresh), None
        if choices.max_live is not None:
            if choices.max_live - len(live) < len(fresh):
                live = _alive(live, firings)
            free = max(0, choices.max_live - len(live))
            room, limit = (free, "live") if free < room else (room, limit)
        tokens = _tokens(found, choices, now)
        if tokens is not None and math.floor(tokens + 1e-9) < room:
            room, limit = math.floor(tokens + 1e-9), "rate"
        granted = fresh[:room]
        passage = Passage((*before_now, *granted), limit if len(granted) < len(fresh) else None)  # type: ignore[arg-type]
        if not granted:
            return passage, None
        change: Document = {
            "v": VERSION,
            "live": [*live, *(entry.key for entry in granted)] if choices.max_live is not None else [],
            "tokens": None if tokens is None else tokens - len(granted),
            "at": max(now, _number(found.get("at"), now)),
            "spent": _spent(found.get("spent"), now, len(granted)),
        }
        return passage, change

    def _swap(self, uid: str, found: Mapping[str, object], change: Document) -> bool:
        seq = int(_number(found.get("seq"), 0))
        try:
            result = self._gates.update_one(
                {"_id": uid, "seq": seq} if found else {"_id": uid, "seq": None},
                {"$set": change | {"seq": seq + 1}},
                upsert=not found,
            )
        except DuplicateKeyError:
            return False
        return result.matched_count == 1 or result.upserted_id is not None

    @stored
    def spent(self, uid: str, now: float) -> Spent:
        """Return what the tenant has handed over lately."""
        found = self._gates.find_one({"_id": uid}) or {}
        seconds = _spent(found.get("spent"), now, 0)
        return Spent(sum(seconds.values()) / REMEMBERED_S)

    @stored
    def remove(self, uid: str) -> None:
        """Forget a tenant that is gone."""
        self._gates.delete_one({"_id": uid})


@stored
def hold(firings: Documents, waits: Iterable[tuple[Entry, datetime]], limit: Limit) -> None:
    """Let firings that may not go yet wait, each until its instant, with the limit as the reason."""
    updates = [
        UpdateOne(
            {"_id": entry.firing, "state": {"$in": before("mark")}, "attempt": entry.attempt, "admitted": None},
            {"$set": {"wait": limit, "attend_at": until}},
        )
        for entry, until in waits
    ]
    if updates:
        firings.bulk_write(updates, ordered=False)


def _alive(live: Sequence[str], firings: Documents) -> list[str]:
    """Return those attempts that the ledger still has under way, or just before it."""
    ids = [key.rpartition("#")[0] for key in live]
    found = firings.find({"_id": {"$in": ids}, "state": {"$in": list(OPEN)}}, projection={"attempt": 1})
    known = {f"{document['_id']}#{document['attempt']}" for document in found}
    return [key for key in live if key in known]


def _tokens(found: Mapping[str, object], choices: Choices, now: float) -> float | None:
    if choices.max_per_s is None:
        return None
    most = float(choices.burst if choices.burst is not None else max(1, math.ceil(choices.max_per_s)))
    passed = max(0.0, now - _number(found.get("at"), now))
    return min(most, _number(found.get("tokens"), most) + passed * choices.max_per_s)


def _spent(seconds: object, now: float, more: int) -> dict[str, int]:
    kept = {
        str(second): int(count)
        for second, count in (seconds.items() if isinstance(seconds, Mapping) else ())
        if now - REMEMBERED_S < int(second) <= now
    }
    if more:
        kept[str(int(now))] = kept.get(str(int(now)), 0) + more
    return kept


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
