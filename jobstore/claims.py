"""Looking and claiming: which jobs of a tenant are due, and taking them for one lease.

The claim only keeps nodes from doing the same work; safety never rests on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pymongo import ASCENDING, ReturnDocument

from jobstore.clock import to_posix
from jobstore.connection import Document, Documents, stored
from jobstore.lifecycle import job_before
from jobstore.runtime import Runtime
from jobstore.servertime import ServerTime
from jobstore.tenant import Place
from jobstore.tenants import Collections

# The literal bound of a filter may be this far ahead of the server, whose own clock decides.
ALLOWANCE: Final = timedelta(seconds=0.5)
_FIRST_LOOK: Final = 16
_SECOND_LOOK: Final = 512


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


class Claims:
    """Looks and claims in one tenant's jobs at a time."""

    def __init__(self, collections: Collections, time: ServerTime, runtime: Runtime, *, lease: timedelta) -> None:
        self._collections = collections
        self._time = time
        self._runtime = runtime
        self._lease = lease

    @stored
    def look(self, place: Place, *, budget: int) -> Outlook:
        """Return what is due, at most ``budget`` keys, and when the next of the rest is."""
        now = self._time.now()
        horizon = to_posix(now + self._lease) + 1.0
        for limit in (_FIRST_LOOK, max(_SECOND_LOOK, budget + 1)):
            seen = self._head(self._collections.jobs(place), place, limit)
            # A claimed job waits at the end of its lease: only past that point is every document unclaimed.
            complete = len(seen) < limit or seen[-1]["next_run_time"] > horizon
            if complete:
                break
        return _outlook(seen, now, budget, complete=complete)

    def _head(self, jobs: Documents, place: Place, limit: int) -> list[Document]:
        return list(
            jobs.find(
                {"next_run_time": {"$gte": _BEGINNING}} | place.scope(),
                projection={"next_run_time": 1, "nominal": 1, "lease_until": 1},
                sort=[("next_run_time", ASCENDING)],
                limit=limit,
            )
        )

    @stored
    def claim(self, place: Place, keys: Sequence[str], *, owner: str) -> list[Document]:
        """Take those of ``keys`` that are still due and free; return their documents as claimed."""
        nonce = self._runtime.ids.token()
        jobs = self._collections.jobs(place)
        change = self._change(owner, nonce)
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

    def _change(self, owner: str, nonce: str) -> list[Document]:
        milliseconds = round(self._lease.total_seconds() * 1000)
        until = {"$dateAdd": {"startDate": self._time.expression, "unit": "millisecond", "amount": milliseconds}}
        return [
            {
                "$set": {
                    "lease_until": until,
                    "owner": {"$literal": owner},
                    "claim_nonce": {"$literal": nonce},
                    "claim_token": {"$add": [{"$ifNull": ["$claim_token", {"$literal": 0}]}, 1]},
                    "claimed_at": self._time.expression,
                    "nominal": {"$ifNull": ["$nominal", "$next_run_time"]},
                    # Claimed jobs leave the head of the index, so that looking again costs what is due, not what
                    # is claimed.
                    "next_run_time": _posix(until),
                }
            }
        ]


def _outlook(seen: Sequence[Document], now: datetime, budget: int, *, complete: bool) -> Outlook:
    due: list[str] = []
    rest: list[float] = []
    wake: list[float] = []
    held = False
    for document in seen:
        lease, instant = document.get("lease_until"), document["next_run_time"]
        if isinstance(lease, datetime) and lease > now:
            held = True
            nominal = document.get("nominal")
            rest.append(nominal if isinstance(nominal, float) else instant)
        elif instant <= to_posix(now) and len(due) < budget:
            due.append(document["_id"])
        else:
            rest.append(instant)
            wake.append(instant)
    return Outlook(tuple(due), min(rest, default=None), min(wake, default=None), held, complete)


def _posix(date: Document | str) -> Document:
    return {"$divide": [{"$toLong": date}, 1000.0]}


_BEGINNING: Final = -1e12
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
