"""rq-scheduler: N overdue one-shot jobs, until each is in the queue."""

import logging
import sys
import time
from datetime import UTC, datetime, timedelta

import redis
from rq import Queue
from rq_scheduler import Scheduler


def noop() -> None:
    """Do nothing."""


def main() -> None:
    """Enqueue ``COUNT`` jobs: ``rqscheduler MONGO BROKER COUNT``."""
    logging.disable(logging.CRITICAL)
    _, broker_url, count = sys.argv[1:4]
    total = int(count)
    connection = redis.Redis.from_url(broker_url)
    queue = Queue("rq-bench", connection=connection)
    scheduler = Scheduler(queue=queue, connection=connection)
    due = (datetime.now(UTC) - timedelta(hours=1)).replace(tzinfo=None)
    for _ in range(total):
        scheduler.enqueue_at(due, noop)
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    started = time.perf_counter()
    while queue.count < total:
        scheduler.enqueue_jobs()
    print(f"done {time.perf_counter() - started}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
