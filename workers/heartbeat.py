"""The sign of life of one worker process, and the news that a run is no longer its own.

One document for all runs of the process.  It goes on while MongoDB is away: the counter grows, the writes resume,
and nodes count a worker's silence from when they can read again.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jobstore.errors import StoreUnavailable
from jobstore.events import LoopFailed, WriteRefused
from jobstore.store import Store
from jobstore.tenant import Place
from workers.live import Interrupts, Live, Run
from workers.outcome import RunCancelled, RunLost
from workers.wire import KILL_GRACE_S

_LOG: Final = logging.getLogger("horarium.worker")
_MEASURE_EVERY: Final = 12


@dataclass(slots=True)
class Heartbeat:
    """One process's heartbeat; ``run_once`` is one beat.

    ``kill`` ends the process of a run that does not heed its cancellation, None where others run in it.
    ``drain`` makes the worker drain and stop.
    """

    store: Store
    live: Live
    interrupts: Interrupts
    worker: str
    about: Mapping[str, Any]
    every_s: float
    kill: Callable[[], None] | None = None
    drain: Callable[[], None] | None = None
    boot: str = ""
    counter: int = 0
    _failing: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.boot = self.boot or self.store.runtime.ids.token()

    def start(self) -> None:
        """Begin to beat, at once and in a thread of its own."""
        self._thread = threading.Thread(target=self._loop, name="horarium-heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop beating, and take the document away if nothing runs here any more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * self.every_s)
        if self.live.tokens():
            return
        try:
            self.store.workers.leave(self.worker, boot=self.boot)
        except StoreUnavailable:
            _LOG.info("worker %s could not say goodbye: MongoDB does not answer", self.worker)

    def run_once(self) -> None:
        """Write one heartbeat and look whether every run is still ours."""
        self.counter += 1
        try:
            if self.counter % _MEASURE_EVERY == 0:
                self.store.time.measure()
            details = {**self.about, "runs": self.live.tokens()}
            asked = self.store.workers.beat(
                self.worker, boot=self.boot, counter=self.counter, at=self.store.time.now(), details=details
            )
            if asked and self.drain is not None:
                drain, self.drain = self.drain, None
                drain()
            for place, runs in self._by_ledger().items():
                self._check(place, runs)
        except StoreUnavailable as error:
            self._failed(error)
        else:
            self._failing = False

    def _by_ledger(self) -> dict[Place, list[Run]]:
        found: dict[tuple[str, str], tuple[Place, list[Run]]] = {}
        for run in self.live.running():
            found.setdefault(run.place.ledger, (run.place, []))[1].append(run)
        return dict(found.values())

    def _check(self, place: Place, runs: list[Run]) -> None:
        mine = self.store.runs(place).still_mine({run.firing: run.token for run in runs})
        for run in runs:
            # A run that has ended meanwhile is not in the answer either: its own finish knows better.
            if run.phase != "running":
                continue
            if run.firing not in mine:
                run.cancelled.set()
                self.store.runtime.events.emit(WriteRefused("heartbeat", run.firing))
                self.interrupts.stop(run, RunLost)
            elif (reason := mine[run.firing]) is not None:
                self._cancel(run, reason)

        self._note(place, [run for run in runs if run.firing in mine])

    def _note(self, place: Place, runs: list[Run]) -> None:
        """Write what the code of these runs has said since the last time."""
        said = [
            (run, book, found) for run in runs if (book := run.notebook) is not None and (found := book.unwritten())
        ]
        if not said:
            return
        self.store.runs(place).note([(run.firing, run.token, noted) for run, _, (_, noted) in said])
        for _, book, (version, _) in said:
            book.written(version)

    def _cancel(self, run: Run, reason: str) -> None:
        now = self.store.runtime.clock.monotonic()
        if run.cancel_reason is None:
            run.cancel_reason, run.cancel_seen = reason, now
            run.cancelled.set()
            self.interrupts.stop(run, RunCancelled)
        elif self.kill is not None and now - run.cancel_seen > KILL_GRACE_S and run.phase == "running":
            # The sweep finds the worker gone, and the firing is cancelled all the same.
            self.kill()

    def _failed(self, error: Exception) -> None:
        if not self._failing:  # once an outage, not once a beat
            self._failing = True
            self.store.runtime.events.emit(LoopFailed("heartbeat", str(error)))

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                self.run_once()
            except Exception as error:  # noqa: BLE001  (the one place where a worker outlives a bug)
                # A silent worker is declared dead and its runs begin again elsewhere: it beats whatever happens.
                _LOG.exception("a heartbeat of %s failed", self.worker)
                self._failed(error)
            self.store.runtime.clock.wait(self._stop, self.every_s)
