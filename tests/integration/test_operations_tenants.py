"""Tenants on a real MongoDB: created once, with places that keep them apart."""

from datetime import timedelta

import pytest

from cluster.operations import firings, jobs, stopping, tenants
from jobstore.errors import AlreadyExists, InvalidInput, NotFound
from tests.support.manual import START, ManualCluster
from tests.support.operating import HOSTILE, every, put

HOSTILE_TENANTS = [*HOSTILE, "Acme", "ac", "acme-", "-acme", "a" * 41, "acme_1", "1acme"]


@pytest.fixture
def acme(cluster: ManualCluster) -> str:
    tenants.create(cluster.store, "acme")
    return "acme"


def test_a_new_tenant_has_its_collections_their_indexes_and_a_line_of_the_agenda(cluster: ManualCluster):
    result = tenants.create(cluster.store, "acme", zone="Europe/Berlin", pool="reports", weight=3)
    assert result.verdict == "created"
    tenant = cluster.store.tenants.get("acme")
    assert tenant.place.jobs == f"jobs.{tenant.uid}"
    assert tenant.uid.startswith("acme-")
    assert (tenant.place.database, tenant.place.firings) == (cluster.database, "firings")
    assert "next_run_time_1" in cluster.store.collections.jobs(tenant.place).index_information()
    assert {"open", "history", "expire"} <= set(cluster.store.collections.firings(tenant.place).index_information())
    assert cluster.store.agenda.get(tenant.uid) is not None
    assert (tenant.defaults.zone, tenant.defaults.pool, tenant.weight) == ("Europe/Berlin", "reports", 3)


def test_creating_a_tenant_again_with_the_same_settings_changes_nothing(cluster: ManualCluster):
    first = tenants.create(cluster.store, "acme", weight=2)
    again = tenants.create(cluster.store, "acme", weight=2)
    assert (again.verdict, again.tenant.uid) == ("unchanged", first.tenant.uid)


def test_creating_a_tenant_again_with_other_settings_says_which_differ(cluster: ManualCluster):
    tenants.create(cluster.store, "acme")
    with pytest.raises(AlreadyExists, match=r"time zone 'UTC' and not 'Europe/Paris', weight 1 and not 2"):
        tenants.create(cluster.store, "acme", zone="Europe/Paris", weight=2)


def test_what_a_crash_left_of_a_new_tenant_is_completed_by_creating_it_again(cluster: ManualCluster):
    uid = tenants.create(cluster.store, "acme").tenant.uid
    cluster.store.agenda.remove(uid)
    place = cluster.store.tenants.get("acme").place
    cluster.store.collections.jobs(place).drop()
    assert tenants.create(cluster.store, "acme").verdict == "unchanged"
    assert cluster.store.agenda.get(uid) is not None
    assert "next_run_time_1" in cluster.store.collections.jobs(place).index_information()


def test_an_unknown_time_zone_is_refused_with_the_nearest_one(cluster: ManualCluster):
    with pytest.raises(InvalidInput, match="did you mean Europe/Berlin"):
        tenants.create(cluster.store, "acme", zone="Europe/Berln")
    with pytest.raises(NotFound):
        tenants.get(cluster.store, "acme")


def test_every_fault_of_a_tenant_is_told_at_once(cluster: ManualCluster):
    with pytest.raises(InvalidInput) as caught:
        tenants.create(cluster.store, "acme", zone="Mars/Olympus", pool="No Pool", weight=0)
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize("name", HOSTILE_TENANTS)
def test_a_hostile_tenant_id_is_refused_by_every_operation(cluster: ManualCluster, name: str):
    store = cluster.store
    for act in (
        lambda: tenants.create(store, name),
        lambda: tenants.get(store, name),
        lambda: jobs.put(store, name, "tick", every(5)),
        lambda: jobs.list_jobs(store, name),
        lambda: firings.list_firings(store, name),
        lambda: stopping.delete(store, name, "tick"),
    ):
        with pytest.raises(InvalidInput, match="is not a valid tenant id: use"):
            act()


@pytest.mark.parametrize(
    "place",
    [
        {"jobs": "tenants"},
        {"jobs": "same", "firings": "same"},
        {"jobs": "system.users"},
        {"jobs": "a$b"},
        {"database": "admin"},
        {"jobs": "firings"},
        {"jobs": "shared", "prefix": "x/y"},
    ],
)
def test_a_place_that_would_reach_other_documents_is_refused(cluster: ManualCluster, place: dict[str, str]):
    with pytest.raises(InvalidInput):
        tenants.create(cluster.store, "acme", **place)


def test_two_tenants_share_a_collection_only_with_a_prefix_each(cluster: ManualCluster):
    tenants.create(cluster.store, "acme", jobs="jobs.pack-01", prefix="acme:")
    with pytest.raises(InvalidInput, match="belongs to tenant 'acme'"):
        tenants.create(cluster.store, "globex", jobs="jobs.pack-01")
    with pytest.raises(InvalidInput, match="belongs to tenant 'acme'"):
        tenants.create(cluster.store, "globex", jobs="jobs.pack-01", prefix="acme:2")
    tenants.create(cluster.store, "globex", jobs="jobs.pack-01", prefix="globex:")
    for name in ("acme", "globex"):
        jobs.put(cluster.store, name, "tick", every(5))
    assert [row.job for row in jobs.list_jobs(cluster.store, "acme")] == ["tick"]
    stopping.delete(cluster.store, "acme", "tick")
    assert jobs.list_jobs(cluster.store, "acme") == []
    assert [row.job for row in jobs.list_jobs(cluster.store, "globex")] == ["tick"]


def test_a_tenant_shows_its_jobs_and_when_something_is_due(cluster: ManualCluster, acme: str):
    put(cluster, every(5))
    cluster.advance(1)
    cluster.claim()
    view = tenants.get(cluster.store, acme)
    assert (view.jobs, view.next_due) == (1, START + timedelta(seconds=5))


def test_putting_a_tenant_changes_only_what_is_given(cluster: ManualCluster):
    assert tenants.put(cluster.store, "acme", zone="Europe/Berlin").verdict == "created"
    assert tenants.put(cluster.store, "acme", weight=5).verdict == "changed"
    assert tenants.put(cluster.store, "acme", weight=5, zone="Europe/Berlin").verdict == "unchanged"
    view = tenants.get(cluster.store, "acme")
    assert (view.time_zone, view.weight, view.revision) == ("Europe/Berlin", 5, 2)
