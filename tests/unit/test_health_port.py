"""The local HTTP port, asked over real sockets."""

import http.client
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from cluster.loop import Loop
from jobstore.errors import ConfigurationError, StoreUnavailable
from jobstore.runtime import Runtime
from tests.support.clocks import FakeClock
from tests.support.ids import CountingIds
from workers.health import HealthServer, Pulse


class Rig:
    """A claim loop that a test turns by hand, and its port."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.down = False
        self.pulse = Pulse(self.clock, alive_within=120, ready_within=15)
        runtime = Runtime(clock=self.clock, ids=CountingIds())
        self.loop = Loop("claim", self.pulse.around(self._once), runtime)
        registry = CollectorRegistry()
        Counter("things_total", "Things.", registry=registry).inc(3)
        self.server = HealthServer("127.0.0.1", 0, alive=self.pulse.alive, ready=self.pulse.ready, registry=registry)
        self.server.start()

    def _once(self) -> float:
        if self.down:
            raise StoreUnavailable("no answer")
        return 1.0

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=5)
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.server.close()


def test_a_process_is_alive_but_not_ready_before_its_first_good_round(rig: Rig):
    assert rig.ask("/healthz")[0] == 200
    assert rig.ask("/readyz") == (503, "no round has ended well yet\n")
    rig.loop.round()
    assert rig.ask("/readyz")[0] == 200


def test_an_outage_of_mongodb_makes_it_unready_and_leaves_it_alive(rig: Rig):
    rig.loop.round()
    rig.down = True
    for _ in range(20):
        rig.clock.advance(10)
        rig.loop.round()
    assert rig.ask("/readyz") == (503, "the last good round ended 200.0 s ago\n")
    assert rig.ask("/healthz")[0] == 200
    rig.down = False
    rig.loop.round()
    assert rig.ask("/readyz")[0] == 200


def test_a_loop_that_stands_still_is_not_alive(rig: Rig):
    rig.loop.round()
    rig.clock.advance(121)
    assert rig.ask("/healthz")[0] == 503


def test_a_process_that_leaves_is_not_ready(rig: Rig):
    rig.loop.round()
    rig.pulse.leave()
    assert rig.ask("/readyz") == (503, "stopping\n")


def test_metrics_are_served_and_head_has_no_body(rig: Rig):
    status, body = rig.ask("/metrics")
    assert (status, "things_total 3.0" in body) == (200, True)
    assert rig.ask("/metrics", "HEAD") == (200, "")
    assert rig.ask("/elsewhere")[0] == 404


def test_a_client_that_hangs_up_early_is_no_news(rig: Rig, capfd: pytest.CaptureFixture[str]):
    import socket
    import struct

    for _ in range(20):
        with socket.create_connection(("127.0.0.1", rig.server.port)) as client:
            # Closing with "no linger" resets the connection while the answer is on its way.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert rig.ask("/healthz")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken_is_refused_in_words(rig: Rig):
    with pytest.raises(ConfigurationError, match="set HORARIUM_HTTP_PORT to a free one"):
        HealthServer(
            "127.0.0.1", rig.server.port, alive=rig.pulse.alive, ready=rig.pulse.ready, registry=CollectorRegistry()
        )
