"""What nodes do about tenants whose time has come: resume them, purge deleted ones, purge again.

Every node may do any of it: each change is a compare-and-set, and removing what is gone does no harm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from cluster.certificates import sign_certificate
from cluster.operations.tenancy import resume
from cluster.operations.words import instant
from cluster.turns import preferred
from jobstore.errors import BrokerUnavailable, HorariumError, StoreUnavailable
from jobstore.events import Repaired, TenantPurged
from jobstore.halt import Halt
from jobstore.store import Store
from jobstore.tenant import Tenant
from jobstore.traces import Traces, place_fields, read_place
from workers.purging import MessagePurge

EVERY: Final = timedelta(seconds=2)
# Another node goes on with a purge that has stood still for this long.
_PURGE_LEASE: Final = timedelta(minutes=2)
# A process that had stood still writes after the purge: later than the longest lease that can be set, and once more.
_AGAIN: Final = (timedelta(minutes=15), timedelta(hours=24))
_LOOK_EVERY: Final = 15.0


@dataclass(slots=True)
class Caretaker:
    """One node's share of it; ``run_once`` is one round."""

    store: Store
    messages: MessagePurge
    node: str
    _looked: float = float("-inf")

    def run_once(self, nodes: Sequence[str]) -> int:
        """Do what is due; return how many tenants something was done for."""
        now = self.store.time.now()
        done = 0
        for tenant in self.store.cache.all():
            if tenant.halt is None or preferred(tenant.uid, nodes) != self.node:
                continue
            if tenant.state == "deleted":
                done += self._purge(tenant, tenant.halt, now)
            elif tenant.halt.until is not None and tenant.halt.until <= now:
                done += self._resume(tenant)
        return done + self._repeat(now)

    def _resume(self, tenant: Tenant) -> bool:
        try:
            result = resume(self.store, tenant.id, who=f"node {self.node}", expected=tenant.revision)
        except StoreUnavailable:
            raise
        except HorariumError:  # changed or gone meanwhile
            return False
        return result.verdict == "changed"

    # -- purge

    def _purge(self, tenant: Tenant, halt: Halt, now: datetime) -> bool:
        if halt.purge_at is None or halt.purge_at > now:
            return False
        mine = replace(tenant, revision=tenant.revision + 1, halt=replace(halt, purge_at=now + _PURGE_LEASE))
        if not self.store.tenants.replace(mine, revision=tenant.revision):
            return False
        try:
            messages = self.messages.purge(tenant.uid)
        except BrokerUnavailable:  # tried again when the lease is over
            return False
        counts = Traces(self.store.collections, tenant.place).purge(now)
        self.store.runtime.points.reach("purge.after")
        self.store.agenda.remove(tenant.uid)
        self.store.gates.remove(tenant.uid)
        self._bury(tenant, halt, counts | ({} if messages is None else {"messages": messages}), now)
        self.store.tenants.remove(tenant)
        self.store.runtime.events.emit(TenantPurged(tenant.uid))
        return True

    def _bury(self, tenant: Tenant, halt: Halt, counts: Mapping[str, int], now: datetime) -> None:
        certificate = sign_certificate(
            {
                "tenant": tenant.id,
                "uid": tenant.uid,
                "created_at": instant(tenant.created_at),
                "deleted_at": instant(halt.since),
                "deleted_by": halt.who,
                "why": halt.why,
                "purged_at": instant(now),
                "purged_by": self.node,
                "removed": dict(counts),
            },
            self.store.message_key(),
        )
        fields = {"at": now, "who": halt.who, "tenant": tenant.id, "why": halt.why, "details": dict(counts)}
        # A second purger, after a crash between this and the removal, keeps the first certificate.
        self.store.audit.bury(
            tenant.uid,
            fields | {"certificate": certificate, "place": place_fields(tenant.place)},
            again_at=now + _AGAIN[0],
        )

    # -- again

    def _repeat(self, now: datetime) -> int:
        monotonic = self.store.runtime.clock.monotonic()
        if monotonic - self._looked < _LOOK_EVERY:
            return 0
        self._looked = monotonic
        return sum(self._purge_again(tombstone, now) for tombstone in self.store.audit.unquiet(now))

    def _purge_again(self, tombstone: Mapping[str, Any], now: datetime) -> bool:
        uid = str(tombstone["uid"])
        try:
            messages = self.messages.purge(uid)
        except BrokerUnavailable:
            return False
        place = read_place(tombstone["place"])
        counts = Traces(self.store.collections, place).purge_again() | {"messages": messages or 0}
        self.store.agenda.remove(uid)
        self.store.gates.remove(uid)
        times = len(tombstone.get("repeats", ())) + 1
        again_at = now + _AGAIN[times] if times < len(_AGAIN) else None
        if sum(counts.values()):
            self.store.runtime.events.emit(Repaired("purged_again", uid))
        return self.store.audit.repeated(tombstone, again_at=again_at, found=counts)
