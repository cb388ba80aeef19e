"""The application that the compose file's workers import: two tasks, to see something happen."""

import time

from celery import Celery

import workers

app = Celery("demo")
workers.install(app)


@app.task(name="demo.tick")
def tick() -> str:
    """Return the name of the job that asks."""
    return f"tick of {workers.current_firing().job}"


@app.task(name="demo.report")
def report(seconds: float = 1.0) -> float:
    """Take some time."""
    time.sleep(seconds)
    return seconds
