"""Asking workers to drain and stop, wherever they are."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jobstore.errors import InvalidInput, NotFound
from jobstore.ids import check_pool
from jobstore.members import Member
from jobstore.store import Store

_LOOK_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainResult:
    """How many worker processes were asked, and which of them were still there at the end."""

    asked: int
    left: tuple[str, ...]


def drain(
    store: Store,
    workers: Sequence[str] = (),
    *,
    pool: str | None = None,
    host: str | None = None,
    wait_s: float = 0.0,
) -> DrainResult:
    """Ask worker processes to drain and stop; a whole worker stops when one of its processes is asked.

    Args:
        store: The store.
        workers: Beginnings of their ids.
        pool: Those that serve this pool.
        host: Those on this host.
        wait_s: How long they are waited for.

    Raises:
        InvalidInput: Nothing says which ones.
        NotFound: There is none of them.
    """
    if not workers and pool is None and host is None:
        raise InvalidInput("say which workers: by id, --pool or --host")
    if pool is not None:
        check_pool(pool)

    def meant(member: Member) -> bool:
        return (
            (not workers or member.id.startswith(tuple(workers)))
            and (pool is None or pool in member.details.get("pools", ()))
            and (host is None or host == member.details.get("host"))
        )

    found = [member for member in store.workers.all() if meant(member)]
    if not found:
        raise NotFound("there is no such worker; see: horarium pool stats POOL")
    asked = store.workers.ask_to_drain(found)
    clock, boots = store.runtime.clock, {member.boot for member in found}
    until, never = clock.monotonic() + wait_s, threading.Event()
    while (left := [m.id for m in store.workers.all() if m.boot in boots]) and clock.monotonic() < until:
        clock.wait(never, _LOOK_EVERY_S)
    return DrainResult(asked=asked, left=tuple(left))
