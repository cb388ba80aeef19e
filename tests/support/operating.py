"""What tests of operations share: definitions, crash points that act, and what the ledger shows."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from cluster.operations import jobs
from jobstore.clock import to_posix
from jobstore.firing import Firing
from jobstore.tenant import Tenant
from tests.support.manual import START, ManualCluster

ZERO = to_posix(START)
HOSTILE = ["", "a" * 129, "../x", "a\0b", "$where", "a b", "naïve", ".hidden", "x\n", '{"$ne": null}']


class Crash(BaseException):
    """The process dies here."""


class Between:
    """Crash points that do something at the first hit of a name: die there, or let somebody else act."""

    def __init__(self) -> None:
        self.acts: dict[str, Callable[[], object]] = {}

    def reach(self, name: str) -> None:
        act = self.acts.pop(name, None)
        if act is not None:
            act()

    def crash_at(self, name: str) -> None:
        def die() -> None:
            raise Crash(name)

        self.acts[name] = die


def every(seconds: float, **more: Any) -> dict[str, Any]:
    """Return the definition of a job whose instants are multiples of ``seconds`` after START."""
    return {"every": f"{seconds:g}s", "start": START.isoformat(), "task": "demo.task", **more}


def put(cluster: ManualCluster, definition: dict[str, Any], **more: Any) -> Any:
    """Put the job ``tick`` of the tenant ``acme``."""
    return jobs.put(cluster.store, "acme", "tick", definition, **more)


def acme_of(cluster: ManualCluster) -> Tenant:
    """Return the tenant ``acme``."""
    return cluster.store.tenants.get("acme")


def document(cluster: ManualCluster) -> dict[str, Any]:
    """Return the stored job."""
    found = cluster.store.jobs(acme_of(cluster).place).fetch("tick")
    assert found is not None
    return found


def records(cluster: ManualCluster) -> list[tuple[float, float, str, str]]:
    """Return (from, through, state, reason) of each record of ``tick``, in seconds after START."""
    return [
        (f.covers.start - ZERO, f.covers.through - ZERO, f.state, f.reason)
        for f in cluster.firings(acme_of(cluster), "tick")
    ]


def settle_down(cluster: ManualCluster, seconds: int = 60, node: str = "node-z") -> list[Firing]:
    """Let one node and a worker go on; return what began."""
    begun = []
    for _ in range(seconds // 5):
        cluster.claim(node, nodes=(node,))
        cluster.release(node)
        cluster.sweep(node)
        begun += cluster.deliver()
        cluster.advance(2)
        cluster.release(node)  # what waits for a place gets it between two instants
        begun += cluster.deliver()
        cluster.advance(3)
    return begun


def overlaps(found: list[Firing]) -> list[tuple[str, str]]:
    """Return the scheduled firings that cover an instant which the one before covers too."""
    scheduled = sorted((f for f in found if f.kind == "scheduled"), key=lambda f: f.covers.start)
    return [(a.id, b.id) for a, b in pairwise(scheduled) if b.covers.start <= a.covers.through]
