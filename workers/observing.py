"""Making a Celery worker observable: its port, its pulse, and the counters of all its processes.

The port is the parent's.  It is never asked through the broker: a broker that is away must not restart every worker,
and a ping through it takes longer the more there is to do.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from celery import bootsteps, signals
from celery.worker import state
from prometheus_client import CollectorRegistry, ProcessCollector

from jobstore.clock import Clock, SystemClock
from workers.counters import RunMetrics, SharedCounters
from workers.health import HealthServer, Pulse, Verdict
from workers.installation import Installation

_BEAT_S: Final = 2.0
_WITHIN_S: Final = 60.0


@dataclass(slots=True)
class WorkerHealth:
    """What the parent of a worker knows of itself; ``consumer`` is Celery's while it is connected to the broker."""

    installation: Installation
    clock: Clock
    pulse: Pulse = field(init=False)
    consumer: Any = None
    ready_once: bool = False

    def __post_init__(self) -> None:
        self.pulse = Pulse(self.clock, alive_within=_WITHIN_S, ready_within=_WITHIN_S)

    def connected(self, consumer: Any) -> Any:
        """Feel the pulse of the loop that takes messages; return what cancels it."""
        self.consumer = consumer
        beat = self.pulse.around(lambda: None)
        beat()
        return consumer.timer.call_repeatedly(_BEAT_S, beat)

    def alive(self) -> Verdict:
        """Return whether the loop turns, as far as can be told.

        While the broker is away Celery waits for it in place, and a solo worker's loop stands while a firing runs:
        neither is a fault that a restart would cure.
        """
        if self.consumer is None:
            return Verdict(good=True, said="not connected to the broker")
        if self.installation.celery_pool == "solo" and state.active_requests:
            return Verdict(good=True, said="a firing runs in the only process")
        return self.pulse.alive()

    def ready(self) -> Verdict:
        """Return whether messages are taken."""
        if state.should_stop is not None or state.should_terminate is not None:
            return Verdict(good=False, said="stopping")
        if not self.ready_once:
            return Verdict(good=False, said="starting")
        if self.consumer is None:
            return Verdict(good=False, said="not connected to the broker")
        return self.alive()


class Observed:
    """The port and the counters of one worker; made by ``observe_worker``."""

    def __init__(self, installation: Installation, host: str, port: int, clock: Clock) -> None:
        self._installation = installation
        self._folder = Path(tempfile.mkdtemp(prefix="horarium-metrics-"))
        self._pid = os.getpid()
        self._listening = 0
        self._clock = clock
        self._counters = SharedCounters(self._folder)
        self.health = WorkerHealth(installation, clock)
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(self._counters)
        self.server = HealthServer(host, port, alive=self.health.alive, ready=self.health.ready, registry=registry)

    def connect(self) -> None:
        """Listen to Celery and answer from now on."""
        self._installation.app.steps["consumer"].add(_pulse_step(self.health))
        for signal, hook in (
            (signals.worker_process_init, self._on_process),
            (signals.worker_ready, self._on_ready),
            (signals.worker_shutdown, self._on_end),
        ):
            signal.connect(hook, weak=False, dispatch_uid=f"horarium-observed-{id(self)}-{hook.__name__}")
        self.server.start()

    def _on_process(self, **_: Any) -> None:
        """Count in a child of the pool, or in the one process of a solo worker."""
        if os.getpid() != self._pid:
            self.server.let_go()
        self._listen()

    def _on_ready(self, **_: Any) -> None:
        if self._installation.celery_pool == "threads":
            self._listen()
        self.health.ready_once = True

    def _listen(self) -> None:
        if self._installation.pools and self._listening != os.getpid():
            self._listening = os.getpid()
            self._installation.engine().executor.store.runtime.events.listen(RunMetrics(self._counters))

    def _on_end(self, **_: Any) -> None:
        if os.getpid() == self._pid:
            self.server.close()
            shutil.rmtree(self._folder, ignore_errors=True)


def observe_worker(installation: Installation, *, host: str, port: int, clock: Clock | None = None) -> Observed:
    """Answer on ``host:port`` for the worker of ``installation``; call it before the worker is made.

    Raises:
        ConfigurationError: The port cannot be opened.
    """
    observed = Observed(installation, host, port, clock or SystemClock())
    observed.connect()
    return observed


def _pulse_step(health: WorkerHealth) -> type[bootsteps.StartStopStep]:
    """Return a part of Celery's consumer that starts anew with every connection to the broker.

    A timer set once would be gone after the first reconnect: the consumer takes down what was set under it.
    """

    class PulseStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        requires = ("celery.worker.consumer.tasks:Tasks",)

        entry: Any = None

        def start(self, parent: Any) -> None:
            self.entry = health.connected(parent)

        def stop(self, parent: Any) -> None:  # noqa: ARG002  (Celery's signature)
            health.consumer = None
            if self.entry is not None:
                self.entry.cancel()

        def shutdown(self, parent: Any) -> None:
            self.stop(parent)

    return PulseStep
