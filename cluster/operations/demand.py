"""What pools want, and which jobs make the peak."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from jobstore.clock import from_posix
from jobstore.demand import read_demand
from jobstore.errors import InvalidInput
from jobstore.expectations import Expectations, share
from jobstore.ids import check_pool
from jobstore.store import Store

_FARTHEST: Final = 86_400.0
_CAUSES: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseView:
    """A job that is due at the peak; ``slots`` is its share, ``expected_s`` None where it never ran."""

    tenant: str
    job: str
    at: datetime
    expected_s: float | None
    slots: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandView:
    """What a pool wants; ``due_slots`` is what the ``due_soon`` firings want at their peak, ``causes`` the peak's."""

    pool: str
    slots: int
    running: int
    queued: int
    due_soon: int
    due_slots: int
    oldest_age_s: float
    causes: tuple[CauseView, ...]


def demand(store: Store, pool: str | None = None, *, within_s: float = 300.0) -> list[DemandView]:
    """Return what a pool wants, or every pool that wants anything.

    Raises:
        InvalidInput: The name is malformed, or the time is out of bounds.
    """
    if pool is not None:
        check_pool(pool)
    if not 0 <= within_s <= _FARTHEST:
        raise InvalidInput(f"demand looks ahead from 0 s to a day, not {within_s:g} s")
    store.cache.refresh()
    names = {tenant.uid: tenant.id for tenant in store.cache.all()}
    found = read_demand(store, horizon=timedelta(seconds=within_s), expectations=Expectations(store))
    return [
        DemandView(
            pool=one.pool,
            slots=one.slots,
            running=one.running,
            queued=one.queued,
            due_soon=one.due_soon,
            due_slots=one.due_slots or 0,
            oldest_age_s=one.oldest_age_s,
            causes=tuple(
                CauseView(
                    tenant=names.get(cause.uid, cause.uid),
                    job=cause.job,
                    at=from_posix(cause.at),
                    expected_s=cause.expected_s,
                    slots=round(share(cause), 3),
                )
                for cause in one.causes[:_CAUSES]
            ),
        )
        for one in found
        if pool in (None, one.pool)
    ]
