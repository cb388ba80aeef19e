"""The product with one of its guards taken out: what a simulation must find out, or it proves nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from pymongo import ReturnDocument, UpdateOne

from cluster.advancing import Advancer
from cluster.sweeping import Sweep
from jobstore.agenda import Agenda
from jobstore.connection import stored
from jobstore.firing import Draft, Firing, read_firing
from jobstore.ledger import Ledger, Recorded
from jobstore.lifecycle import after
from jobstore.runs import Runs
from tests.support.simulation_world import NodesBroker

Sabotage = Callable[[], Any]


@contextmanager
def no_begin_guard() -> Iterator[None]:
    """A worker begins whatever a message names, in whatever state it is."""

    def begin(self: Any, firing: str, *, attempt: int, epoch: int, run_token: str, worker: str) -> Firing | None:
        found = self._firings.find_one_and_update(
            {"_id": firing},
            [
                {
                    "$set": {
                        "state": after("begin"),
                        "run_token": {"$literal": run_token},
                        "worker": {"$literal": worker},
                        "started_at": self._time.expression,
                        "attend_at": self._time.expression,
                    }
                }
            ],
            return_document=ReturnDocument.AFTER,
        )
        return None if found is None else read_firing(found)

    with patch.object(Runs, "begin", begin):
        yield


@contextmanager
def no_sweep() -> Iterator[None]:
    """Nobody mends what crashes and lost messages leave."""
    with patch.object(Sweep, "run_once", lambda _: None):
        yield


@contextmanager
def advance_before_insert() -> Iterator[None]:
    """A job moves on before its firing is in the ledger."""
    record, advance = Ledger.record, Advancer._advance
    kept: dict[str, tuple[Ledger, Draft, dict[str, Any]]] = {}

    def later(self: Ledger, drafts: Sequence[Draft], **times: Any) -> list[Recorded]:
        kept.update({draft.job: (self, draft, times) for draft in drafts})
        return [Recorded(draft) for draft in drafts]

    def first(self: Advancer, works: Sequence[Any]) -> None:
        drafts = [kept.pop(work.job.id) for work in works if work.job.id in kept]
        advance(self, works)
        for ledger, draft, times in drafts:
            record(ledger, [draft], **times)

    with patch.object(Ledger, "record", later), patch.object(Advancer, "_advance", first):
        yield


@contextmanager
def no_epoch_check() -> Iterator[None]:
    """Nobody notices that the broker forgot its messages."""
    with patch.object(NodesBroker, "check", lambda _: False):
        yield


@contextmanager
def raised_without_seq() -> Iterator[None]:
    """A claimer raises the agenda whatever was bumped since it looked."""

    @stored
    def raise_all(self: Any, raises: Sequence[tuple[Any, float | None]]) -> int:
        for entry, instant in raises:
            self._agenda.bulk_write([UpdateOne({"_id": entry.uid}, {"$set": {"next": instant}})])
        return len(raises)

    with patch.object(Agenda, "raise_all", raise_all):
        yield


@contextmanager
def one_member_acknowledges() -> Iterator[None]:
    """Writes count as done before a majority has them; ``Options.rollback`` plays the fail-over."""
    yield


SABOTAGES: Final[dict[str, Sabotage]] = {
    "no begin guard": no_begin_guard,
    "no sweep": no_sweep,
    "advance before insert": advance_before_insert,
    "w:1": one_member_acknowledges,
    "no epoch check": no_epoch_check,
    "agenda raised without seq": raised_without_seq,
}
