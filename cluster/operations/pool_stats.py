"""What pools have beside what they want: living workers, their places, and what runs in them."""

from dataclasses import dataclass

from cluster.operations.demand import demand
from jobstore.ids import check_pool
from jobstore.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """One worker process, as its last sign of life tells."""

    worker: str
    host: str
    pid: int
    celery_pool: str
    pools: tuple[str, ...]
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsView:
    """A pool's worker processes, the runs in them, and what it wants within five minutes."""

    pool: str
    processes: int
    runs: int
    slots: int
    running: int
    queued: int
    due_soon: int
    oldest_age_s: float
    workers: tuple[WorkerRow, ...]


def stats(store: Store, pool: str | None = None) -> list[StatsView]:
    """Return the stand of one pool, or of every pool that is served or wants anything (raises InvalidInput)."""
    if pool is not None:
        check_pool(pool)
    wanted = {one.pool: one for one in demand(store, pool)}
    rows = [
        WorkerRow(
            worker=member.id,
            host=str(member.details.get("host", "")),
            pid=int(member.details.get("pid", 0)),
            celery_pool=str(member.details.get("celery_pool", "")),
            pools=tuple(member.details.get("pools", ())),
            runs=len(member.details.get("runs", ())),
        )
        for member in store.workers.all()
    ]
    names = {*wanted, *(name for row in rows for name in row.pools)} if pool is None else {pool}
    found = []
    for name in sorted(names):
        workers = tuple(row for row in rows if name in row.pools)
        wants = wanted.get(name)
        found.append(
            StatsView(
                pool=name,
                processes=len(workers),
                runs=sum(row.runs for row in workers),
                slots=wants.slots if wants else 0,
                running=wants.running if wants else 0,
                queued=wants.queued if wants else 0,
                due_soon=wants.due_soon if wants else 0,
                oldest_age_s=wants.oldest_age_s if wants else 0.0,
                workers=workers,
            )
        )
    return found
