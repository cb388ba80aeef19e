"""Reads jobs, ledger and members for the screen: a handful of small queries, a few times a second."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cluster.dev.memory import Memory, Reading
from jobstore.connection import Document
from jobstore.errors import Unreadable
from jobstore.firing import Firing
from jobstore.job import Job
from jobstore.jobs import readable
from jobstore.ledger import Ledger
from jobstore.store import Store
from jobstore.tenant import Tenant

_JOBS_EVERY_S: Final = 1.0
_PAGE: Final = 60
_LARGEST_PAGE: Final = 4_000
# With more tenants than this a round looks at the next ones; the queries a second stay the same.
_TENANTS_A_ROUND: Final = 8
_OPEN_A_ROUND: Final = 20


@dataclass(slots=True)
class Feed:
    """Fills a memory from a store; ``poll`` is one look."""

    store: Store
    memory: Memory
    _turn: int = 0
    _jobs_at: dict[str, float] = field(default_factory=dict)
    _members_at: float = float("-inf")
    _holds: dict[str, Counter[str]] = field(default_factory=dict)
    _runs: Mapping[str, int] = field(default_factory=dict)

    def poll(self) -> None:
        """Read once (raises StoreUnavailable)."""
        at = self.store.time.now()
        self.store.cache.refresh()
        tenants = sorted(self.store.cache.all(), key=lambda tenant: tenant.id)
        self._members()
        jobs: dict[str, Sequence[Job]] = {}
        found: dict[str, Sequence[Firing]] = {}
        floors: dict[str, float] = {}
        for tenant in self._next(tenants):
            if self._jobs_are_old(tenant):
                jobs[tenant.uid] = self._jobs(tenant, at)  # before the ledger: see Look
            page, whole = self._page(tenant)
            if not whole:
                floors[tenant.uid] = page[-1].nominal
            found[tenant.uid] = page + self._still_open(tenant, page)
        reading = Reading(
            at=at,
            tenants=tenants,
            jobs=jobs,
            firings=found,
            floors=floors,
            holds=sum(self._holds.values(), Counter()),
            runs=self._runs,
        )
        self.memory.take(reading)

    def _next(self, tenants: Sequence[Tenant]) -> list[Tenant]:
        if len(tenants) <= _TENANTS_A_ROUND:
            return list(tenants)
        begin = self._turn % len(tenants)
        self._turn += _TENANTS_A_ROUND
        return [*tenants[begin:], *tenants[:begin]][:_TENANTS_A_ROUND]

    def _members(self) -> None:
        now = self.store.runtime.clock.monotonic()
        if now - self._members_at >= _JOBS_EVERY_S:
            self._members_at = now
            self._runs = {member.id: len(member.details.get("runs", ())) for member in self.store.workers.all()}

    def _jobs_are_old(self, tenant: Tenant) -> bool:
        now = self.store.runtime.clock.monotonic()
        if now - self._jobs_at.get(tenant.uid, float("-inf")) < _JOBS_EVERY_S:
            return False
        self._jobs_at[tenant.uid] = now
        return True

    def _jobs(self, tenant: Tenant, at: datetime) -> list[Job]:
        documents = self.store.jobs(tenant.place).all(limit=_LARGEST_PAGE)
        self._holds[tenant.uid] = Counter(str(one.get("owner")) for one in documents if _claimed(one, at))
        found = [readable(document, tenant.place) for document in documents]
        return [job for job in found if isinstance(job, Job)]

    def _page(self, tenant: Tenant) -> tuple[list[Firing], bool]:
        """Return the newest firings as far back as they are new, and whether nothing is missing before them."""
        ledger, limit = self.store.ledger(tenant.place), _PAGE
        while True:
            page = _history(ledger, tenant.uid, limit)
            if len(page) < limit or self.memory.knows(page[-1]):
                return page, True
            if limit >= _LARGEST_PAGE or page[-1].created_at < self.memory.begun:
                return page, False
            limit *= 4

    def _still_open(self, tenant: Tenant, page: Sequence[Firing]) -> list[Firing]:
        """Return those that the page is too short for, and that may have changed all the same."""
        there = {firing.id for firing in page}
        ledger = self.store.ledger(tenant.place)
        waiting = [firing for firing in self.memory.open_of(tenant.uid) if firing.id not in there]
        found = [_one(ledger, firing.id) for firing in waiting[:_OPEN_A_ROUND]]
        return [firing for firing in found if firing is not None]


def read_all(store: Store, tenant: Tenant, since: datetime, most: int = 50_000) -> list[Firing]:
    """Return a tenant's firings, the newest nominal first, back to one that was made before ``since``.

    Its last ``most`` at least (raises StoreUnavailable).
    """
    ledger, limit = store.ledger(tenant.place), min(1_000, most)
    while True:
        page = _history(ledger, tenant.uid, limit)
        if len(page) < limit or limit >= most or page[-1].created_at < since:
            return page
        limit = min(most, limit * 5)


def read_jobs(store: Store, tenant: Tenant) -> list[Job]:
    """Return the jobs of a tenant that can be read (raises StoreUnavailable)."""
    found = [readable(document, tenant.place) for document in store.jobs(tenant.place).all()]
    return [job for job in found if isinstance(job, Job)]


def _history(ledger: Ledger, uid: str, limit: int) -> list[Firing]:
    try:
        return ledger.history(uid, limit=limit)
    except Unreadable:  # one damaged record: the screen goes without, the nodes report it
        return []


def _one(ledger: Ledger, firing: str) -> Firing | None:
    try:
        return ledger.get(firing)
    except Unreadable:
        return None


def _claimed(document: Document, at: datetime) -> bool:
    until = document.get("lease_until")
    return isinstance(until, datetime) and until > at
