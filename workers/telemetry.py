"""What a worker announces, as log lines: one per event, ``name key=value …``, logger ``horarium.worker``."""

import logging
from dataclasses import fields
from typing import Final

from jobstore.events import Event, FiringBegun, JobQuarantined, LoopFailed, MessageDropped, WriteRefused

_LOG: Final = logging.getLogger("horarium.worker")
_LEVELS: Final[dict[type[Event], int]] = {
    FiringBegun: logging.DEBUG,
    MessageDropped: logging.WARNING,
    WriteRefused: logging.WARNING,
    JobQuarantined: logging.ERROR,
    LoopFailed: logging.WARNING,
}


def log_event(event: Event) -> None:
    """Write ``event`` as one line."""
    level = _LEVELS.get(type(event), logging.INFO)
    if _LOG.isEnabledFor(level):
        _LOG.log(level, "%s", line(event))


def line(event: Event) -> str:
    """Return an event as text: its name, then its fields; a text with spaces is quoted."""
    parts = [type(event).__name__]
    for one in fields(event):
        value = getattr(event, one.name)
        text = str(value)
        parts.append(f"{one.name}={text!r}" if " " in text or not text else f"{one.name}={text}")
    return " ".join(parts)
