"""A pytest plugin for APScheduler's own tests: puts our job store in the place of its stores.

Loaded with ``-p upstream_plugin`` in a pytest of its own, whose ``tests`` package is APScheduler's.
"""

import functools
import itertools
import os
from types import SimpleNamespace
from typing import Any

import apscheduler.job
import apscheduler.jobstores.memory
import apscheduler.jobstores.mongodb
import apscheduler.schedulers.base

import jobstore

_OURS = getattr(jobstore, os.environ["UPSTREAM_CLASS"])
_URL = os.environ["UPSTREAM_MONGO_URL"]
_number = itertools.count()

functions = SimpleNamespace()


@functools.cache
def _client() -> Any:
    # One for all: many of upstream's tests never shut their scheduler down.
    return apscheduler.jobstores.mongodb.MongoClient(_URL)


class MongoDBJobStore(_OURS):  # type: ignore[misc, valid-type]
    """Ours, connected to the test's server where upstream expects one on the standard port."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "client" not in kwargs:
            kwargs.setdefault("host", _URL)
        super().__init__(*args, **kwargs)


class MemoryJobStore(MongoDBJobStore):
    """Ours, empty, where a scheduler's test makes a store in memory."""

    def __init__(self) -> None:
        super().__init__(
            database=os.environ["UPSTREAM_DATABASE"], collection=f"memory{next(_number)}", client=_client()
        )


def _reference(function: Any, original: Any = apscheduler.job.obj_to_ref) -> Any:
    # Upstream's scheduler tests add lambdas, which no persistent store takes: give them names.
    try:
        return original(function)
    except ValueError:
        name = f"f{next(_number)}"
        setattr(functions, name, function)
        return f"{__name__}:functions.{name}"


apscheduler.jobstores.mongodb.MongoDBJobStore = MongoDBJobStore
if os.environ.get("UPSTREAM_SCHEDULERS"):
    apscheduler.jobstores.memory.MemoryJobStore = MemoryJobStore
    apscheduler.schedulers.base.MemoryJobStore = MemoryJobStore
    apscheduler.job.obj_to_ref = _reference
