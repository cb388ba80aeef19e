"""The same application: as many scheduler processes as you like."""

import os
import time

from apscheduler.schedulers.blocking import BlockingScheduler

from jobstore import SharedMongoDBJobStore as MongoDBJobStore

URL = os.environ.get("MONGODB_URL", "mongodb://localhost:27017")


def beat(started: float = time.time()) -> None:
    """Show when the job runs, and where."""
    print(f"{time.time():.0f} beat of process {os.getpid()}, up for {time.time() - started:.0f} s", flush=True)


def report(day: str) -> None:
    """Stand for something that must not happen twice."""
    print(f"report for {day} sent by process {os.getpid()}", flush=True)


def main() -> None:
    """Schedule, and run for ever."""
    store = MongoDBJobStore(database="example", collection="jobs", host=URL)
    scheduler = BlockingScheduler(jobstores={"default": store}, timezone="Europe/Berlin")
    scheduler.add_job(beat, "interval", seconds=2, id="beat", replace_existing=True)
    scheduler.add_job(report, "cron", hour=6, args=["yesterday"], id="report", replace_existing=True)
    scheduler.start()


if __name__ == "__main__":
    main()
