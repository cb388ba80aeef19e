"""Looking and claiming: which jobs of a tenant are due, and taking them for one lease.

The claim only keeps nodes from doing the same work; safety never rests on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pymongo import ReturnDocument

from jobstore.clock import to_posix
from jobstore.connection import Document, stored
from jobstore.lifecycle import job_before
from jobstore.runtime import Runtime
from jobstore.servertime import ServerTime
from jobstore.tenant import Place
from jobstore.tenants import Collections

# The literal bound of a filter may be this far ahead of the server, whose own clock decides.
ALLOWANCE: Final = timedelta(seconds=0.5)
_FIRST_LOOK: Final = 16
_SECOND_LOOK: Final = 512
# One command that looks into several collections costs a third of one command for each.
_UNION: Final = 50
_WORTH_A_UNION: Final = 3


@dataclass(frozen=True, slots=True)
class Part:
    """One of ``of`` disjoint parts of a tenant's jobs, by a hash of their keys."""

    number: int
    of: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one look saw: keys of documents that may be due, and the earliest instant of all the others.

    ``rest`` is POSIX seconds, counting a claimed job as its nominal: nobody raises the agenda past a claimed job, so
    an advance needs no bump.  None when there is nothing else; ``complete`` is False when more documents than were
    looked at may be claimed or due, and then the agenda must stay as it is.  ``wake`` is when to look again if
    nothing is bumped: the next free document's time, or ``held`` ones may be let go at any moment.
    """

    due: tuple[str, ...]
    rest: float | None
    wake: float | None
    held: bool
    complete: bool
    # Due documents whose lease ran out: whoever held it died, was frozen, or was too late.
    expired: tuple[str, ...] = ()


class Claims:
    """Looks and claims in one tenant's jobs at a time."""

    def __init__(self, collections: Collections, time: ServerTime, runtime: Runtime, *, lease: timedelta) -> None:
        self._collections = collections
        self._time = time
        self._runtime = runtime
        self._lease = lease

    def look_all(self, turns: Sequence[tuple[Place, int]]) -> list[Outlook]:
        """Return the outlook of each (place, budget), several tenants with one command where that is cheaper."""
        found: dict[int, Outlook] = {}
        for chunk in _chunks(turns):
            if len(chunk) < _WORTH_A_UNION:
                continue
            now = self._time.now()
            heads = self._heads([turns[index][0] for index in chunk], _FIRST_LOOK)
            for index, seen in zip(chunk, heads, strict=True):
                if self._is_complete(seen, _FIRST_LOOK, now):
                    found[index] = _outlook(seen, now, turns[index][1], complete=True)
        return [
            found[index] if index in found else self.look(place, budget=budget)
            for index, (place, budget) in enumerate(turns)
        ]

    @stored
    def look(self, place: Place, *, budget: int) -> Outlook:
        """Return what is due, at most ``budget`` keys, and when the next of the rest is."""
        now = self._time.now()
        for limit in (_FIRST_LOOK, max(_SECOND_LOOK, budget + 1)):
            seen = list(self._collections.jobs(place).aggregate(_head(place, limit)))
            complete = self._is_complete(seen, limit, now)
            if complete:
                break
        return _outlook(seen, now, budget, complete=complete)

    @stored
    def look_in_part(self, place: Place, part: Part, *, budget: int) -> Outlook:
        """Return what is due in one part of a tenant's jobs; it says nothing of the rest.

        When the part holds less than ``budget``, its node helps with the others: the whole is looked at.
        """
        now = self._time.now()
        hashed = {"$mod": [{"$abs": {"$toHashedIndexKey": "$_id"}}, part.of]}
        condition = {
            "next_run_time": {"$gte": _BEGINNING, "$lte": to_posix(now)},
            "lease_until": {"$not": {"$gt": now}},
            "$expr": {"$eq": [hashed, part.number]},
        }
        found = self._collections.jobs(place).aggregate(
            [
                {"$match": condition | place.scope()},
                {"$sort": {"next_run_time": 1}},
                {"$limit": budget},
                {"$project": {"_id": 1}},
            ]
        )
        keys = tuple(document["_id"] for document in found)
        if len(keys) < budget:
            return self.look(place, budget=budget)
        return Outlook(keys, None, to_posix(now), held=False, complete=False)

    def _is_complete(self, seen: Sequence[Document], limit: int, now: datetime) -> bool:
        # A claimed job waits at the end of its lease: only past that point is every document unclaimed.
        horizon = to_posix(now + self._lease) + 1.0
        return len(seen) < limit or seen[-1]["next_run_time"] > horizon

    @stored
    def _heads(self, places: Sequence[Place], limit: int) -> list[list[Document]]:
        """Return the heads of several tenants of one database, by one command."""
        first, *others = places
        pipeline: list[Document] = [*_head(first, limit), {"$set": {"turn": {"$literal": 0}}}]
        for number, place in enumerate(others, start=1):
            part = [*_head(place, limit), {"$set": {"turn": {"$literal": number}}}]
            pipeline.append({"$unionWith": {"coll": place.jobs, "pipeline": part}})
        heads: list[list[Document]] = [[] for _ in places]
        for document in self._collections.jobs(first).aggregate(pipeline, batchSize=limit * len(places)):
            heads[document["turn"]].append(document)
        return heads

    @stored
    def claim(self, place: Place, keys: Sequence[str], *, owner: str) -> list[Document]:
        """Take those of ``keys`` that are still due and free; return their documents as claimed."""
        nonce = self._runtime.ids.token()
        jobs = self._collections.jobs(place)
        change = self._change(place, owner, nonce)
        if len(keys) == 1:
            found = jobs.find_one_and_update(
                self._free({"_id": keys[0]}, place), change, return_document=ReturnDocument.AFTER
            )
            claimed = [] if found is None else [found]
        else:
            taken = jobs.update_many(self._free({"_id": {"$in": list(keys)}}, place), change)
            claimed = list(jobs.find({"_id": {"$in": list(keys)}, "claim_nonce": nonce})) if taken.matched_count else []
        self._runtime.points.reach("claim.after")
        return claimed

    def _free(self, ids: Document, place: Place) -> Document:
        """Both clocks must say "due": the literal bounds the index scan and stops a server that runs ahead."""
        now = self._time.now()
        return (
            ids
            | place.scope()
            | {
                "state": {"$in": job_before("complete")},
                "next_run_time": {"$lte": to_posix(now + ALLOWANCE)},
                # Matches a missing field too, and keeps stock's index: no $or.
                "lease_until": {"$not": {"$gt": now}},
                "$expr": {
                    "$and": [
                        {"$lte": ["$next_run_time", _posix(self._time.expression)]},
                        {"$lte": [{"$ifNull": ["$lease_until", {"$literal": _EPOCH}]}, self._time.expression]},
                    ]
                },
            }
        )

    def _change(self, place: Place, owner: str, nonce: str) -> list[Document]:
        milliseconds = round(self._lease.total_seconds() * 1000)
        until = {"$dateAdd": {"startDate": self._time.expression, "unit": "millisecond", "amount": milliseconds}}
        claimed = {
            "lease_until": until,
            "owner": {"$literal": owner},
            "claim_nonce": {"$literal": nonce},
            "claim_token": {"$add": [{"$ifNull": ["$claim_token", {"$literal": 0}]}, 1]},
            "claimed_at": self._time.expression,
        }
        return [{"$set": claimed | (of_stock(nonce) if place.codec == "pickled" else _of_ours(until))}]


def _of_ours(until: Document) -> Document:
    return {
        "nominal": {"$ifNull": ["$nominal", "$next_run_time"]},
        # Claimed jobs leave the head of the index, so that looking again costs what is due, not what is claimed.
        "next_run_time": _posix(until),
    }


def of_stock(nonce: str) -> Document:
    """Complete a document of stock, which lacks our fields; its run time stays, because its pickle says the same.

    Stock may have set the run time since our last claim, so the nominal follows it.
    """
    return {
        "nominal": "$next_run_time",
        "incarnation": {"$ifNull": ["$incarnation", {"$literal": nonce}]},
        "revision": {"$ifNull": ["$revision", {"$literal": 1}]},
        "fence": {"$ifNull": ["$fence", {"$toLong": {"$literal": 0}}]},
        "slots": {"$ifNull": ["$slots", {"$literal": []}]},
    }


def _outlook(seen: Sequence[Document], now: datetime, budget: int, *, complete: bool) -> Outlook:
    due: list[str] = []
    rest: list[float] = []
    wake: list[float] = []
    expired: list[str] = []
    held = False
    for document in seen:
        lease, instant = document.get("lease_until"), document["next_run_time"]
        if isinstance(lease, datetime) and lease > now:
            held = True
            nominal = document.get("nominal")
            rest.append(nominal if isinstance(nominal, float) else instant)
        elif instant <= to_posix(now) and len(due) < budget:
            due.append(document["_id"])
            if lease is not None:
                expired.append(document["_id"])
        else:
            rest.append(instant)
            wake.append(instant)
    return Outlook(tuple(due), min(rest, default=None), min(wake, default=None), held, complete, tuple(expired))


def _head(place: Place, limit: int) -> list[Document]:
    """Return the stages that read the head of a tenant's index."""
    return [
        {"$match": {"next_run_time": {"$gte": _BEGINNING}} | place.scope()},
        {"$sort": {"next_run_time": 1}},
        {"$limit": limit},
        {"$project": {"next_run_time": 1, "nominal": 1, "lease_until": 1}},
    ]


def _chunks(turns: Sequence[tuple[Place, int]]) -> list[list[int]]:
    """Group turns by database, at most ``_UNION`` in a group; return their numbers."""
    by_database: dict[str, list[int]] = {}
    for number, (place, _) in enumerate(turns):
        by_database.setdefault(place.database, []).append(number)
    return [
        numbers[start : start + _UNION] for numbers in by_database.values() for start in range(0, len(numbers), _UNION)
    ]


def _posix(date: Document | str) -> Document:
    return {"$divide": [{"$toLong": date}, 1000.0]}


_BEGINNING: Final = -1e12
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
