"""The life of a tenant: suspend, drain, resume, delete.

A process acts for a tenant only within ``TRUST`` seconds of having confirmed it, and one write or publish that has
begun takes ``ACT`` seconds at most: so whoever stops a tenant waits for both, cancels what has not begun, and answers
only then.
"""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from cluster.operations.common import NotAllowed, open_room, until_won
from cluster.operations.views import TenantStop
from cluster.operations.words import instant
from jobstore.audit import Note
from jobstore.clock import to_posix
from jobstore.errors import InvalidInput
from jobstore.events import FiringClosed
from jobstore.halt import GAP_POLICIES, Gap, GapPolicy, Halt
from jobstore.ledger import Closing
from jobstore.lifecycle import TENANTS, TenantAction, before
from jobstore.store import Store
from jobstore.tenant import Tenant
from jobstore.tenants import TRUST
from jobstore.traces import Traces

# The longest that one command to MongoDB may take (jobstore.connection), once it has been sent.
ACT: Final = 5.0
SETTLED: Final = timedelta(seconds=TRUST + ACT)
LONGEST_GRACE: Final = timedelta(days=366)
_LONGEST_TEXT: Final = 500


def suspend(
    store: Store, tenant_id: str, *, who: str, why: str, until: datetime | None = None, gap: GapPolicy = "skip"
) -> TenantStop:
    """Let nothing of a tenant begin until it is resumed; answered when nothing can begin any more.

    What runs goes on to its end.  What was recorded and has not begun is cancelled.  With ``until`` nodes resume it
    by themselves then, and do about the gap what ``gap`` says.

    Raises:
        InvalidInput: Something given cannot be.
        NotFound: There is no such tenant.
        NotAllowed: The tenant is deleted.
    """
    halt = _halt(store, who, why, until, gap)
    changed, tenant = _stop(store, tenant_id, "suspend", halt)
    _settle(store, tenant, changed)
    return _answer(store, tenant, changed, _cancel(store, tenant))


def drain(
    store: Store, tenant_id: str, *, who: str, why: str, until: datetime | None = None, gap: GapPolicy = "skip"
) -> TenantStop:
    """Make no new firings for a tenant, and bring what was recorded to its end (raises as ``suspend``).

    Answered when nothing new can be recorded any more.
    """
    halt = _halt(store, who, why, until, gap)
    changed, tenant = _stop(store, tenant_id, "drain", halt)
    _settle(store, tenant, changed)
    return _answer(store, tenant, changed, 0)


def resume(
    store: Store, tenant_id: str, *, who: str, gap: GapPolicy | None = None, expected: int | None = None
) -> TenantStop:
    """Let a tenant run again; one that is deleted too, as long as its grace lasts.

    ``gap`` says what becomes of the instants that passed: ``skip``, ``latest`` or ``all``; by default what was said
    when the tenant was stopped.  With ``expected`` only that revision is resumed.

    Raises:
        InvalidInput: Something given cannot be.
        NotFound: There is no such tenant.
    """
    _check_text("who", who)
    _check_gap(gap)

    def attempt() -> tuple[bool, Tenant] | None:
        tenant = open_room(store, tenant_id).tenant
        halt = tenant.halt
        if tenant.state == "active" or (expected is not None and tenant.revision != expected):
            return False, tenant
        chosen = gap or (halt.gap if halt is not None else "skip")
        changed = replace(
            tenant,
            state=TENANTS["resume"][1],
            # What was cancelled must not come back; what was only drained goes on.
            epoch=tenant.epoch if tenant.state == "draining" else tenant.epoch + 1,
            revision=tenant.revision + 1,
            halt=None,
            gap=Gap(through=to_posix(store.time.now()), policy=chosen),
        )
        return (True, changed) if store.tenants.replace(changed, revision=tenant.revision) else None

    changed, tenant = until_won(attempt, f"tenant {tenant_id!r}")
    if changed:
        # Once more after the change: what was due all along is news now.
        store.agenda.bump(tenant.uid, to_posix(store.time.now()))
        gap_note = tenant.gap.policy if tenant.gap is not None else ""
        _note(store, tenant, "tenant.resume", who, "", {"gap": gap_note})
    return _answer(store, tenant, changed, 0)


def delete(store: Store, tenant_id: str, *, who: str, why: str, grace: timedelta) -> TenantStop:
    """Delete a tenant: nothing begins after the answer, and every trace is removed by nodes when ``grace`` is over.

    Until then ``resume`` brings it back.

    Raises:
        InvalidInput: Something given cannot be.
        NotFound: There is no such tenant.
    """
    if not timedelta(0) <= grace <= LONGEST_GRACE:
        raise InvalidInput(f"a grace lasts from 0 to {LONGEST_GRACE.days} days")
    halt = _halt(store, who, why, None, "skip")
    # Not before everybody has heard of it: a purge must not run beside somebody who still writes.
    purge_at = halt.since + max(grace, SETTLED)
    changed, tenant = _stop(store, tenant_id, "delete", replace(halt, purge_at=purge_at))
    _settle(store, tenant, changed)
    return _answer(store, tenant, changed, _cancel(store, tenant))


def preview_delete(store: Store, tenant_id: str) -> TenantStop:
    """Return what a deletion would remove; nothing is changed."""
    tenant = open_room(store, tenant_id).tenant
    return _answer(store, tenant, changed=False, cancelled=0, whole=True)


def _halt(store: Store, who: str, why: str, until: datetime | None, gap: GapPolicy) -> Halt:
    now = store.time.now()
    _check_text("who", who)
    _check_text("why", why)
    _check_gap(gap)
    if until is not None and until.tzinfo is None:
        raise InvalidInput(f"until: {until} has no time zone")
    if until is not None and until <= now:
        raise InvalidInput(f"until: {instant(until)} has passed")
    return Halt(who=who, why=why, since=now, until=until, gap=gap)


def _check_text(what: str, text: str) -> None:
    if not text.strip() or len(text) > _LONGEST_TEXT or not text.isprintable():
        raise InvalidInput(f"{what}: write 1 to {_LONGEST_TEXT} printable characters")


def _check_gap(gap: GapPolicy | None) -> None:
    if gap is not None and gap not in GAP_POLICIES:
        raise InvalidInput(f"{gap!r:.40} says nothing about the gap; known: {', '.join(GAP_POLICIES)}")


def _stop(store: Store, tenant_id: str, action: TenantAction, halt: Halt) -> tuple[bool, Tenant]:
    """Write the halt; False if the tenant was in that state already, for whoever did it may have died since."""
    sources, target = TENANTS[action]

    def attempt() -> tuple[bool, Tenant] | None:
        tenant = open_room(store, tenant_id).tenant
        if tenant.state == target:
            return False, tenant
        if tenant.state not in sources:
            raise NotAllowed(f"tenant {tenant.id!r} is {tenant.state}; resume it first")
        changed = replace(
            tenant,
            state=target,
            epoch=tenant.epoch if action == "drain" else tenant.epoch + 1,
            revision=tenant.revision + 1,
            halt=halt,
        )
        return (True, changed) if store.tenants.replace(changed, revision=tenant.revision) else None

    changed, tenant = until_won(attempt, f"tenant {tenant_id!r}")
    if changed:
        _note(store, tenant, f"tenant.{action}", halt.who, halt.why, halt.fields())
    return changed, tenant


def _settle(store: Store, tenant: Tenant, changed: bool) -> None:
    """Wait until nobody acts any more on what was confirmed before the change."""
    left = SETTLED
    if not changed and tenant.halt is not None:
        left = SETTLED - (store.time.now() - tenant.halt.since)
    store.runtime.points.reach("halt.after")
    store.runtime.clock.wait(threading.Event(), max(0.0, left.total_seconds()))


def _cancel(store: Store, tenant: Tenant) -> int:
    """Cancel what has not begun; return how much that was."""
    ledger, count = store.ledger(tenant.place), 0
    for batch in Traces(store.collections, tenant.place).unbegun(before("cancel")):
        closings = [Closing(one["_id"], one["attempt"], "cancel", "tenant_stopped") for one in batch]
        closed = ledger.close(closings, at=store.time.now())
        for firing in closed:
            store.runtime.events.emit(FiringClosed(firing, "cancel", "tenant_stopped"))
        count += len(closed)
    return count


def _note(store: Store, tenant: Tenant, what: str, who: str, why: str, details: dict[str, object]) -> None:
    note = Note(at=store.time.now(), who=who, what=what, tenant=tenant.id, uid=tenant.uid, why=why, details=details)
    store.audit.write(note)


def _answer(store: Store, tenant: Tenant, changed: bool, cancelled: int, *, whole: bool = False) -> TenantStop:
    traces = Traces(store.collections, tenant.place)
    counts, halt = traces.count_open(), tenant.halt
    have = traces.count() if whole or tenant.state == "deleted" else {}
    return TenantStop(
        verdict="changed" if changed else "unchanged",
        tenant=tenant.id,
        uid=tenant.uid,
        state=tenant.state,
        epoch=tenant.epoch,
        cancelled=cancelled,
        waiting=counts["pending"] + counts["dispatched"],
        running=counts["running"],
        who=None if halt is None else halt.who,
        why=None if halt is None else halt.why,
        since=None if halt is None else halt.since,
        until=None if halt is None else halt.until,
        purge_at=None if halt is None else halt.purge_at,
        gap=tenant.gap.policy if tenant.gap is not None and tenant.state == "active" else None,
        jobs=have.get("jobs"),
        firings=have.get("firings"),
    )
