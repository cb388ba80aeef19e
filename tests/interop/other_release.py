"""Reads and writes jobs with whatever APScheduler stands first on the path: run as a program by the format tests.

It uses that release's own store only, and prints what it saw as JSON.
"""

import json
import sys
from datetime import datetime
from typing import Any

import apscheduler
from apscheduler.jobstores.mongodb import MongoDBJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

BERLIN = "Europe/Berlin"


def triggers() -> dict[str, Any]:
    """Return one trigger of each kind that 3.10 and 3.11 share."""
    nightly = {"hour": 2, "minute": 30, "timezone": BERLIN}
    return {
        "date": DateTrigger("2031-05-06 07:08:09.123456", BERLIN),
        "interval": IntervalTrigger(hours=3, start_date="2030-01-02 03:04:05", timezone=BERLIN, jitter=None),
        "cron": CronTrigger(day="last", day_of_week="mon-fri", start_date="2030-01-01", **nightly),
        "crontab": CronTrigger.from_crontab("*/20 6-8 * * 1-5", timezone=BERLIN),
        "and": AndTrigger([CronTrigger(**nightly), CronTrigger(**nightly)]),
        "or": OrTrigger([CronTrigger(**nightly), IntervalTrigger(days=2, start_date="2030-01-01", timezone=BERLIN)]),
    }


def describe(job: Any) -> dict[str, Any]:
    """Return everything of a job in a form that can be compared."""
    return {
        "id": job.id,
        "name": job.name,
        "func": job.func_ref,
        "args": list(job.args),
        "kwargs": dict(job.kwargs),
        "trigger": repr(job.trigger),
        "executor": job.executor,
        "misfire_grace_time": job.misfire_grace_time,
        "coalesce": job.coalesce,
        "max_instances": job.max_instances,
        "next_run_time": None if job.next_run_time is None else job.next_run_time.timestamp(),
        "fires": _fires(job),
    }


def _fires(job: Any, count: int = 3) -> list[float]:
    fires: list[datetime] = []
    while job.next_run_time is not None and len(fires) < count:
        now = fires[-1] if fires else job.next_run_time
        following = job.trigger.get_next_fire_time(fires[-1] if fires else None, now)
        if following is None:
            break
        fires.append(following)
    return [fire.timestamp() for fire in fires]


def add_jobs(scheduler: Any, extra: dict[str, Any] | None = None) -> None:
    """Add a job for each trigger, and a paused one."""
    options = {"name": "ein Näme", "misfire_grace_time": 77, "coalesce": False, "max_instances": 3}
    for name, trigger in (triggers() | (extra or {})).items():
        scheduler.add_job("operator:add", trigger, args=(1, [2, "drei"]), id=name, **options)
    scheduler.add_job("operator:add", "date", args=(1, 2), id="paused", next_run_time=None)


def main(action: str, url: str, database: str, protocol: str) -> None:
    """Write jobs, or read them all and edit one."""
    store = MongoDBJobStore(database=database, pickle_protocol=int(protocol), host=url)
    scheduler = BackgroundScheduler(jobstores={"default": store}, timezone=BERLIN)
    scheduler.start(paused=True)
    if action == "write":
        add_jobs(scheduler)
    jobs = [describe(job) for job in scheduler.get_jobs()]
    if action == "read":
        scheduler.modify_job("cron", name="edited by the other release")
    print(json.dumps({"release": apscheduler.version, "jobs": jobs}))  # noqa: T201
    scheduler.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
