"""A user's Celery application whose tasks write down, on their own, when they begin and end."""

import json
import os
import threading

from celery import Celery

import workers

app = Celery("noting")
workers.install(app)

_hold = threading.Event()


def note(event: str, **more: object) -> None:
    """Append one line and force it to the disk, so that it survives whatever kills this process next."""
    firing = workers.current_firing()
    line = {
        "event": event,
        "firing": firing.id,
        "tenant": firing.tenant,
        "job": firing.job,
        "nominal": firing.nominal.isoformat(),
        "attempt": firing.attempt,
        "fence": firing.fence,
        "pid": os.getpid(),
        **more,
    }
    data = (json.dumps(line) + "\n").encode()
    handle = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)


@app.task(name="noting.quick")
def quick() -> None:
    """Begin and end at once."""
    note("begin")
    note("end")


@app.task(name="noting.slow")
def slow(seconds: float) -> None:
    """Take a while."""
    note("begin")
    _hold.wait(seconds)
    note("end")


@app.task(name="noting.fails")
def fails(times: int) -> None:
    """Fail on the first attempts."""
    note("begin")
    if workers.current_firing().attempt <= times:
        raise RuntimeError("asked to fail")
    note("end")
