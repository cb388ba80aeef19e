"""APScheduler 3 with its own MongoDBJobStore and thread pool: N date jobs that are due."""

import logging
import sys
import time
from datetime import UTC, datetime, timedelta

from apscheduler.jobstores.mongodb import MongoDBJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from pymongo import MongoClient


def noop() -> None:
    """Do nothing."""


def main() -> None:
    """Run ``COUNT`` due jobs: ``aps3 MONGO BROKER COUNT``."""
    logging.disable(logging.CRITICAL)
    mongo_url, _, count = sys.argv[1:4]
    total, ran = int(count), 0
    due = datetime.now(UTC) - timedelta(seconds=10)

    def listen(_: object) -> None:
        nonlocal ran
        ran += 1

    store = MongoDBJobStore(database="bench_aps3", client=MongoClient(mongo_url))
    scheduler = BackgroundScheduler(jobstores={"default": store}, timezone="UTC")
    scheduler.add_listener(listen, 0x1000)
    scheduler.start(paused=True)
    for number in range(total):
        scheduler.add_job("tests.bench.peers.aps3:noop", "date", run_date=due, id=str(number), misfire_grace_time=None)
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    started = time.perf_counter()
    scheduler.resume()
    while ran < total:
        time.sleep(0.01)
    print(f"done {time.perf_counter() - started}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
