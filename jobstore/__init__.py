"""REMEMBERS: values, time rules, documents, MongoDB."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobstore.apscheduler.dropin import MongoDBJobStore as MongoDBJobStore
    from jobstore.apscheduler.shared import SharedMongoDBJobStore as SharedMongoDBJobStore

_LAZY = {
    "MongoDBJobStore": "jobstore.apscheduler.dropin",
    "SharedMongoDBJobStore": "jobstore.apscheduler.shared",
}


def __getattr__(name: str) -> Any:
    """Load the job stores for APScheduler when they are asked for: ``import jobstore`` loads no driver."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
