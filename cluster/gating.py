"""Limits of tenants at the moment of handing over: what may not go waits in the ledger, with the reason.

A full limit never stops claiming: instants are recorded as they come.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from jobstore.choices import Choices
from jobstore.clock import to_posix
from jobstore.events import FiringHeld
from jobstore.gates import Entry, Limit, hold
from jobstore.store import Store
from jobstore.tenant import Tenant

_SOON: Final = timedelta(seconds=0.5)
_LATEST: Final = timedelta(seconds=60)
# Firings that wait for a place are looked at again at this rate, or four times as many as there are places.
_LOOKS_PER_S: Final = 50.0


class Admittee(Protocol):
    """What wants to be handed over."""

    @property
    def uid(self) -> str:
        """Return the tenant's uid."""
        ...

    @property
    def firing(self) -> str:
        """Return the firing's id."""
        ...

    @property
    def attempt(self) -> int:
        """Return the attempt."""
        ...


_A = TypeVar("_A", bound=Admittee)


@dataclass(slots=True)
class Gatekeeper:
    """Keeps the tenants' limits for one node; what it remembers only spreads the next looks."""

    store: Store
    _next: dict[str, datetime] = field(default_factory=dict)

    def pass_through(self, admitted: Sequence[_A], now: datetime) -> list[_A]:
        """Return those that may be handed over now, in order; the others wait."""
        groups: dict[str, list[_A]] = {}
        for one in admitted:
            groups.setdefault(one.uid, []).append(one)
        allowed: set[tuple[str, int]] = set()
        for uid, group in groups.items():
            tenant = self.store.cache.get(uid)
            if tenant is None or (tenant.choices.max_live is None and tenant.choices.max_per_s is None):
                allowed |= {(one.firing, one.attempt) for one in group}
            else:
                allowed |= self._limited(tenant, group, now)
        return [one for one in admitted if (one.firing, one.attempt) in allowed]

    def _limited(self, tenant: Tenant, group: Sequence[_A], now: datetime) -> set[tuple[str, int]]:
        firings = self.store.collections.firings(tenant.place)
        wanted = [Entry(one.firing, one.attempt) for one in group]
        passage = self.store.gates.enter(tenant.uid, wanted, tenant.choices, firings=firings, now=to_posix(now))
        granted = set(passage.granted)
        held = [entry for entry in wanted if entry not in granted]
        if held and passage.limit is not None:
            step = _step(tenant.choices, passage.limit)
            hold(firings, [(entry, self._look(tenant.uid, now, step)) for entry in held], passage.limit)
            self.store.runtime.events.emit(FiringHeld(tenant.uid, passage.limit, len(held)))
        return {(entry.firing, entry.attempt) for entry in granted}

    def _look(self, uid: str, now: datetime, step: timedelta) -> datetime:
        """Return when to look again: spread, so that what waits of one tenant does not crowd out the others."""
        at = max(now + _SOON, min(self._next.get(uid, now), now + _LATEST))
        self._next[uid] = at + step
        return at


def _step(choices: Choices, limit: Limit) -> timedelta:
    if limit == "rate":
        return timedelta(seconds=1 / (choices.max_per_s or 1.0))
    return timedelta(seconds=1 / max(_LOOKS_PER_S, 4.0 * (choices.max_live or 1)))
