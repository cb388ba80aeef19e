"""DECIDES: whose turn, what is owed, hand it over; command line and dev mode."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster.scheduler.scheduler import ClusterScheduler as ClusterScheduler

_LAZY = {"ClusterScheduler": "cluster.scheduler.scheduler"}


def __getattr__(name: str) -> Any:
    """Load what is asked for: ``horarium --help`` loads no APScheduler."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
