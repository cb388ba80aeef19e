"""The local HTTP port of a process: ``/healthz``, ``/readyz`` and ``/metrics``.

Alive means that the process's main loop still turns, whatever MongoDB and the broker say: an outage must not restart
every process at once.  Ready means that it does its work.  Neither goes through the broker.
"""

import logging
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from jobstore.clock import Clock
from jobstore.errors import ConfigurationError

_LOG: Final = logging.getLogger("horarium.health")
_REQUEST_S: Final = 5.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer to a probe, and why."""

    good: bool
    said: str


class Pulse:
    """Remembers when a loop last came round, and when it last did so without a fault."""

    def __init__(self, clock: Clock, *, alive_within: float = 120.0, ready_within: float = 15.0) -> None:
        """Begin to count now.

        Args:
            clock: Its monotonic side is used.
            alive_within: Seconds in which a round must end, well or badly.  Longer than the longest round: every
                call to MongoDB is bounded, but a round makes several.
            ready_within: Seconds in which a round must end well.
        """
        self._clock = clock
        self._alive_within = alive_within
        self._ready_within = ready_within
        self._turned = clock.monotonic()
        self._good: float | None = None
        self._leaving = False

    def around(self, once: Callable[[], _T]) -> Callable[[], _T]:
        """Return ``once`` with its end noted."""

        def noted() -> _T:
            try:
                result = once()
            finally:
                self._turned = self._clock.monotonic()
            self._good = self._turned
            return result

        return noted

    def leave(self) -> None:
        """Say that the process is ending: it is not ready from now on."""
        self._leaving = True

    def alive(self) -> Verdict:
        """Return whether the loop turns."""
        age = self._clock.monotonic() - self._turned
        return Verdict(age <= self._alive_within, f"the last round ended {age:.1f} s ago")

    def ready(self) -> Verdict:
        """Return whether the last good round is recent."""
        if self._leaving:
            return Verdict(good=False, said="stopping")
        if self._good is None:
            return Verdict(good=False, said="no round has ended well yet")
        age = self._clock.monotonic() - self._good
        return Verdict(age <= self._ready_within, f"the last good round ended {age:.1f} s ago")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered to a request for anything but probes and metrics."""

    status: HTTPStatus
    body: bytes
    kind: str = "application/json"


More = Callable[[str, Mapping[str, str]], Answer | None]


class HealthServer:
    """A small HTTP server in threads of its own."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        alive: Callable[[], Verdict],
        ready: Callable[[], Verdict],
        registry: CollectorRegistry,
        more: More | None = None,
    ) -> None:
        """Bind the port; 0 takes a free one.

        ``more`` is asked, with path and headers by their names in lower case, about what is neither a probe nor the metrics.

        Raises:
            ConfigurationError: It cannot be bound.
        """
        handler = _handler({"/healthz": alive, "/readyz": ready}, registry, more)
        server = _DualStack if ":" in host else _Server
        try:
            self._server = server((host, port), handler)
        except OSError as error:
            raise ConfigurationError(
                f"the health port {host}:{port} cannot be opened ({error.strerror or error}): "
                "set HORARIUM_HTTP_PORT to a free one, or to 0 for any"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="health", daemon=True
        )

    @property
    def port(self) -> int:
        """Return the port that is bound."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def let_go(self) -> None:
        """Close a forked child's copy of the socket: it would hold the port after its parent is gone."""
        self._server.socket.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A probe that hangs must not keep the process from ending.
    block_on_close = False
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  (the base class calls it so)
        """Log what went wrong with a request; a client that hangs up early is no news."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            _LOG.exception("a request to the health port failed")


class _DualStack(_Server):
    address_family = socket.AF_INET6


def _handler(
    probes: dict[str, Callable[[], Verdict]], registry: CollectorRegistry, more: More | None
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_S
        server_version = "horarium"
        sys_version = ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in probes:
                verdict = probes[path]()
                status = HTTPStatus.OK if verdict.good else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, "text/plain; charset=utf-8", f"{verdict.said}\n".encode())
            elif path == "/metrics":
                encode, kind = choose_encoder(self.headers.get("Accept", ""))
                self._answer(HTTPStatus.OK, kind, encode(registry))
            elif more is not None and (found := more(self.path, self._named())) is not None:
                self._answer(found.status, found.kind, found.body)
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"/healthz /readyz /metrics\n")

        def _named(self) -> dict[str, str]:
            return {name.lower(): value for name, value in self.headers.items()}

        def do_HEAD(self) -> None:
            self.do_GET()

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class names it so)
            """Say nothing: a probe every few seconds is no news."""

    return Handler
