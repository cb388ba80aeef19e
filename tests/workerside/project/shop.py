"""The application of an imaginary user: what a worker of these tests imports."""

import os
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

import workers

app = Celery("shop", broker=os.environ.get("SHOP_BROKER_URL"))
workers.install(app)


def seen() -> dict[str, Any]:
    firing = workers.current_firing()
    return {
        "tenant": firing.tenant,
        "job": firing.job,
        "id": firing.id,
        "kind": firing.kind,
        "nominal": firing.nominal,
        "effective": firing.effective,
        "covers": asdict(firing.covers),
        "attempt": firing.attempt,
        "fence": firing.fence,
        "cancelled": firing.cancelled(),
        "previous": firing.previous_success(),
        "pid": os.getpid(),
        "main_thread": threading.current_thread() is threading.main_thread(),
    }


@app.task(name="shop.echo", bind=True)
def echo(self: Task, *args: Any, **kwargs: Any) -> dict[str, Any]:
    request = self.request
    return {
        "args": args,
        "kwargs": kwargs,
        "firing": seen(),
        "request": {"id": request.id, "retries": request.retries, "direct": request.called_directly},
    }


@workers.register("echo")
def echo_function(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"args": args, "kwargs": kwargs, "firing": seen()}


@app.task(name="shop.flaky", bind=True)
def flaky(self: Task, failures: int) -> dict[str, Any]:
    if self.request.retries < failures:
        raise workers.Retry("not yet", delay_s=0)
    return {
        "firing": seen(),
        "request": {"id": self.request.id, "retries": self.request.retries, "direct": self.request.called_directly},
    }


@app.task(name="shop.nothing")
def nothing() -> None:
    """Do nothing."""


@app.task(name="shop.boom")
def boom(message: str = "the shop burns") -> None:
    raise ValueError(message)


@app.task(name="shop.retrying", bind=True)
def retrying(self: Task, countdown: float, max_retries: int) -> str:
    if self.request.retries < max_retries + 1:
        raise self.retry(countdown=countdown, max_retries=max_retries, exc=OSError("not yet"))
    return "unreachable"


@app.task(name="shop.automatic", autoretry_for=(OSError,), retry_backoff=False, default_retry_delay=7)
def automatic() -> None:
    raise OSError("the line is busy")


@app.task(name="shop.other_arguments", bind=True)
def other_arguments(self: Task, page: int) -> None:
    raise self.retry(kwargs={"page": page + 1}, countdown=0)


@workers.register("ask_again")
def ask_again(delay_s: float | None) -> None:
    raise workers.Retry("not yet", delay_s=delay_s)


@app.task(name="shop.ignored")
def ignored() -> None:
    raise Ignore


@app.task(name="shop.rejected")
def rejected(requeue: bool) -> None:
    raise Reject("no", requeue=requeue)


@app.task(name="shop.large")
def large(size: int) -> str:
    return "x" * size


@app.task(name="shop.odd")
def odd() -> object:
    return object()


@app.task(name="shop.leave")
def leave(code: int) -> None:
    sys.exit(code)


@app.task(name="shop.slow")
def slow(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


@app.task(name="shop.heeds_limit")
def heeds_limit() -> str:
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded:
        return "tidied up"
    return "slept"


@app.task(name="shop.hold")
def hold(directory: str) -> str:
    """Say that it runs, wait until it may go, and say how it ended; in one piece, as blocking code does."""
    place = Path(directory)
    (place / "begun").write_text(str(os.getpid()))
    try:
        while not (place / "go").exists():
            time.sleep(0.02)
    except BaseException as error:
        (place / "ended").write_text(f"{type(error).__name__} {workers.current_firing().cancelled()}")
        raise
    (place / "ended").write_text("returned")
    return "held"


@app.task(name="shop.block")
def block(directory: str) -> None:
    """Like hold, in one call that only a signal can end."""
    (Path(directory) / "begun").write_text(str(os.getpid()))
    try:
        time.sleep(60)
    except BaseException as error:
        (Path(directory) / "ended").write_text(f"{type(error).__name__} {workers.current_firing().cancelled()}")
        raise


@app.task(name="shop.tidies")
def tidies(directory: str, fails: bool) -> str:
    (Path(directory) / "begun").touch()
    try:
        time.sleep(60)
    except workers.RunCancelled:
        if fails:
            raise OSError("the drawer jams") from None
        return "tidied up"
    return "slept"


@app.task(name="shop.talks")
def talks(directory: str) -> None:
    firing = workers.current_firing()
    firing.log("line 1")
    firing.log("line 2")
    firing.progress(0.5, "half")
    while not (Path(directory) / "go").exists():
        time.sleep(0.02)
    firing.log("the end")
    firing.progress(1)


@app.task(name="shop.talks_and_fails")
def talks_and_fails() -> None:
    workers.current_firing().log("so far, so good")
    raise ValueError("no further")


@app.task(name="shop.first")
def first(**options: Any) -> bool:
    return workers.current_firing().once(**options)


@app.task(name="shop.stubborn")
def stubborn(directory: str) -> None:
    (Path(directory) / "begun").touch()
    for _ in range(3000):
        try:
            time.sleep(0.02)
        except BaseException:  # noqa: BLE001, S112  (what nobody should write)
            continue
