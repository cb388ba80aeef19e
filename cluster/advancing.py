"""Advancing recorded jobs, and settling in the ledger what the advance decided."""

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.crew import Crew
from cluster.dispatch import Dispatcher
from cluster.work import Work, by_ledger, by_tenant
from jobstore.advance import apply_advances
from jobstore.events import FiringClosed, WriteRefused
from jobstore.store import Store


@dataclass(frozen=True, slots=True)
class Advancer:
    """Moves jobs on, closes what does not run, releases what was admitted."""

    store: Store
    dispatcher: Dispatcher
    crew: Crew

    def run(self, works: Sequence[Work], *, trusted_until: float) -> int:
        """Advance and release; return how many firings were handed to the sender."""
        ready = [work for work in works if not work.faulted]
        if not ready or self.store.runtime.clock.monotonic() >= trusted_until:
            return 0
        self._advance(ready)
        self.store.runtime.points.reach("advance.after")
        advanced = [work for work in ready if work.advanced]
        messages = []
        for where, group in by_ledger(advanced).items():
            self._close(where, group)
            admitted = [one for work in group for one in work.admitted]
            messages += self.dispatcher.release(self.store.ledger(where), admitted)
        if self.store.runtime.clock.monotonic() < trusted_until:
            self.dispatcher.publish(messages)
        else:  # a node that lives and marked too late would otherwise be waited for as long as for a lost message
            self.dispatcher.leave(messages)
        return len(messages)

    def _advance(self, works: Sequence[Work]) -> None:
        self.crew.map(self._advance_tenant, list(by_tenant(works).values()))

    def _advance_tenant(self, works: Sequence[Work]) -> None:
        place = works[0].tenant.place
        moves = [work.advance() for work in works]
        done = apply_advances(self.store.collections.jobs(place), place, moves, self.store.runtime.ids)
        for work in works:
            work.advanced = work.job.id in done
            if not work.advanced:
                self.store.runtime.events.emit(WriteRefused("advance", work.key))

    def _close(self, where: tuple[str, str], works: Sequence[Work]) -> None:
        closings = [closing for work in works for closing in work.closings]
        closed = self.store.ledger(where).close(closings, at=self.store.time.now())
        for closing in closings:
            if closing.firing in closed:
                self.store.runtime.events.emit(FiringClosed(closing.firing, closing.action, closing.reason))
