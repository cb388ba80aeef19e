"""How many worker slots each pool wants: running, queued, and due within a horizon.

Any process can answer, because all of it is in the store; an autoscaler may ask any of them.  What runs is counted
too: a pool that is busy with an empty queue must not look idle, or its workers are scaled away under their tasks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from jobstore.clock import to_posix
from jobstore.connection import Document, stored
from jobstore.lifecycle import before
from jobstore.store import Store
from jobstore.tenant import Tenant

# One aggregation reads this many collections of jobs; the server's own limit on stages is far above.
_TOGETHER: Final = 50
_TENANTS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one pool wants; ``oldest_age_s`` is how long the oldest queued firing has waited, in seconds."""

    pool: str
    running: int = 0
    queued: int = 0
    due_soon: int = 0
    oldest_age_s: float = 0.0

    @property
    def slots(self) -> int:
        """Return the worker slots wanted."""
        return self.running + self.queued + self.due_soon


def read_demand(store: Store, *, horizon: timedelta = timedelta(seconds=30)) -> list[Demand]:
    """Return the demand of every pool for which something runs, waits or is due within ``horizon``, by name.

    Raises:
        StoreUnavailable: MongoDB did not answer.
    """
    now = store.time.now()
    counts: dict[str, dict[str, int]] = {}
    oldest: dict[str, datetime] = {}
    for where in store.cache.ledgers():
        for group in _open(store, where, now + horizon):
            kind = "running" if group["_id"]["state"] in before("succeed") else "queued"
            pool = str(group["_id"]["pool"])
            _add(counts, pool, kind, int(group["count"]))
            if kind == "queued":
                oldest[pool] = min(oldest.get(pool, now), group["oldest"])
    for pool, count in _due(store, to_posix(now + horizon)).items():
        _add(counts, pool, "due_soon", count)
    return [
        Demand(pool=pool, **kinds, oldest_age_s=max(0.0, (now - oldest.get(pool, now)).total_seconds()))
        for pool, kinds in sorted(counts.items())
    ]


def _add(counts: dict[str, dict[str, int]], pool: str, kind: str, count: int) -> None:
    kinds = counts.setdefault(pool, {})
    kinds[kind] = kinds.get(kind, 0) + count


@stored
def _open(store: Store, where: tuple[str, str], until: datetime) -> list[Document]:
    """Count the open records of a ledger by pool and state; a retry later than ``until`` wants no slot yet."""
    wanted = {
        "attend_at": {"$exists": True},
        "state": {"$in": [*before("begin"), *before("mark"), *before("succeed")]},
        "$nor": [{"wait": "retry", "attend_at": {"$gt": until}}],
    }
    group = {
        "_id": {"pool": "$pool", "state": "$state"},
        "count": {"$sum": 1},
        "oldest": {"$min": {"$ifNull": ["$released_at", "$created_at"]}},
    }
    return list(store.collections.ledger(where).aggregate([{"$match": wanted}, {"$group": group}]))


def _due(store: Store, until: float) -> dict[str, int]:
    """Count the active jobs due by ``until`` by pool, of the tenants whose agenda says that there may be some."""
    tenants = [
        tenant
        for entry in store.agenda.due(until, limit=_TENANTS)
        if (tenant := store.cache.get(entry.uid)) is not None and tenant.state == "active"
    ]
    found: dict[str, int] = {}
    for group in _by_database(tenants):
        for pool, count in _due_together(store, group, until).items():
            found[pool] = found.get(pool, 0) + count
    return found


def _by_database(tenants: Sequence[Tenant]) -> Iterable[list[Tenant]]:
    groups: dict[str, list[Tenant]] = {}
    for tenant in tenants:
        groups.setdefault(tenant.place.database, []).append(tenant)
    for group in groups.values():
        rest = iter(group)
        while part := list(islice(rest, _TOGETHER)):
            yield part


@stored
def _due_together(store: Store, tenants: Sequence[Tenant], until: float) -> dict[str, int]:
    first, *others = tenants
    pipeline: list[Mapping[str, Any]] = [*_due_stages(first, until)]
    pipeline += [
        {"$unionWith": {"coll": tenant.place.jobs, "pipeline": _due_stages(tenant, until)}} for tenant in others
    ]
    pipeline.append({"$group": {"_id": "$pool", "count": {"$sum": 1}}})
    found = store.collections.jobs(first.place).aggregate(pipeline)
    return {str(group["_id"]): int(group["count"]) for group in found}


def _due_stages(tenant: Tenant, until: float) -> list[Mapping[str, Any]]:
    # A claimed job waits at the end of its claim with its firing in the ledger already: counted there.
    due = {"state": "active", "next_run_time": {"$gt": -1e12, "$lte": until}, "lease_until": {"$exists": False}}
    pool = {"$ifNull": ["$spec.pool", {"$literal": tenant.defaults.pool}]}
    return [{"$match": due | tenant.place.scope()}, {"$project": {"_id": 0, "pool": pool}}]
