"""The end of a run: what runs comes to its end, and everything is read once more for the summary."""

import json
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cluster.dev.feed import read_all, read_jobs
from cluster.dev.memory import Memory
from cluster.dev.summary import Material
from jobstore.store import Store

DRAIN_S: Final = 6.0
_POLL_S: Final = 0.1


def drain(store: Store, wanted: Callable[[], bool], within: float = DRAIN_S) -> bool:
    """Wait until nothing is with a worker any more, while ``wanted()``; return whether that is so.

    Called once no node releases anything (raises StoreUnavailable).
    """
    clock, never = store.runtime.clock, threading.Event()
    deadline = clock.monotonic() + within
    while _busy(store):
        if clock.monotonic() > deadline or not wanted():
            return False
        clock.wait(never, _POLL_S)
    return True


def material(store: Store, memory: Memory, up: datetime, notes: Path) -> Material:
    """Return everything that the summary is made of (raises StoreUnavailable)."""
    ended = store.time.now()
    tenants, _ = store.tenants.all()
    jobs = [(tenant.id, job) for tenant in tenants for job in read_jobs(store, tenant)]
    there = {(job.uid, job.id, job.incarnation) for _, job in jobs}
    # Done and removed meanwhile; what they owed while they were there must be in the ledger all the same.
    gone = [(name, job) for name, job in memory.all_jobs() if (job.uid, job.id, job.incarnation) not in there]
    firings = [firing for tenant in tenants for firing in read_all(store, tenant, memory.begun)]
    return Material(
        tenants=tenants,
        jobs=[*jobs, *gone],
        firings=firings,
        lines=read_lines(notes),
        begun=memory.begun,
        up=up,
        ended=ended,
    )


def read_lines(notes: Path) -> list[Mapping[str, Any]]:
    """Return the lines that tasks wrote of themselves; a worker that was killed may have left half a one."""
    if not notes.is_file():
        return []
    found: list[Mapping[str, Any]] = []
    for line in notes.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and {"firing", "attempt", "event"} <= value.keys():
            found.append(value)
    return found


def _busy(store: Store) -> bool:
    tenants, _ = store.tenants.all()
    return any(
        store.ledger(tenant.place).history(tenant.uid, state=state, limit=1)
        for tenant in tenants
        for state in ("dispatched", "running")
    )
