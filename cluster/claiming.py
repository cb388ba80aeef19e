"""The claim pass: from the agenda to published firings, for many tenants at once.

look → claim → plan and record → advance and admit → mark → publish → raise.  The order is the protocol: a firing is
in the ledger before its job moves on, and marked before its message goes out, so a crash after any step leaves
something that the next claim or the sweep completes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.advancing import Advancer
from cluster.crew import Crew
from cluster.dispatch import Dispatcher, trust_ends
from cluster.policy import NodePolicy
from cluster.recording import Recorder
from cluster.turns import Turn, Turns, preferred
from cluster.work import Work, begin_work
from jobstore.agenda import Entry
from jobstore.claims import Claims, Outlook
from jobstore.clock import to_posix
from jobstore.events import JobQuarantined, PassEnded, Repaired, WriteRefused
from jobstore.jobs import readable
from jobstore.store import Store
from jobstore.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Quiet:
    """What this node knows of a tenant without asking: nothing to claim before ``until`` unless ``seq`` changes."""

    seq: int
    until: float


@dataclass(slots=True)
class Take:
    """What one tenant's turn came to."""

    turn: Turn
    outlook: Outlook
    works: list[Work] = field(default_factory=list)


@dataclass(slots=True)
class ClaimPass:
    """Claims and releases for one node; ``run_once`` is one pass."""

    store: Store
    dispatcher: Dispatcher
    policy: NodePolicy
    node: str
    crew: Crew
    claims: Claims = field(init=False)
    turns: Turns = field(init=False)
    recorder: Recorder = field(init=False)
    advancer: Advancer = field(init=False)
    _quiet: dict[str, Quiet] = field(default_factory=dict)
    _ahead: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.claims = self.store.claims(self.policy.lease)
        self.turns = Turns(self.policy.budget)
        self.recorder = Recorder(self.store, self.policy)
        self.advancer = Advancer(self.store, self.dispatcher, self.crew)

    def run_once(self, nodes: Sequence[str]) -> int:
        """Claim what is due and release it; return how many jobs were claimed."""
        clock = self.store.runtime.clock
        started = clock.monotonic()
        turns = [turn for turn in self._turns(nodes) if turn.budget > 0]
        # The trust counts from before the claim: a slow answer must not stretch it.
        trusted_until = trust_ends(clock.monotonic(), self.policy)
        takes = self._look(turns)
        self.crew.map(self._claim, [take for take in takes if take.outlook.due])
        works = [work for take in takes for work in take.works]
        self.recorder.run(works, trusted_until=trusted_until)
        released = self.advancer.run(works, trusted_until=trusted_until)
        self._raise(takes)
        if works:
            recorded = sum(work.recorded for work in works)
            seconds = round(clock.monotonic() - started, 6)
            self.store.runtime.events.emit(PassEnded(len(works), recorded, released, seconds))
        return len(works)

    def next_due(self, nodes: Sequence[str]) -> float:
        """Return when this node must look at the agenda again, POSIX seconds, as its last pass read it."""
        now = to_posix(self.store.time.now())
        instants = [now + self.policy.poll.total_seconds()]
        for entry in self._ahead:
            if self._tenant(entry) is None:
                continue  # suspended or gone: its line says "now" for ever, and must not keep this node busy
            if self._is_quiet(entry, now):
                instants.append(self._quiet[entry.uid].until)
            elif preferred(entry.uid, nodes) != self.node:
                instants.append(entry.next + self.policy.help_after.total_seconds())
            else:
                instants.append(entry.next)
        return min(instants)

    def _turns(self, nodes: Sequence[str]) -> list[Turn]:
        now = to_posix(self.store.time.now())
        # One read serves this pass and the wait for the next one.
        self._ahead = self.store.agenda.due(now + self.policy.poll.total_seconds(), limit=self.policy.tenants)
        due: list[tuple[Entry, Tenant]] = []
        for entry in self._ahead:
            tenant = self._tenant(entry)
            if tenant is not None and entry.next <= now and not self._is_quiet(entry, now):
                due.append((entry, tenant))
        help_after = self.policy.help_after.total_seconds()
        return self.turns.order(due, node=self.node, nodes=nodes, now=now, help_after=help_after)

    def _tenant(self, entry: Entry) -> Tenant | None:
        tenant = self.store.cache.get(entry.uid)
        return tenant if tenant is not None and tenant.state == "active" else None

    def _is_quiet(self, entry: Entry, now: float) -> bool:
        quiet = self._quiet.get(entry.uid)
        return quiet is not None and quiet.seq == entry.seq and now < quiet.until

    def _look(self, turns: Sequence[Turn]) -> list[Take]:
        whole = [turn for turn in turns if turn.part is None]
        looks = self.claims.look_all([(turn.tenant.place, turn.budget) for turn in whole])
        takes = [Take(turn, outlook) for turn, outlook in zip(whole, looks, strict=True)]
        for turn in turns:
            if turn.part is not None:
                takes.append(Take(turn, self.claims.look_in_part(turn.tenant.place, turn.part, budget=turn.budget)))
        return takes

    def _claim(self, take: Take) -> None:
        """Claim what one tenant's look has found to be due."""
        tenant = take.turn.tenant
        if not self.store.cache.trusted():
            return
        documents = self.claims.claim(tenant.place, take.outlook.due, owner=self.node)
        self.turns.pay(tenant.uid, len(documents))
        self._tell(take, {document["_id"] for document in documents})
        for document in documents:
            job = readable(document, tenant.place)
            if isinstance(job, str):
                self._quarantine(tenant, document, job)
            else:
                take.works.append(begin_work(tenant, document, job))

    def _tell(self, take: Take, claimed: set[str]) -> None:
        """Announce lost races, and claims that a dead or late holder had left."""
        emit, uid = self.store.runtime.events.emit, take.turn.tenant.uid
        for key in take.outlook.due:
            if key not in claimed:
                emit(WriteRefused("claim", f"{uid}/{key}"))
        for key in take.outlook.expired:
            if key in claimed:
                emit(Repaired("lease_expired", f"{uid}/{key}"))

    def _quarantine(self, tenant: Tenant, document: Mapping[str, Any], reason: str) -> None:
        if self.store.jobs(tenant.place).quarantine(dict(document), f"unreadable: {reason}"):
            self.store.runtime.events.emit(JobQuarantined(tenant.uid, str(document["_id"]), reason))

    def _raise(self, takes: Sequence[Take]) -> None:
        """Raise the agenda to what was seen: what was left unclaimed counts as it was, what was advanced as it is now.

        A compare-and-set on the ``seq`` that was read before the look; every write that brings something nearer
        changes it.
        """
        now = to_posix(self.store.time.now())
        raises: list[tuple[Entry, float | None]] = []
        for take in takes:
            outlook, entry = take.outlook, take.turn.entry
            if len(outlook.due) > len(take.works):  # some were lost to others: they count as due still
                continue
            instants = [instant for work in take.works if (instant := work.remaining()) is not None]
            if outlook.complete:
                seen = min([*instants, *([] if outlook.rest is None else [outlook.rest])], default=None)
                if seen is None or seen > entry.next:
                    raises.append((entry, seen))
            self._quiet[entry.uid] = Quiet(entry.seq, self._wake(outlook, instants, now))
        self.store.agenda.raise_all(raises)
        self.store.runtime.points.reach("raise.after")

    def _wake(self, outlook: Outlook, instants: Sequence[float], now: float) -> float:
        soon = [*instants, *([] if outlook.wake is None else [outlook.wake])]
        if outlook.held or not outlook.complete:
            soon.append(now + _RECHECK)
        return min([*soon, now + self.policy.lease.total_seconds()])


# Documents that another node holds may be let go at any moment, to an instant that nobody announces.
_RECHECK = 0.25
