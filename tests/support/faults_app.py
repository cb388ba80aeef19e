"""The noting application with tasks that do harm."""

import os
import signal

from tests.support.noting_app import app, note


@app.task(name="noting.kills")
def kills() -> None:
    """Kill the process that runs it."""
    note("begin")
    os.kill(os.getpid(), signal.SIGKILL)
