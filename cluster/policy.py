"""The numbers a node acts by, each with its unit; they check each other when made."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from jobstore.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePolicy:
    """How long things may take before somebody else acts.

    Attributes:
        lease: How long a claim lasts.
        margin: A holder stops acting this long before its claim ends.
        help_after: Another node takes a tenant's work when it is late by this much.
        poll: Most time between two looks at the agenda.
        heartbeat: Between two signs of life of this node.
        worker_dead_after: A worker whose heartbeat stands still this long is dead.
        pending_after: A recorded firing that is still pending after this long is looked at by the sweep.
        republish_after: First wait for a begin; doubles up to ``republish_most``, ``republish_times`` times.
        release_every: Between two looks at firings that wait.
        sweep_every: Between two sweeps.
        tend_every: Least time between two full looks at the same tenant.
        budget: Most jobs of one tenant taken in one pass, times its weight.
        tenants: Most tenants served in one pass.
        threads: How many tenants are asked at once.
        clock_limit: A node whose wall clock differs from MongoDB's by more stops claiming.
    """

    lease: timedelta = timedelta(seconds=10)
    margin: timedelta = timedelta(seconds=2)
    help_after: timedelta = timedelta(seconds=2)
    poll: timedelta = timedelta(seconds=1)
    heartbeat: timedelta = timedelta(seconds=2)
    worker_dead_after: timedelta = timedelta(seconds=30)
    pending_after: timedelta = timedelta(seconds=5)
    republish_after: timedelta = timedelta(seconds=60)
    republish_most: timedelta = timedelta(minutes=10)
    republish_times: int = 5
    release_every: timedelta = timedelta(seconds=1)
    sweep_every: timedelta = timedelta(seconds=5)
    tend_every: timedelta = timedelta(seconds=10)
    budget: int = 250
    tenants: int = 200
    threads: int = 8
    clock_limit: timedelta = timedelta(seconds=5)

    def __post_init__(self) -> None:
        if self.lease < 3 * self.heartbeat:
            raise ConfigurationError(
                f"the lease ({self.lease}) must be at least three heartbeats ({self.heartbeat} each): "
                "otherwise living nodes are taken for dead"
            )
        if not timedelta(0) < self.margin < self.lease:
            raise ConfigurationError(f"the margin ({self.margin}) must be shorter than the lease ({self.lease})")
        if min(self.budget, self.tenants, self.threads) < 1:
            raise ConfigurationError("budget, tenants and threads must be at least 1")

    def republish_wait(self, publishes: int) -> timedelta:
        """Return how long to wait for a begin after the ``publishes``-th publish."""
        if publishes > self.republish_times:
            return NEVER_BEGUN_EVERY
        return min(self.republish_most, self.republish_after * (1 << (publishes - 1)))


# A firing that nobody ever began is in quarantine, yet it is published again now and then: its pool may come back.
NEVER_BEGUN_EVERY: Final = timedelta(hours=1)
# Attempts whose worker died are repeated at least this often in all, whatever the job says about its own failures.
LOST_ATTEMPTS: Final = 3
