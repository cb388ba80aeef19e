"""Counters of a worker that is several processes: each counts in a file of its own, and the parent adds them up.

The files are mapped memory, so that a child which is killed takes no count with it.  A registry of the usual kind in
each child would count apart, and the library's own switch for this is an environment variable that would change the
metrics of the user's application as well.
"""

import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from jobstore.events import (
    Event,
    FiringBegun,
    FiringFinished,
    JobQuarantined,
    LoopFailed,
    MessageDropped,
    WriteRefused,
)
from jobstore.words import label

_HELP: Final = {
    "horarium_firings": "Firings that became final, by outcome.",
    "horarium_retries": "Attempts that ended and are followed by another.",
    "horarium_runs_begun": "Attempts that began here.",
    "horarium_run_seconds": "Seconds that ended attempts took.",
    "horarium_refused_writes": "Fenced writes that matched nothing.",
    "horarium_messages_dropped": "Messages that were not acted on.",
    "horarium_jobs_quarantined": "Jobs set aside because they cannot be read or run.",
    "horarium_loop_failures": "Rounds of a loop that raised.",
}


class SharedCounters(Collector):
    """Counters in a folder, one file a process; ``collect`` adds them up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._pid = 0
        self._file: MmapedDict | None = None

    def add(self, name: str, labels: Mapping[str, str], amount: float = 1.0) -> None:
        """Count in this process's file; ``name`` is one of the table above."""
        key = mmap_key(name, f"{name}_total", list(labels), list(labels.values()), _HELP[name])
        with self._lock:
            file = self._own()
            value, _ = file.read_value(key)  # type: ignore[no-untyped-call]  # the library has no types here
            file.write_value(key, value + amount, 0.0)  # type: ignore[no-untyped-call]

    def _own(self) -> MmapedDict:
        pid = os.getpid()
        if self._file is None or self._pid != pid:
            # After a fork the copy belongs to the parent: two writers would overwrite each other.
            self._file = MmapedDict(str(self._folder / f"counter_{pid}.db"))  # type: ignore[no-untyped-call]
            self._pid = pid
        return self._file

    def describe(self) -> Iterable[Metric]:
        """Return the names, before anything is counted."""
        return [CounterMetricFamily(name, said) for name, said in _HELP.items()]

    def collect(self) -> Iterable[Metric]:
        """Return the sums over all processes, those that are gone among them."""
        files = [str(path) for path in self._folder.glob("counter_*.db")]
        found: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return found


class RunMetrics:
    """A listener of events that counts what one worker process does."""

    def __init__(self, counters: SharedCounters) -> None:
        self._counters = counters

    def __call__(self, event: Event) -> None:
        """Count ``event``."""
        add = self._counters.add
        match event:
            case FiringFinished(state=state, reason=reason, seconds=seconds):
                add("horarium_run_seconds", {}, max(0.0, seconds))
                if state == "pending":
                    add("horarium_retries", {"reason": label(reason)})
                else:
                    add("horarium_firings", {"outcome": label(state), "reason": label(reason)})
            case FiringBegun():
                add("horarium_runs_begun", {})
            case WriteRefused(step=step):
                add("horarium_refused_writes", {"step": label(step)})
            case MessageDropped(reason=reason):
                add("horarium_messages_dropped", {"reason": label(reason)})
            case JobQuarantined():
                add("horarium_jobs_quarantined", {})
            case LoopFailed(loop=loop):
                add("horarium_loop_failures", {"loop": label(loop)})
            case _:
                return
