"""Logging of long-running commands: one line an entry, UTC, to stderr."""

import logging
import time


def log_to_stderr(level: str) -> None:
    """Set up the root logger."""
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
    # The driver's own news at INFO and below is about its pools, not about ours.
    logging.getLogger("pymongo").setLevel(max(logging.WARNING, logging.getLevelName(level)))
