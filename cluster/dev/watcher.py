"""Follows the store in a thread of its own and hands out what there is to show."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from cluster.dev.acts import Acts
from cluster.dev.feed import Feed
from cluster.dev.memory import Memory
from cluster.dev.promise import count
from cluster.dev.scene import FiringRow, Note, TenantRow, aftermath_text, firing_row, takeover_text
from cluster.dev.takeover import Death, Takeover, aftermath, takeover, turns
from cluster.dev.tally import Totals
from jobstore.errors import StoreUnavailable
from jobstore.lifecycle import FINAL
from jobstore.store import Store

_EVERY_S: Final = 0.4
_CHECK_EVERY_S: Final = 1.5
_ROWS: Final = 40
_STRIPS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of the cluster at one moment; ``ended`` are the firings that became final since the last."""

    tenants: Sequence[TenantRow] = ()
    firings: Sequence[FiringRow] = ()
    ended: Sequence[FiringRow] = ()
    totals: Totals = field(default_factory=Totals)
    holds: dict[str, int] = field(default_factory=dict)
    notes: Sequence[Note] = ()


class Watcher:
    """Polls until it is stopped; ``facts`` is always whole."""

    def __init__(self, store: Store, memory: Memory, acts: Acts, told: Callable[[Facts], None]) -> None:
        """Follow ``store`` into ``memory``; ``told`` is called with new facts, in the watcher's thread."""
        self.facts = Facts()
        self.takeovers: dict[Death, Takeover] = {}
        self._store, self._memory, self._acts, self._told = store, memory, acts, told
        self._feed = Feed(store, memory)
        self._stop = threading.Event()
        self._final: set[str] = set()
        self._checked_at, self._counts = float("-inf"), (0, 0)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="watcher")
        self._following: Future[None] | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._following = self._pool.submit(self._loop)

    def check(self) -> None:
        """Raise what ended the following, if something did: a screen that stands still would not tell."""
        if self._following is not None and self._following.done():
            self._following.result()

    def stop(self) -> None:
        """Stop following, and wait until it has."""
        self._stop.set()
        self._pool.shutdown()

    def look(self) -> None:
        """Read once and tell (raises StoreUnavailable)."""
        self._feed.poll()
        serving = Counter(turns(self._memory.firings(), self._memory.at).values())
        self._acts.meet([tenant.id for tenant in self._memory.tenants], serving)
        self.facts = self._gathered()
        self._told(self.facts)

    def _loop(self) -> None:
        clock = self._store.runtime.clock
        away = False
        while not self._stop.is_set():
            try:
                self.look()
                away = False
            except StoreUnavailable as error:
                if not away:
                    away = True
                    said = Note(at=clock.now(), text=str(error).splitlines()[0], good=False)
                    self.facts = Facts(
                        tenants=self.facts.tenants,
                        firings=self.facts.firings,
                        totals=self.facts.totals,
                        notes=[*self.facts.notes, said],
                    )
                    self._told(self.facts)
            clock.wait(self._stop, _EVERY_S)

    def _gathered(self) -> Facts:
        memory = self._memory
        firings = memory.firings()
        rows = [firing_row(firing, memory.name_of(firing.uid)) for firing in firings[-_ROWS:]]
        final = [one for one in firings if one.state in FINAL and one.created_at >= memory.begun]
        ended = [firing_row(one, memory.name_of(one.uid)) for one in final if one.id not in self._final]
        self._final = {one.id for one in firings if one.state in FINAL}
        tenants = [
            TenantRow(
                name=tenant.id,
                cells=memory.strip(tenant.uid),
                totals=memory.totals(tenant.uid),
                state="paused" if tenant.id in self._acts.paused else tenant.state.removeprefix("active"),
            )
            for tenant in memory.tenants[:_STRIPS]
        ]
        return Facts(
            tenants=tenants + [TenantRow(name=one.id, cells=(), totals=Totals()) for one in memory.tenants[_STRIPS:]],
            firings=rows,
            ended=ended,
            totals=memory.totals(),
            holds=dict(memory.holds),
            notes=self._notes(),
        )

    def _notes(self) -> list[Note]:
        notes = []
        for death in list(self._acts.deaths):
            if death.name.startswith("node-"):
                self._follow(death)
                said, good = takeover_text(self.takeovers[death], *self._broken())
            else:
                said, good = aftermath_text(aftermath(death, self._memory.firings()))
            notes.append(Note(at=death.at, text=said, good=good))
        if self._acts.trouble:
            notes.append(Note(at=self._memory.at, text=self._acts.trouble, good=False))
        return notes

    def _follow(self, death: Death) -> None:
        # What was seen stays: the firings that it was read from are let go one day.
        known = self.takeovers.get(death)
        if known is None or not known.settled:
            self.takeovers[death] = takeover(death, self._memory.firings(), self._memory.at)

    def _broken(self) -> tuple[int, int]:
        """Return how many are lost and how many came twice, looked at anew every few seconds."""
        now = self._store.runtime.clock.monotonic()
        if now - self._checked_at >= _CHECK_EVERY_S:
            self._checked_at = now
            found = self._memory.findings()
            self._counts = count(found, "lost"), count(found, "twice", "early")
        return self._counts
