#!/usr/bin/env -S python3 -I -S
"""Asks the local health port whether this process is alive; starts in some 20 ms, because it imports nothing of ours.

Without a port (a one-off command) there is nothing to ask, and the answer is yes.
"""

import os
import socket
import sys


def main() -> int:
    """Return 0 if /healthz answers 200."""
    port = int(os.environ.get("HORARIUM_HTTP_PORT") or 0)
    if not port:
        return 0
    host = os.environ.get("HORARIUM_HTTP_HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    try:
        with socket.create_connection((host, port), timeout=3) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            # To the end: a server whose client hangs up early writes it into its log.
            with connection.makefile("rb") as stream:
                answer = stream.read(65536)
    except OSError as error:
        sys.stderr.write(f"the health port {host}:{port} does not answer: {error}\n")
        return 1
    status = answer.split(b" ")[1:2]
    return 0 if status == [b"200"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
