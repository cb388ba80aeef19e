"""What one worker process needs to run firings, opened after the fork."""

import os
import platform
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from jobstore.events import Events
from jobstore.points import CrashPoints, NoPoints
from jobstore.runtime import Runtime
from jobstore.store import open_store
from workers.draining import Drain, DrainCall
from workers.execute import Executor
from workers.heartbeat import Heartbeat
from workers.limits import Limits
from workers.live import Interrupts, Live
from workers.settings import WorkerSettings
from workers.targets import ProcessTargets
from workers.telemetry import log_event

_MOST_NAMES: Final = 2000


@dataclass(frozen=True, slots=True)
class Engine:
    """The store, the executor and the heartbeat of one process."""

    executor: Executor
    heartbeat: Heartbeat

    def run(self, fields: Mapping[str, object]) -> None:
        """Act on one message."""
        self.executor.run(fields)

    def stop(self) -> None:
        """Say goodbye and close the connections."""
        self.heartbeat.stop()
        self.executor.store.close()


def start_engine(
    settings: WorkerSettings,
    *,
    targets: ProcessTargets,
    pools: Sequence[str],
    time_limit: type[BaseException],
    own_process: bool,
    drain: DrainCall | None = None,
    runtime: Runtime | None = None,
) -> Engine:
    """Open the store and begin to beat.

    Args:
        settings: Where the store is, and how often to beat.
        targets: What this process can call.
        pools: The pools whose queues are consumed.
        time_limit: What is raised in a run that is over its limit.
        own_process: Whether a run has this process for itself, so that the process may be killed to end it.
        drain: Tells that the worker is to drain.
        runtime: Clock, ids and events; the machine's own when None.
    """
    runtime = runtime or process_runtime(settings)
    boot = runtime.ids.token()
    # Never the id of a process before: its runs must be seen to have lost their worker.
    worker = f"{settings.name or platform.node()}-{os.getpid()}-{boot[:6]}"
    store = open_store(
        settings.mongodb_url, control=settings.database, runtime=runtime, name=f"horarium-worker {worker}"
    )
    live, interrupts = Live(), Interrupts(time_limit)
    executor = Executor(
        store=store,
        targets=targets,
        live=live,
        interrupts=interrupts,
        limits=Limits(interrupts, runtime.clock, kill_this_process if own_process else None),
        worker=worker,
        time_limit_s=settings.time_limit_s,
        max_time_limit_s=settings.max_time_limit_s,
    )
    targets.message_key = executor.message_key
    heartbeat = Heartbeat(
        store=store,
        live=live,
        interrupts=interrupts,
        worker=worker,
        about=about(settings, targets, pools),
        every_s=settings.heartbeat_s,
        kill=kill_this_process if own_process else None,
        drain=partial(stop_worker, os.getppid() if own_process else os.getpid()),
        boot=boot,
    )
    heartbeat.start()
    if drain is not None:
        Drain(executor, runtime.clock, settings.drain_s, kill_this_process).start(drain)
    return Engine(executor, heartbeat)


def process_runtime(settings: WorkerSettings) -> Runtime:
    """Return the real clock, ids and crash points of a process, with its events going to the log."""
    plain = Runtime()
    points = CrashPoints(settings.crash_points, plain.ids.fraction) if settings.crash_points else NoPoints()
    return Runtime(events=Events(log_event), points=points)


def about(settings: WorkerSettings, targets: ProcessTargets, pools: Sequence[str]) -> dict[str, Any]:
    """Return what a worker tells of itself with every heartbeat.

    Shape::

        {pools: ["default"], tasks: ["proj.report", ...], functions: ["report", ...], host: "w1", pid: 17,
         celery_pool: "prefork", version: "0.1.0", python: "3.13.1", celery: "5.7.0", tzdata: "2026.1"}

    ``runs``, the tokens of the runs that live in this process, is added to it at each heartbeat.  More than 2,000
    names are not told at all: from a part of them a node would learn that the others do not exist.
    """
    names = {"tasks": targets.tasks(), "functions": targets.functions.names()}
    return {
        "pools": list(pools),
        **{kind: known for kind, known in names.items() if len(known) <= _MOST_NAMES},
        "host": platform.node(),
        "pid": os.getpid(),
        "celery_pool": settings.celery_pool,
        "version": version("horarium"),
        "python": platform.python_version(),
        "celery": version("celery"),
        "tzdata": version("tzdata"),
    }


def stop_worker(pid: int) -> None:
    """Ask the worker whose main process is ``pid`` to drain and stop, as whoever started it would."""
    os.kill(pid, signal.SIGTERM)


def kill_this_process() -> None:
    """End this process without asking it; the pool's parent starts another."""
    os.kill(os.getpid(), signal.SIGKILL)
