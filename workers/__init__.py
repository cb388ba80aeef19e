"""RUNS: the wire, the Celery app, executing one firing, worker pools."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workers.context import FiringContext as FiringContext
    from workers.context import current_firing as current_firing
    from workers.executor.executor import CeleryExecutor as CeleryExecutor
    from workers.installation import install as install
    from workers.outcome import Retry as Retry
    from workers.outcome import RunCancelled as RunCancelled
    from workers.outcome import RunLost as RunLost
    from workers.outcome import RunStopped as RunStopped
    from workers.registry import register as register

_LAZY = {
    "CeleryExecutor": "workers.executor.executor",
    "FiringContext": "workers.context",
    "Retry": "workers.outcome",
    "RunCancelled": "workers.outcome",
    "RunLost": "workers.outcome",
    "RunStopped": "workers.outcome",
    "current_firing": "workers.context",
    "install": "workers.installation",
    "register": "workers.registry",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for: ``import workers`` loads no Celery, which a node does not need."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
