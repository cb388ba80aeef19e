"""Whose turn it is: which due tenants this node serves, in which order, with what budget.  Pure but for its memory.

Weighted deficit round robin: every due tenant earns ``quantum * weight`` in each pass and pays for what was claimed,
so one tenant's hundred thousand due jobs take the same share of a pass as another's.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from jobstore.agenda import Entry
from jobstore.claims import Part
from jobstore.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Turn:
    """One tenant's share of a pass; ``part`` of its due jobs comes first where several nodes serve it."""

    entry: Entry
    tenant: Tenant
    budget: int
    part: Part | None = None


def preferred(uid: str, nodes: Collection[str]) -> str | None:
    """Return the living node that serves ``uid`` first: rendezvous hashing, so a change of nodes moves few tenants."""
    return max(nodes, key=lambda node: hashlib.blake2b(f"{uid}|{node}".encode(), digest_size=8).digest(), default=None)


@dataclass(slots=True)
class Turns:
    """Remembers what each tenant may still take."""

    quantum: int
    _deficit: dict[str, int] = field(default_factory=dict)

    def order(
        self,
        due: Sequence[tuple[Entry, Tenant]],
        *,
        node: str,
        nodes: Collection[str],
        now: float,
        help_after: float,
    ) -> list[Turn]:
        """Return this node's turns: its own tenants, and anybody's that are late.

        Args:
            due: Agenda entries with their tenants, the most overdue first.
            node: This node.
            nodes: The living nodes, this one among them.
            now: POSIX seconds.
            help_after: A tenant later than this many seconds is served by whoever comes.
        """
        turns = []
        ranks = sorted(nodes)
        for entry, tenant in due:
            late = now - entry.next > help_after
            if not late and preferred(entry.uid, nodes) != node:
                continue
            # All nodes at the head of one queue would spend half their work on lost races.
            part = Part(ranks.index(node), len(ranks)) if late and len(ranks) > 1 and node in ranks else None
            most = 2 * self.quantum * tenant.weight
            left = min(most, self._deficit.get(entry.uid, 0) + self.quantum * tenant.weight)
            self._deficit[entry.uid] = left
            turns.append(Turn(entry, tenant, left, part))
        present = {entry.uid for entry, _ in due}
        # A tenant with nothing due saves nothing up.
        self._deficit = {uid: left for uid, left in self._deficit.items() if uid in present}
        return turns

    def pay(self, uid: str, claimed: int) -> None:
        """Charge a tenant for what was claimed."""
        if uid in self._deficit:
            self._deficit[uid] = max(0, self._deficit[uid] - claimed)
