"""Which job store is visited when: each in a thread of its own, a bounded number at a time."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from logging import Logger
from typing import Any, Final

from jobstore.clock import Clock

MOST_AT_ONCE: Final = 8
# A visit that takes longer than this waits for something; it takes nobody's place while it does.
STUCK_AFTER_S: Final = 1.0
LONGEST_WAIT_S: Final = 0.5
# Looking at an idle store costs two queries: this bounds what all of them cost.
_MOST_LOOKS_PER_S: Final = 100


@dataclass(slots=True, eq=False)
class Turn:
    """One job store's place in the loop, times on the monotonic clock."""

    alias: str
    store: Any
    next_at: float = 0.0
    since: float | None = None
    nudged: bool = False
    started: bool = False
    tried: bool = False
    visitor: Any = None


class Visits:
    """The turns of all stores.  Nothing here waits for a store."""

    def __init__(
        self, visit: Callable[[Turn], float], wake: Callable[[], None], clock: Clock, logger: Logger, retry_s: float
    ) -> None:
        self._visit = visit
        self._wake = wake
        self._clock = clock
        self._logger = logger
        self._retry_s = retry_s
        self._turns: dict[str, Turn] = {}
        self._backlog = False
        self._wakes_at = 0.0
        self._lock = threading.Condition()

    def follow(self, stores: Mapping[str, Any]) -> list[Turn]:
        """Return the turns of ``stores``, new ones for those that are new."""
        with self._lock:
            for alias, store in stores.items():
                if alias not in self._turns or self._turns[alias].store is not store:
                    self._turns[alias] = Turn(alias, store)
            self._turns = {alias: turn for alias, turn in self._turns.items() if alias in stores}
            return list(self._turns.values())

    def begin_due(self, stores: Mapping[str, Any]) -> float:
        """Begin the visits whose time has come; return the seconds until the next one."""
        turns = self.follow(stores)
        with self._lock:
            now = self._clock.monotonic()
            free = MOST_AT_ONCE - sum(
                1 for turn in turns if turn.since is not None and now - turn.since < STUCK_AFTER_S
            )
            idle = sorted((turn for turn in turns if turn.since is None), key=lambda turn: turn.next_at)
            due = [turn for turn in idle if turn.next_at <= now]
            self._backlog = len(due) > free
            for turn in due[:free]:
                turn.since, turn.nudged = now, False
                self._start(turn)
            later = [turn.next_at for turn in idle if turn.next_at > now]
            # With a backlog the next visit to end wakes the loop, and so does a place that one that is stuck gives up.
            self._wakes_at = now + min(LONGEST_WAIT_S, min(later, default=now + LONGEST_WAIT_S) - now)
            return self._wakes_at - now

    def nudge(self, alias: str | None = None) -> None:
        """Visit a store, or all, as soon as possible: something there has changed."""
        with self._lock:
            for turn in self._turns.values() if alias is None else filter(None, [self._turns.get(alias)]):
                turn.next_at, turn.nudged = 0.0, True

    def await_idle(self, within: float) -> bool:
        """Wait until no visit is under way, but for the caller's own and those that hang; return whether so."""
        deadline = self._clock.monotonic() + within
        own = threading.current_thread().name
        with self._lock:
            while self._under_way(own):
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    return False
                self._lock.wait(left)
        return True

    def await_tried(self, stores: Mapping[str, Any], within: float) -> None:
        """Begin visits until each store has had one, or ``within`` seconds have passed."""
        deadline = self._clock.monotonic() + within
        while self._clock.monotonic() < deadline:
            self.begin_due(stores)
            with self._lock:
                if all(turn.tried for turn in self._turns.values()):
                    return
                self._lock.wait(0.1)

    def _under_way(self, own: str) -> bool:
        now = self._clock.monotonic()
        return any(
            turn.since is not None and now - turn.since < STUCK_AFTER_S and _thread_name(turn) != own
            for turn in self._turns.values()
        )

    def _start(self, turn: Turn) -> None:
        thread = threading.Thread(target=self._run, args=(turn,), name=_thread_name(turn), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread left
            self._logger.warning("Job store %r is not visited now: %s", turn.alias, error)
            turn.since, turn.next_at = None, self._clock.monotonic() + LONGEST_WAIT_S

    def _run(self, turn: Turn) -> None:
        wait = self._retry_s
        try:
            wait = self._visit(turn)
        except Exception as error:  # noqa: BLE001  (whatever a store does, the others are visited, and this one again)
            self._logger.warning("Error visiting job store %r: %s: %s", turn.alias, type(error).__name__, error)
        finally:
            self._end(turn, wait)

    def _end(self, turn: Turn, wait: float) -> None:
        with self._lock:
            now = self._clock.monotonic()
            # Many idle stores share the looks; a store that knows when it is due is visited then.
            longest = max(LONGEST_WAIT_S, len(self._turns) / _MOST_LOOKS_PER_S)
            if wait >= LONGEST_WAIT_S:
                wait = max(wait, longest)
            turn.since, turn.tried = None, True
            turn.next_at = now if turn.nudged else now + wait
            wakes = self._backlog or turn.next_at < self._wakes_at
            self._lock.notify_all()
        if wakes:
            self._wake()


def _thread_name(turn: Turn) -> str:
    return f"APScheduler {turn.alias}"
