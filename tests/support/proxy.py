"""A TCP proxy that misbehaves when it is told to: refuses, swallows, delays, or cuts the line after certain bytes."""

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import Literal, Self

Mode = Literal["pass", "refuse", "blackhole", "slow", "ambiguous"]

_CHUNK = 65_536


@dataclass
class Proxy:
    """Forwards a port of its own to ``target``; ``mode`` may be changed at any time, for old connections too.

    ``refuse`` closes at once; ``blackhole`` keeps connections open and forwards nothing; ``slow`` holds every piece
    back for ``delay`` seconds; ``ambiguous`` delivers what the client sends and cuts the line before the reply
    whenever ``needle`` was in it.
    """

    target: tuple[str, int]
    mode: Mode = "pass"
    delay: float = 1.0
    needle: bytes = b"LPUSH"
    cuts: int = 0
    _open: list[socket.socket] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name=f"proxy-{self.port}", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cut every line and stop listening."""
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cut every line that is open."""
        with self._lock:
            lines, self._open = self._open, []
        for line in lines:
            _hang_up(line)

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.mode == "refuse":
                _hang_up(client)
                continue
            try:
                server = socket.create_connection(self.target, timeout=5)
            except OSError:
                _hang_up(client)
                continue
            server.settimeout(None)
            with self._lock:
                self._open += [client, server]
            for source, sink, up in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(source, sink), kwargs={"up": up}, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, *, up: bool) -> None:
        try:
            while data := source.recv(_CHUNK):
                if self.mode == "refuse":
                    break
                while self.mode == "blackhole" and not self._stop.wait(0.05):
                    pass
                if self.mode == "slow":
                    self._stop.wait(self.delay)
                sink.sendall(data)
                if up and self.mode == "ambiguous" and self.needle in data:
                    self.cuts += 1
                    # Far enough for the server to have read it, and before its reply is forwarded: that way is shut.
                    source.shutdown(socket.SHUT_WR)
                    self._stop.wait(0.05)
                    break
        except OSError:
            pass
        finally:
            _hang_up(source)
            _hang_up(sink)
            with self._lock:
                self._open = [line for line in self._open if line not in (source, sink)]


def _hang_up(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
