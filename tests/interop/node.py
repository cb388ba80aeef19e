"""One scheduler process of the process tests: a stock scheduler on the shared store (or on stock's own).

Run as ``python -m tests.interop.node '{"kind": "background", "url": …}'``; says ``ready`` when it runs, ends on SIGTERM.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from datetime import UTC, timedelta
from typing import Any

from apscheduler.jobstores.mongodb import MongoDBJobStore as StockStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler

from jobstore import SharedMongoDBJobStore

_END = {signal.SIGTERM}


class SignalAt:
    """Crash points: sends this process a signal at the n-th hit of a point, as somebody outside might."""

    def __init__(self, point: str, hit: int, signal_name: str) -> None:
        self._point = point
        self._left = hit
        self._signal = signal.Signals[signal_name]

    def reach(self, name: str) -> None:
        """Count, and send."""
        if name == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._signal)


def main(settings: dict[str, Any]) -> None:
    """Run until SIGTERM."""
    # Waited for, not handled: a handler runs in the main thread, which may never hear of a signal that was sent while
    # the process was stopped.
    signal.pthread_sigmask(signal.SIG_BLOCK, _END)
    scheduler = _scheduler(settings)
    if settings["kind"] == "asyncio":
        asyncio.run(_run(scheduler))
    elif settings["kind"] == "blocking":
        threading.Thread(target=_end, args=(scheduler,)).start()
        scheduler.start()
    else:
        scheduler.start()
        _end(scheduler)


def _end(scheduler: BaseScheduler) -> None:
    print("ready", flush=True)  # noqa: T201
    signal.sigwait(_END)
    scheduler.shutdown()


async def _run(scheduler: BaseScheduler) -> None:
    scheduler.start()
    print("ready", flush=True)  # noqa: T201
    await asyncio.get_running_loop().run_in_executor(None, signal.sigwait, _END)
    scheduler.shutdown()
    await asyncio.sleep(0)


def _scheduler(settings: dict[str, Any]) -> BaseScheduler:
    kind = {"background": BackgroundScheduler, "blocking": BlockingScheduler, "asyncio": AsyncIOScheduler}
    store: Any
    if settings["store"] == "stock":
        store = StockStore(database=settings["database"], host=settings["url"])
    else:
        store = SharedMongoDBJobStore(database=settings["database"], host=settings["url"])
        store.lease_for = timedelta(seconds=settings["lease_s"])
        if settings.get("signal_at"):
            store.points = SignalAt(*settings["signal_at"])
    return kind[settings["kind"]](jobstores={"default": store}, timezone=UTC)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
