"""The slow full look at each tenant: repair the agenda, remove what is over, bring back what can be read again.

The agenda is bumped by everyone who writes through this project; a stock scheduler, a restored document or a crash
between a job write and its second bump can leave it late.  This is the floor under all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from cluster.policy import NodePolicy
from cluster.turns import preferred
from jobstore.claims import Claims
from jobstore.events import Repaired
from jobstore.jobs import readable
from jobstore.lifecycle import OPEN
from jobstore.store import Store
from jobstore.tenant import Tenant

_BATCH: Final = 100
_NEVER: Final = float("-inf")
_ROUND: Final = timedelta(seconds=2)


@dataclass(slots=True)
class Tending:
    """Looks after this node's share of the tenants, one or a few in each round."""

    store: Store
    policy: NodePolicy
    node: str
    claims: Claims = field(init=False)
    _last: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.claims = self.store.claims(self.policy.lease)

    def run_once(self, nodes: Sequence[str], *, most: int = 1) -> int:
        """Tend the ``most`` tenants that have waited longest, and every adopted one; return how many were tended.

        A stock scheduler that edits an adopted collection bumps no agenda: those are looked at every poll.
        """
        now = self.store.runtime.clock.monotonic()
        mine = [tenant for tenant in self.store.cache.active() if preferred(tenant.uid, nodes) == self.node]
        oldest = sorted(mine, key=lambda tenant: self._last.get(tenant.uid, _NEVER))
        adopted = [tenant for tenant in oldest if tenant.place.codec == "pickled"]
        others = [tenant for tenant in oldest if tenant.place.codec != "pickled"][:most]
        tended = [
            tenant
            for group, every in ((adopted, self.policy.poll), (others, self.policy.tend_every))
            for tenant in group
            if now - self._last.get(tenant.uid, _NEVER) >= every.total_seconds()
        ]
        for tenant in tended:
            self._tend(tenant)
            self._last[tenant.uid] = now
        return len(tended)

    @property
    def every(self) -> timedelta:
        """Return the time between two rounds."""
        adopted = any(tenant.place.codec == "pickled" for tenant in self.store.cache.active())
        return self.policy.poll if adopted else _ROUND

    def _tend(self, tenant: Tenant) -> None:
        self._resting(tenant)
        # The line is read before the look: read after it, a claimer's rightful raise in between would look like a fault.
        entry = self.store.agenda.get(tenant.uid)
        outlook = self.claims.look(tenant.place, budget=1)
        instants = [*([self._now()] if outlook.due else []), *([] if outlook.rest is None else [outlook.rest])]
        truth = min(instants, default=None)
        if truth is not None and (entry is None or entry.next is None or entry.next > truth):
            # As every writer does: the seq changes too, or a claimer at work would raise past it again.
            self.store.agenda.bump(tenant.uid, truth)
            self.store.runtime.events.emit(Repaired("agenda", tenant.uid))

    def _now(self) -> float:
        return self.store.time.now().timestamp()

    def _resting(self, tenant: Tenant) -> None:
        jobs = self.store.jobs(tenant.place)
        for document in jobs.resting(limit=_BATCH):
            if document.get("state") == "quarantined":
                self._recover(tenant, document)
            elif not self._open(tenant, document) and jobs.remove(document):
                self.store.runtime.events.emit(Repaired("removed", f"{tenant.uid}/{document['_id']}"))

    def _open(self, tenant: Tenant, document: Mapping[str, Any]) -> bool:
        job = tenant.place.job(str(document["_id"]))
        return bool(self.store.ledger(tenant.place).open_of(tenant.uid, job, states=OPEN))

    def _recover(self, tenant: Tenant, document: Mapping[str, Any]) -> None:
        """Bring back a job that was set aside because it could not be read, once it can be."""
        note = document.get("quarantine")
        reason = note.get("reason", "") if isinstance(note, dict) else ""
        if not str(reason).startswith("unreadable"):
            return
        if isinstance(readable(dict(document), tenant.place), str):
            return
        if self.store.jobs(tenant.place).recover(dict(document)):
            self.store.agenda.bump(tenant.uid, self._now())
            self.store.runtime.events.emit(Repaired("readable_again", f"{tenant.uid}/{document['_id']}"))
