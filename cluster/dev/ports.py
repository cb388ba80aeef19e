"""Free ports on the loopback interface."""

import itertools
import os
import socket
import threading

LOOPBACK = "127.0.0.1"

# Below the range from which the kernel picks the near ends of outgoing connections (32768 and up): a client that
# reconnects to a killed server there may be given the server's own port and end up talking to itself.
_FIRST, _COUNT = 20_000, 12_000
_lock = threading.Lock()
_next = itertools.count(os.getpid() * 101)  # processes begin apart, so that parallel test runs rarely meet


def free_port() -> int:
    """Return a port nobody listens on and that this process has not been given lately.

    Another process may still take it first: a server started on it must be ready to fail and be given the next.
    """
    with _lock:
        for number in itertools.islice(_next, _COUNT):
            port = _FIRST + number % _COUNT
            if not is_taken(port):
                return port
    raise OSError(f"no free port between {_FIRST} and {_FIRST + _COUNT}")


def is_taken(port: int) -> bool:
    """Return whether somebody holds ``port`` on the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False
