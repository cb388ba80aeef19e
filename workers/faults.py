"""Faults of the libraries that a worker must survive, mended from outside, each with the test that shows it."""

from typing import Any

from kombu.transport.redis import QoS


def mend_restore() -> None:
    """Keep a worker alive that loses its broker while a message is not yet acknowledged.

    kombu 5.7.0 closes the lost connection twice; the second time it wants to restore the message through a connection
    that is gone, and the AttributeError ends the worker with "Unrecoverable error", and all that runs in it.  Nothing
    is lost by not restoring: the broker still has the message, and the cluster repeats what never begins.
    """
    original = QoS.restore_unacked_once
    if original.__module__ == __name__:
        return

    def restore_unacked_once(self: Any, stderr: Any = None) -> None:
        if getattr(self.channel.connection, "client", None) is None:
            self._on_collect.cancel()
            return
        original(self, stderr)

    QoS.restore_unacked_once = restore_unacked_once
