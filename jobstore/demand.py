"""How many worker slots each pool wants: running, queued, and due within a horizon.

Any process can answer, because all of it is in the store; an autoscaler may ask any of them.  What runs is counted
too: a pool that is busy with an empty queue must not look idle, or its workers are scaled away under their tasks.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from jobstore.clock import to_posix
from jobstore.connection import Document, stored
from jobstore.expectations import Due, Expectations, peak
from jobstore.lifecycle import before
from jobstore.store import Store
from jobstore.tenant import Tenant

# One aggregation reads this many collections of jobs; the server's own limit on stages is far above.
_TOGETHER: Final = 50
_TENANTS: Final = 500
# More than these are counted no further: no pool grows by so many slots at once.
_MOST_DUE: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one pool wants; ``oldest_age_s`` is how long the oldest queued firing has waited, in seconds.

    ``due_slots`` is what the ``due_soon`` firings want at their peak, from how long their jobs' last runs took; a slot
    each when None.  ``causes`` are the firings of that peak.
    """

    pool: str
    running: int = 0
    queued: int = 0
    due_soon: int = 0
    oldest_age_s: float = 0.0
    due_slots: int | None = None
    causes: tuple[Due, ...] = ()

    @property
    def slots(self) -> int:
        """Return the worker slots wanted."""
        return self.running + self.queued + (self.due_soon if self.due_slots is None else self.due_slots)


def read_demand(
    store: Store, *, horizon: timedelta = timedelta(seconds=30), expectations: Expectations | None = None
) -> list[Demand]:
    """Return the demand of every pool for which something runs, waits or is due within ``horizon``, by name.

    With ``expectations``, what is due is weighed by how long it will take.

    Raises:
        StoreUnavailable: MongoDB did not answer.
    """
    now = store.time.now()
    store.routes.refresh()
    counts: dict[str, dict[str, int]] = {}
    oldest: dict[str, datetime] = {}
    for where in store.cache.ledgers():
        for group in _open(store, where, now + horizon):
            kind = "running" if group["_id"]["state"] in before("succeed") else "queued"
            pool = _lane(store, group["_id"])
            _add(counts, pool, kind, int(group["count"]))
            if kind == "queued":
                oldest[pool] = min(oldest.get(pool, now), group["oldest"])
    due: dict[str, list[Due]] = {}
    for one in _due(store, to_posix(now + horizon)):
        _add(counts, one.pool, "due_soon", 1)
        due.setdefault(one.pool, []).append(one)
    return [
        _weighed(
            Demand(
                pool=pool,
                running=kinds.get("running", 0),
                queued=kinds.get("queued", 0),
                due_soon=kinds.get("due_soon", 0),
                oldest_age_s=max(0.0, (now - oldest.get(pool, now)).total_seconds()),
            ),
            due.get(pool, []),
            expectations,
        )
        for pool, kinds in sorted(counts.items())
    ]


def _weighed(demand: Demand, due: Sequence[Due], expectations: Expectations | None) -> Demand:
    if expectations is None:
        return demand
    known = expectations.of([(one.uid, one.job) for one in due])
    wanted, causes = peak(replace(one, expected_s=known[(one.uid, one.job)]) for one in due)
    # A thousandth of a slot is a rounding error of the shares' sum.
    return replace(demand, due_slots=math.ceil(wanted - 0.001), causes=tuple(causes))


def _lane(store: Store, group: Mapping[str, Any]) -> str:
    """Return the pool that a group of open firings is in, or will be handed to."""
    pool = str(group["pool"])
    if group.get("lane") is not None:
        return str(group["lane"])
    return store.routes.pool(str(group.get("tenant")), pool) if group["state"] in before("mark") else pool


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
    led = sorted({uid for uid, _ in store.routes.moved()})
    group = {
        "_id": {
            "pool": "$pool",
            "lane": "$routed_to",
            "state": "$state",
            "tenant": {"$cond": [{"$in": ["$tenant", {"$literal": led}]}, "$tenant", None]},
        },
        "count": {"$sum": 1},
        "oldest": {"$min": {"$ifNull": ["$released_at", "$created_at"]}},
    }
    return list(store.collections.ledger(where).aggregate([{"$match": wanted}, {"$group": group}]))


def _due(store: Store, until: float) -> list[Due]:
    """Return the active jobs due by ``until``, of the tenants whose agenda says that there may be some."""
    tenants = [
        tenant
        for entry in store.agenda.due(until, limit=_TENANTS)
        if (tenant := store.cache.get(entry.uid)) is not None and tenant.state == "active"
    ]
    by_uid = {tenant.uid: tenant for tenant in tenants}
    return [
        Due(
            uid=row["uid"],
            job=by_uid[row["uid"]].place.job(str(row["_id"])),
            pool=store.routes.pool(row["uid"], str(row["pool"])),
            at=float(row["next_run_time"]),
        )
        for group in _by_database(tenants)
        for row in _due_together(store, group, until)
    ]


def _by_database(tenants: Sequence[Tenant]) -> Iterable[list[Tenant]]:
    groups: dict[str, list[Tenant]] = {}
    for tenant in tenants:
        groups.setdefault(tenant.place.database, []).append(tenant)
    for group in groups.values():
        rest = iter(group)
        while part := list(islice(rest, _TOGETHER)):
            yield part


@stored
def _due_together(store: Store, tenants: Sequence[Tenant], until: float) -> list[Document]:
    first, *others = tenants
    pipeline: list[Mapping[str, Any]] = [*_due_stages(first, until)]
    pipeline += [
        {"$unionWith": {"coll": tenant.place.jobs, "pipeline": _due_stages(tenant, until)}} for tenant in others
    ]
    pipeline.append({"$limit": _MOST_DUE})
    return list(store.collections.jobs(first.place).aggregate(pipeline))


def _due_stages(tenant: Tenant, until: float) -> list[Mapping[str, Any]]:
    # A claimed job waits at the end of its claim with its firing in the ledger already: counted there.
    due = {"state": "active", "next_run_time": {"$gt": -1e12, "$lte": until}, "lease_until": {"$exists": False}}
    pool = {"$ifNull": ["$spec.pool", {"$literal": tenant.defaults.pool}]}
    return [
        {"$match": due | tenant.place.scope()},
        {"$project": {"next_run_time": 1, "pool": pool, "uid": {"$literal": tenant.uid}}},
    ]
