"""A scheduler node: the loops, in one place, with their order of start and stop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from cluster.caretaking import EVERY, Caretaker
from cluster.claiming import ClaimPass
from cluster.crew import Crew
from cluster.dispatch import Dispatcher
from cluster.gating import Gatekeeper
from cluster.loop import Loop
from cluster.policy import NodePolicy
from cluster.releasing import ReleasePass
from cluster.sweeping import Sweep
from cluster.tending import Tending
from jobstore.clock import to_posix
from jobstore.events import ClockOff
from jobstore.store import Store
from jobstore.watch import watch_agenda
from workers.purging import MessagePurge, NoPurge
from workers.sender import BrokerEpoch, Sender

# After a pass that found work the next one follows at once; after an empty one at least this much later, because the
# server's clock may be some milliseconds behind the estimate.
_BREATH: Final = 0.003
_REFRESH: Final = 0.75
_MEASURE_EVERY: Final = 3


@dataclass(slots=True)
class Node:
    """Owns the loops of one scheduler process."""

    store: Store
    sender: Sender
    broker: BrokerEpoch
    policy: NodePolicy
    name: str
    boot: str
    about: Mapping[str, str]
    messages: MessagePurge = field(default_factory=NoPurge)
    dispatcher: Dispatcher = field(init=False)
    claiming: ClaimPass = field(init=False)
    releasing: ReleasePass = field(init=False)
    sweep: Sweep = field(init=False)
    tending: Tending = field(init=False)
    caretaker: Caretaker = field(init=False)
    loops: dict[str, Loop] = field(init=False)
    _counter: int = 0
    _clock_ok: bool = True

    def __post_init__(self) -> None:
        store, policy = self.store, self.policy
        self.dispatcher = Dispatcher(self.sender, store.runtime, store.time, policy, self.name, store.routes)
        self.dispatcher.gate = Gatekeeper(store)
        self.claiming = ClaimPass(store, self.dispatcher, policy, self.name, Crew(policy.threads))
        self.releasing = ReleasePass(store, self.dispatcher, policy, self.name)
        self.sweep = Sweep(store, self.dispatcher, self.broker, policy, self.name)
        self.tending = Tending(store, policy, self.name)
        self.caretaker = Caretaker(store, self.messages, self.name)
        rounds = {
            "heartbeat": self.heartbeat,
            "tenants": self.refresh,
            "claim": self.claim,
            "release": self.release,
            "sweep": self.sweep_once,
            "tend": self.tend,
            "care": self.care,
            "watch": self.watch,
        }
        self.loops = {name: Loop(name, once, store.runtime) for name, once in rounds.items()}

    @property
    def nodes(self) -> Sequence[str]:
        """Return the living nodes as this one last saw them, itself among them."""
        return self.sweep.living

    def start(self) -> None:
        """Make the store ready, show a first sign of life and start the loops (raises StoreUnavailable)."""
        self.store.ensure()
        self.refresh()
        self.heartbeat()
        self.sweep.meet_nodes()
        self.store.routes.refresh()
        for loop in self.loops.values():
            loop.start()

    def stop(self, within: timedelta) -> None:
        """Stop claiming, end what is under way, and say goodbye, so that the others need not wait for a lease."""
        for loop in self.loops.values():
            loop.stop()
        share = within.total_seconds() / max(1, len(self.loops))
        for loop in self.loops.values():
            loop.join(share)
        self.store.nodes.leave(self.name, boot=self.boot)

    # -- the rounds; each returns the seconds until its next one

    def heartbeat(self) -> float:
        """Show a sign of life and measure MongoDB's clock."""
        if self._counter % _MEASURE_EVERY == 0:
            self.store.time.measure()
        offset = self.store.time.offset
        self._clock_ok = abs(offset) <= self.policy.clock_limit.total_seconds()
        if not self._clock_ok:
            self.store.runtime.events.emit(ClockOff(round(offset, 3)))
        self._counter += 1
        self.store.nodes.beat(
            self.name,
            boot=self.boot,
            counter=self._counter,
            at=self.store.time.now(),
            details=dict(self.about) | {"clock_offset_s": round(offset, 4)},
        )
        return self._jittered(self.policy.heartbeat)

    def refresh(self) -> float:
        """Confirm the tenants' configuration."""
        self.store.cache.refresh()
        return _REFRESH

    def claim(self) -> float:
        """Claim and release what is due."""
        if not self._clock_ok or not self.store.cache.trusted():
            return self.policy.poll.total_seconds()
        claimed = self.claiming.run_once(self.nodes)
        if claimed:
            return 0.0
        wait = self.claiming.next_due(self.nodes) - to_posix(self.store.time.now())
        return min(max(wait, _BREATH), self.policy.poll.total_seconds())

    def release(self) -> float:
        """Let waiting firings go."""
        self.releasing.run_once()
        return self._jittered(self.policy.release_every)

    def sweep_once(self) -> float:
        """Mend what crashes left."""
        self.sweep.run_once()
        return self._jittered(self.policy.sweep_every)

    def tend(self) -> float:
        """Look after a few tenants."""
        self.tending.run_once(self.nodes)
        return self._jittered(self.tending.every)

    def care(self) -> float:
        """Resume and purge tenants whose time has come."""
        if self.store.cache.trusted():
            self.caretaker.run_once(self.nodes)
        return self._jittered(EVERY)

    def watch(self) -> float:
        """Follow the agenda's change stream until it breaks or the node stops."""
        watch_agenda(self.store.control, self._news, self.loops["watch"].stopping)
        return 0.0

    def _news(self) -> None:
        self.loops["claim"].wake()
        self.loops["release"].wake()

    def _jittered(self, every: timedelta) -> float:
        """Spread the nodes' rounds, so that they do not all ask at once."""
        return every.total_seconds() * (0.9 + 0.2 * self.store.runtime.ids.fraction())
