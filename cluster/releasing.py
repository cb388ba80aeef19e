"""Letting waiting firings go: retries whose time has come, manual ones, and whatever a crash left pending."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from cluster.dispatch import Admitted, Dispatcher
from cluster.policy import NodePolicy
from cluster.verdicts import Verdict, judge_pending
from jobstore.advance import admit
from jobstore.edits import snapshot_of
from jobstore.errors import Unreadable
from jobstore.events import FiringClosed, Repaired, WriteRefused
from jobstore.firing import Firing, Snapshot
from jobstore.job import Job
from jobstore.jobs import readable
from jobstore.ledger import Closing, Ledger
from jobstore.setaside import put_off, read_own, set_aside
from jobstore.store import Store
from jobstore.tenant import Tenant

_BATCH: Final = 500
_SLOT_WAIT: Final = timedelta(seconds=1)
_LEFT_WAIT: Final = timedelta(seconds=5)


@dataclass(slots=True)
class ReleasePass:
    """Releases what waits, ledger by ledger; ``run_once`` is one pass."""

    store: Store
    dispatcher: Dispatcher
    policy: NodePolicy
    node: str

    def run_once(self) -> int:
        """Look at every firing whose time to be looked at has come; return how many were released."""
        # Here and not where firings are handed over: a read there would make each of them later.
        self.store.routes.refresh()
        if not self.store.cache.trusted() or not self.dispatcher.breaker.closed():
            return 0
        released = 0
        now = self.store.time.now()
        for where in self.store.cache.ledgers():
            ledger = self.store.ledger(where)
            waiting = ledger.attend("pending", until=now, limit=_BATCH)
            admitted: list[Admitted] = []
            for uid, documents in _by_tenant(waiting).items():
                tenant = self.store.cache.get(uid)
                if tenant is not None:
                    admitted += self._tenant(ledger, tenant, documents, now)
                else:  # at every round it would crowd out the others
                    put_off(self.store.collections.ledger(where), documents, at=now)
            messages = self.dispatcher.release(ledger, admitted)
            self.dispatcher.publish(messages)
            released += len(messages)
        return released

    def _tenant(
        self, ledger: Ledger, tenant: Tenant, documents: Sequence[Mapping[str, Any]], now: datetime
    ) -> list[Admitted]:
        jobs = self.store.jobs(tenant.place)
        found = jobs.several(sorted({str(document.get("job")) for document in documents}))
        read = {name: readable(document, tenant.place) for name, document in found.items()}
        admitted = []
        for document in documents:
            try:
                firing = read_own(document)
            except Unreadable as error:
                set_aside(self.store.collections.firings(tenant.place), document, str(error), at=now)
                continue
            job = read.get(firing.job)
            known = job if isinstance(job, Job) else None
            verdict = judge_pending(firing, known, tenant, readable=not isinstance(job, str))
            one = self._act(ledger, tenant, firing, known, verdict, now)
            if one is not None and known is not None:
                admitted.append(one[0])
                read[firing.job] = one[1]
        return admitted

    def _act(
        self, ledger: Ledger, tenant: Tenant, firing: Firing, job: Job | None, verdict: Verdict, now: datetime
    ) -> tuple[Admitted, Job] | None:
        if verdict.kind == "close" and verdict.action is not None:
            closing = Closing(firing.id, firing.attempt, verdict.action, verdict.reason)
            self._close(ledger, closing, now)
        elif verdict.kind == "admit" and job is not None:
            return self._admit(ledger, tenant, firing, job, now)
        else:
            ledger.postpone(firing, until=now + _LEFT_WAIT, wait=firing.wait)
        return None

    def _close(self, ledger: Ledger, closing: Closing, now: datetime) -> None:
        if ledger.close([closing], at=now):
            self.store.runtime.events.emit(FiringClosed(closing.firing, closing.action, closing.reason))

    def _admit(
        self, ledger: Ledger, tenant: Tenant, firing: Firing, job: Job, now: datetime
    ) -> tuple[Admitted, Job] | None:
        current = firing.snapshot
        if current.revision < job.revision:  # nothing begins with arguments older than an edit, not even a retry
            current = snapshot_of(job)
            ledger.refresh(firing.id, older_than=job.revision, snapshot=current)
        slots: tuple[str, ...] = job.slots
        if firing.id not in slots:
            if len(slots) >= job.spec.max_instances:
                # The slots are a cache: what is final or missing in the ledger holds none.
                live = ledger.live(slots)
                slots = tuple(slot for slot in slots if slot in live)
            if len(slots) >= job.spec.max_instances:
                self._no_slot(ledger, firing, now)
                return None
            slots = (*slots, firing.id)
        jobs = self.store.collections.jobs(tenant.place)
        fence = admit(jobs, tenant.place, job, slots)
        self.store.runtime.points.reach("admit.after")
        if fence is None:
            self.store.runtime.events.emit(WriteRefused("admit", firing.id))
            return None
        if firing.wait == "advance":
            self.store.runtime.events.emit(Repaired("released", firing.id))
        return _admitted(firing, current, fence), replace(job, slots=slots, fence=fence)

    def _no_slot(self, ledger: Ledger, firing: Firing, now: datetime) -> None:
        if firing.kind == "scheduled" and firing.attempt == 1 and firing.on_full == "skip":
            self._close(ledger, Closing(firing.id, firing.attempt, "skip", "overlap"), now)
        else:
            ledger.postpone(firing, until=now + _SLOT_WAIT, wait="slot")


def _admitted(firing: Firing, current: Snapshot, fence: int) -> Admitted:
    return Admitted(
        uid=firing.uid,
        job=firing.job,
        firing=firing.id,
        attempt=firing.attempt,
        fence=fence,
        epoch=firing.epoch,
        due=firing.covers.through,
        pool=current.pool,
        time_limit_s=current.time_limit_s,
    )


def _by_tenant(documents: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for document in documents:
        groups.setdefault(str(document.get("tenant")), []).append(document)
    return groups
