"""Celery beat with RedBeat: N overdue entries, until each has a message in the queue."""

import logging
import sys
import time
from datetime import UTC, datetime, timedelta

import redis
from celery import Celery
from celery.schedules import schedule
from redbeat import RedBeatScheduler, RedBeatSchedulerEntry


def main() -> None:
    """Hand over ``COUNT`` entries: ``redbeat MONGO BROKER COUNT``."""
    logging.disable(logging.CRITICAL)
    _, broker_url, count = sys.argv[1:4]
    total = int(count)
    app = Celery("bench", broker=broker_url)
    app.conf.update(redbeat_redis_url=broker_url, redbeat_lock_key=None, task_default_queue="redbeat-bench")
    due = datetime.now(UTC) - timedelta(hours=2)
    for number in range(total):
        entry = RedBeatSchedulerEntry(str(number), "bench.noop", schedule(run_every=3600), app=app)
        entry.last_run_at = due
        entry.save()
    scheduler = RedBeatScheduler(app=app, lazy=False)
    client = redis.Redis.from_url(broker_url)
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    started = time.perf_counter()
    while client.llen("redbeat-bench") < total:
        scheduler.tick()
    print(f"done {time.perf_counter() - started}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
