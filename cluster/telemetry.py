"""What a node counts: the events of its process as Prometheus metrics, and what the store knows when asked.

Labels come from closed lists, so that no tenant, job or message from outside can make series without end; the only
label that names a tenant is for those that the operator lists.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobstore.clock import Clock
from jobstore.demand import Demand
from jobstore.errors import StoreUnavailable
from jobstore.events import (
    ClockOff,
    Event,
    FiringClosed,
    FiringFinished,
    FiringReleased,
    JobQuarantined,
    LoopFailed,
    MemberGone,
    PassEnded,
    PublishFailed,
    Repaired,
    WriteRefused,
)
from jobstore.lifecycle import FIRINGS
from jobstore.words import label

_LATENESS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DEMAND_FOR: Final = 5.0
_ABOUT: Final = ("version", "python", "tzdata")
_LEADS_TO: Final[Mapping[str, str]] = {action: state for action, (_, state) in FIRINGS.items()}


class NodeMetrics:
    """A listener of events that keeps the counters of one node."""

    def __init__(self, registry: CollectorRegistry, *, about: Mapping[str, str], tenants: Collection[str] = ()) -> None:
        """Register every metric, at zero.

        Args:
            registry: Where they are registered; one a process.
            about: What the process tells about itself; its version, Python and tzdata become labels.
            tenants: Ids of tenants whose lateness is kept apart.
        """
        self._tenants = frozenset(tenants)
        self.firings = Counter(
            "horarium_firings_total", "Firings that became final, by outcome.", ("outcome", "reason"), registry=registry
        )
        self.retries = Counter(
            "horarium_retries_total", "Attempts that ended and are followed by another.", ("reason",), registry=registry
        )
        self.lateness = Histogram(
            "horarium_firing_lateness_seconds",
            "From the nominal instant to the hand-over to the broker.",
            buckets=_LATENESS,
            registry=registry,
        )
        self.tenant_lateness = Histogram(
            "horarium_tenant_lateness_seconds",
            "The same for the tenants that the operator listed.",
            ("tenant",),
            buckets=_LATENESS,
            registry=registry,
        )
        self.claims = Counter("horarium_claims_total", "Due jobs that this node claimed.", registry=registry)
        self.conflicts = Counter(
            "horarium_claim_conflicts_total", "Due jobs that another node claimed first.", registry=registry
        )
        self.expired = Counter(
            "horarium_leases_expired_total",
            "Jobs claimed although a lease lay on them that had run out.",
            registry=registry,
        )
        self.refused = Counter(
            "horarium_refused_writes_total", "Fenced writes that matched nothing.", ("step",), registry=registry
        )
        self.repairs = Counter(
            "horarium_repairs_total",
            "What a crash or a lost message left and the sweep mended.",
            ("kind",),
            registry=registry,
        )
        self.quarantined = Counter(
            "horarium_jobs_quarantined_total", "Jobs set aside because they cannot be read or run.", registry=registry
        )
        self.unpublished = Counter(
            "horarium_publish_failures_total",
            "Messages that the broker may not have taken.",
            ("pool",),
            registry=registry,
        )
        self.gone = Counter(
            "horarium_members_gone_total", "Nodes and workers declared dead.", ("kind",), registry=registry
        )
        self.failures = Counter(
            "horarium_loop_failures_total", "Rounds of a loop that raised.", ("loop",), registry=registry
        )
        self.passes = Histogram(
            "horarium_pass_seconds", "Claim passes that found work.", buckets=_SECONDS, registry=registry
        )
        self.clock_off = Counter(
            "horarium_clock_refusals_total",
            "Heartbeats at which the clock was too far off to claim.",
            registry=registry,
        )
        info = Gauge("horarium_build_info", "Versions of this process; always 1.", _ABOUT, registry=registry)
        info.labels(*(about.get(name, "unknown") for name in _ABOUT)).set(1)

    def __call__(self, event: Event) -> None:
        """Count ``event``."""
        match event:
            case FiringReleased(uid=uid, lateness=lateness):
                self._released(uid, lateness)
            case PassEnded(claimed=claimed, seconds=seconds):
                self.claims.inc(claimed)
                self.passes.observe(seconds)
            case FiringClosed(state=state, reason=reason):
                self.firings.labels(_outcome(state), label(reason)).inc()
            case FiringFinished(state=state, reason=reason):
                self._finished(state, reason)
            case WriteRefused(step=step):
                self._refused(step)
            case Repaired(kind=kind):
                self._repaired(kind)
            case PublishFailed(pool=pool, count=count):
                self.unpublished.labels(pool).inc(count)
            case _:
                self._trouble(event)

    def _trouble(self, event: Event) -> None:
        match event:
            case JobQuarantined():
                self.quarantined.inc()
            case MemberGone(kind=kind):
                self.gone.labels(label(kind)).inc()
            case LoopFailed(loop=loop):
                self.failures.labels(label(loop)).inc()
            case ClockOff():
                self.clock_off.inc()
            case _:
                return

    def _released(self, uid: str, lateness: float) -> None:
        self.lateness.observe(max(0.0, lateness))
        tenant = uid.rpartition("-")[0]  # a uid is the tenant id and a suffix
        if tenant in self._tenants:
            self.tenant_lateness.labels(tenant).observe(max(0.0, lateness))

    def _finished(self, state: str, reason: str) -> None:
        if state == "pending":
            self.retries.labels(label(reason)).inc()
        else:
            self.firings.labels(_outcome(state), label(reason)).inc()

    def _refused(self, step: str) -> None:
        self.refused.labels(label(step)).inc()
        if step == "claim":
            self.conflicts.inc()

    def _repaired(self, kind: str) -> None:
        self.repairs.labels(label(kind)).inc()
        if kind == "lease_expired":
            self.expired.inc()


class StoreMetrics(Collector):
    """What only the store knows, read when asked and kept for five seconds: backlog, demand, the clock's offset.

    When MongoDB does not answer, the series are absent rather than old: an alert can tell the two apart.
    """

    def __init__(self, demand: Callable[[], Iterable[Demand]], offset: Callable[[], float], clock: Clock) -> None:
        self._demand = demand
        self._offset = offset
        self._clock = clock
        self._read_at: float | None = None
        self._pools: tuple[Demand, ...] = ()

    def describe(self) -> Iterable[Metric]:
        """Return the names without asking the store: registration must not wait for it."""
        return self._families(())

    def collect(self) -> Iterable[Metric]:
        """Return backlog, slots and the offset."""
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= _DEMAND_FOR:
            try:
                self._pools = tuple(self._demand())
            except StoreUnavailable:
                self._read_at = None
                return []
            self._read_at = now
        return self._families(self._pools)

    def _families(self, pools: Iterable[Demand]) -> list[Metric]:
        slots = GaugeMetricFamily(
            "horarium_pool_slots", "Worker slots that a pool wants, by what wants them.", labels=("pool", "kind")
        )
        oldest = GaugeMetricFamily(
            "horarium_pool_oldest_seconds", "Age of the oldest firing that waits for a worker.", labels=("pool",)
        )
        backlog = GaugeMetricFamily("horarium_backlog", "Firings in the ledger that are released or may be, not begun.")
        offset = GaugeMetricFamily("horarium_clock_offset_seconds", "MongoDB's clock minus this machine's.")
        waiting = 0
        for one in pools:
            waiting += one.queued
            for kind, count in (("running", one.running), ("queued", one.queued), ("due_soon", one.due_soon)):
                slots.add_metric((one.pool, kind), count)
            oldest.add_metric((one.pool,), one.oldest_age_s)
        backlog.add_metric((), waiting)
        offset.add_metric((), self._offset())
        return [slots, oldest, backlog, offset]


def _outcome(state: str) -> str:
    """Return the outcome of a final state, or of the action that led to it."""
    return label(_LEADS_TO.get(state, state))
