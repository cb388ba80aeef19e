"""Cancelling one firing: what has not begun is over at once, what runs is asked to end."""

from dataclasses import dataclass
from typing import Final, Literal

from cluster.operations.common import NotAllowed, Room, open_room, until_won
from cluster.operations.firings import find
from cluster.operations.shown import firing_view
from cluster.operations.views import FiringView
from jobstore.audit import Note
from jobstore.errors import InvalidInput
from jobstore.events import FiringClosed
from jobstore.firing import Firing
from jobstore.ledger import Closing
from jobstore.lifecycle import before
from jobstore.store import Store

ASKED: Final = "cancel_asked"
_LONGEST: Final = 500

Verdict = Literal["cancelled", "asked", "unchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelResult:
    """What became of a firing that was cancelled: over, asked to end, or either of them before."""

    verdict: Verdict
    firing: FiringView


def cancel(store: Store, tenant_id: str, firing_id: str, *, who: str = "", why: str = "") -> CancelResult:
    """Cancel a firing: a queued one never begins after this returns, a running one is told by its worker's heartbeat.

    Args:
        store: The store.
        tenant_id: The tenant.
        firing_id: The firing.
        who: Who asks, for the record and the audit.
        why: What for, at most 500 characters.

    Raises:
        InvalidInput: The id is malformed, or the reason too long.
        NotFound: There is no such tenant, or no such firing of it.
        NotAllowed: It has ended in another way.
        RevisionConflict: It moves on all the time.
    """
    if len(why) > _LONGEST:
        raise InvalidInput(f"the reason has {len(why):,} characters; at most {_LONGEST} are kept")
    room = open_room(store, tenant_id)

    def attempt() -> Verdict | None:
        return _attempt(room, find(room, firing_id), who, why)

    verdict: Verdict = until_won(attempt, f"firing {firing_id}")
    if verdict != "unchanged":
        note = Note(
            at=store.time.now(),
            who=who,
            what="firing.cancel",
            tenant=room.tenant.id,
            uid=room.tenant.uid,
            why=why,
            details={"firing": firing_id, "verdict": verdict},
        )
        store.audit.write(note)
    return CancelResult(verdict=verdict, firing=firing_view(room.tenant, find(room, firing_id)))


def _attempt(room: Room, firing: Firing, who: str, why: str) -> Verdict | None:
    """Do what the state that was read allows; None if the firing has moved on since."""
    at = room.store.time.now()
    if firing.state in before("cancel"):
        if not room.ledger.close([Closing(firing.id, firing.attempt, "cancel", ASKED)], at=at):
            return None
        room.store.runtime.events.emit(FiringClosed(firing.id, "cancel", ASKED))
        return "cancelled"
    if firing.state in before("abort"):
        asked = room.ledger.request_cancel([firing.id], reason=ASKED, at=at, by=who, note=why)
        if not asked:
            return None
        return "asked" if firing.cancel is None else "unchanged"
    if firing.state != "cancelled":
        raise NotAllowed(f"firing {firing.id} has ended already: it is {firing.state}")
    return "unchanged"
