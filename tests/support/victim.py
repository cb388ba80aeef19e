"""A victim beside the tenant that is attacked: afterwards its documents are as they were and its firings on time."""

from collections.abc import Iterator
from typing import Any

from cluster.operations import jobs, tenants
from tests.support.manual import START, ManualCluster


def watched(cluster: ManualCluster) -> Iterator[ManualCluster]:
    """Yield two tenants in one ledger; the victim's documents are compared afterwards, and its next firing is on time."""
    for name in ("acme", "globex"):
        tenants.create(cluster.store, name)
        put(cluster, name)
    cluster.store.cache.refresh()
    cluster.advance(10)
    cluster.claim()
    cluster.deliver()
    before = victim(cluster)
    assert len(before["firings"]) == 1
    yield cluster
    assert victim(cluster) == before
    cluster.broker.messages.clear()
    cluster.advance(50)
    cluster.claim()
    uid = cluster.store.tenants.get("globex").uid
    assert [message.uid for message in cluster.broker.messages].count(uid) == 1
    assert len([firing for firing in cluster.deliver() if firing.uid == uid]) == 1


def put(cluster: ManualCluster, tenant: str, job: str = "tick", **more: Any) -> Any:
    definition = {"every": "10s", "start": START.isoformat(), "task": "demo.task", **more}
    return jobs.put(cluster.store, tenant, job, definition)


def victim(cluster: ManualCluster) -> dict[str, Any]:
    tenant = cluster.store.tenants.get("globex")
    collections = cluster.store.collections
    return {
        "tenant": tenant,
        "jobs": list(collections.jobs(tenant.place).find()),
        "firings": list(collections.firings(tenant.place).find({"_id": {"$regex": f"^{tenant.uid}:"}})),
    }


def place_of(cluster: ManualCluster, name: str = "acme") -> Any:
    return cluster.store.tenants.get(name).place
