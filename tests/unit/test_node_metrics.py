"""Events become counters, and nothing from outside becomes a series of its own."""

import pytest
from prometheus_client import CollectorRegistry

from cluster.telemetry import NodeMetrics, StoreMetrics
from jobstore.demand import Demand
from jobstore.errors import StoreUnavailable
from jobstore.events import (
    Event,
    FiringClosed,
    FiringFinished,
    FiringReleased,
    PassEnded,
    PublishFailed,
    Repaired,
    WriteRefused,
)
from tests.support.clocks import FakeClock

UID = "acme-k3x9q2"


def counted(*events: Event, tenants: tuple[str, ...] = ()) -> CollectorRegistry:
    registry = CollectorRegistry()
    metrics = NodeMetrics(registry, about={"version": "1", "python": "3", "tzdata": "2"}, tenants=tenants)
    for event in events:
        metrics(event)
    return registry


def released(uid: str = UID, lateness: float = 0.3) -> FiringReleased:
    return FiringReleased(uid=uid, job="j", firing=f"{uid}:x", attempt=1, node="n", lateness=lateness)


@pytest.mark.parametrize(
    ("event", "name", "labels"),
    [
        (FiringFinished("f", 1, "succeeded", "", 0.1), "horarium_firings_total", ("succeeded", "none")),
        (FiringFinished("f", 1, "lost", "worker_gone", 0), "horarium_firings_total", ("lost", "worker_gone")),
        (FiringClosed("f", "skip", "overlap"), "horarium_firings_total", ("skipped", "overlap")),
        (FiringClosed("f", "missed", "grace"), "horarium_firings_total", ("missed", "grace")),
    ],
)
def test_a_final_firing_is_counted_by_outcome_and_reason(event: Event, name: str, labels: tuple[str, str]):
    registry = counted(event)
    assert registry.get_sample_value(name, dict(zip(("outcome", "reason"), labels, strict=True))) == 1


def test_an_attempt_that_is_followed_by_another_is_a_retry_and_no_outcome():
    registry = counted(FiringFinished("f", 1, "pending", "failed", 0))
    assert registry.get_sample_value("horarium_retries_total", {"reason": "failed"}) == 1
    assert not [s for m in registry.collect() if m.name == "horarium_firings" for s in m.samples]


def test_a_message_in_the_place_of_a_reason_does_not_become_a_series():
    registry = counted(FiringFinished("f", 1, "failed", "ValueError: order 4711", 0), Repaired("Order 4711", "x"))
    assert registry.get_sample_value("horarium_firings_total", {"outcome": "failed", "reason": "other"}) == 1
    assert registry.get_sample_value("horarium_repairs_total", {"kind": "other"}) == 1


def test_claims_conflicts_and_expired_leases_are_counted():
    registry = counted(
        PassEnded(claimed=7, recorded=7, released=6, seconds=0.02),
        WriteRefused("claim", "a/b"),
        WriteRefused("finish", "f"),
        Repaired("lease_expired", "a/b"),
        PublishFailed("etl", 3, "down"),
    )
    assert registry.get_sample_value("horarium_claims_total") == 7
    assert registry.get_sample_value("horarium_claim_conflicts_total") == 1
    assert registry.get_sample_value("horarium_refused_writes_total", {"step": "finish"}) == 1
    assert registry.get_sample_value("horarium_leases_expired_total") == 1
    assert registry.get_sample_value("horarium_publish_failures_total", {"pool": "etl"}) == 3


def test_counters_without_labels_are_there_at_zero_before_anything_happens():
    assert counted().get_sample_value("horarium_leases_expired_total") == 0


def test_lateness_is_kept_apart_for_the_listed_tenants_only():
    registry = counted(released(), released("other-a00001"), tenants=("acme",))
    assert registry.get_sample_value("horarium_firing_lateness_seconds_count") == 2
    assert registry.get_sample_value("horarium_tenant_lateness_seconds_count", {"tenant": "acme"}) == 1
    assert registry.get_sample_value("horarium_tenant_lateness_seconds_count", {"tenant": "other"}) is None


class Stored:
    """A store whose answer the test sets."""

    def __init__(self) -> None:
        self.asked = 0
        self.down = False

    def __call__(self) -> list[Demand]:
        self.asked += 1
        if self.down:
            raise StoreUnavailable("no answer")
        return [Demand(pool="etl", running=4, queued=3, due_soon=2, oldest_age_s=1.5)]


def test_demand_is_asked_for_once_in_five_seconds_and_is_absent_when_the_store_is_away():
    store, clock, registry = Stored(), FakeClock(), CollectorRegistry()
    registry.register(StoreMetrics(store, lambda: -0.25, clock))
    assert store.asked == 0, "registering must not wait for the store"
    assert registry.get_sample_value("horarium_pool_slots", {"pool": "etl", "kind": "due_soon"}) == 2
    assert registry.get_sample_value("horarium_backlog") == 3
    assert registry.get_sample_value("horarium_clock_offset_seconds") == -0.25
    assert store.asked == 1
    store.down = True
    clock.advance(4.9)
    assert registry.get_sample_value("horarium_backlog") == 3
    clock.advance(0.2)
    assert registry.get_sample_value("horarium_backlog") is None
