"""The MongoDB and the Valkey that tests run against: given by URL, in containers, or embedded, in this order."""

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

_MONGO_IMAGE = "mongo:8"
_VALKEY_IMAGE = "valkey/valkey:9"
_LOCAL = {"localhost", "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a server comes from, and what to tell people about it."""

    kind: str
    said: str
    start: Callable[[ExitStack], str]


def mongo_source() -> Source:
    """Return where the tests' MongoDB comes from; nothing is started yet."""
    image = os.environ.get("HORARIUM_TEST_MONGO_IMAGE", _MONGO_IMAGE)
    return _choose("HORARIUM_TEST_MONGO_URL", image, _mongo_container, _embedded_mongo)


def valkey_source() -> Source:
    """Return where the tests' Valkey comes from; nothing is started yet."""
    image = os.environ.get("HORARIUM_TEST_VALKEY_IMAGE", _VALKEY_IMAGE)
    return _choose("HORARIUM_TEST_REDIS_URL", image, _valkey_container, _embedded_valkey)


def _choose(
    variable: str,
    image: str,
    contained: Callable[[ExitStack, str], str],
    embedded: Callable[[ExitStack], str],
) -> Source:
    url = os.environ.get(variable)
    if url:
        return Source("url", f"{variable} ({urlsplit(url).hostname})", lambda _: url)
    if not docker_answers():
        return Source("embedded", "embedded server", embedded)

    def start(stack: ExitStack) -> str:
        from docker.errors import DockerException

        try:
            return contained(stack, image)
        except (DockerException, OSError) as error:
            print(f"\n{image} cannot be had, taking the embedded server instead: {error}")  # noqa: T201
            return embedded(stack)

    return Source("container", f"container of {image}", start)


@cache
def docker_answers() -> bool:
    """Return whether a Docker engine answers on its socket; asks the socket itself, as the client takes seconds."""
    where = urlsplit(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    local = where.scheme == "unix"
    if local and not Path(where.path).is_socket():
        return False
    try:
        with socket.socket(socket.AF_UNIX if local else socket.AF_INET) as probe:
            probe.settimeout(0.5)
            probe.connect(where.path if local else (where.hostname or "localhost", where.port or 2375))
            probe.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b"200" in probe.recv(64)
    except OSError:
        return False


def _embedded_mongo(stack: ExitStack) -> str:
    from cluster.dev.mongod import EmbeddedMongo

    return stack.enter_context(EmbeddedMongo()).url


def _embedded_valkey(stack: ExitStack) -> str:
    from cluster.dev.valkey import EmbeddedValkey

    return stack.enter_context(EmbeddedValkey()).url


def _mongo_container(stack: ExitStack, image: str) -> str:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    from cluster.dev.ports import free_port
    from jobstore import replicaset
    from jobstore.clock import SystemClock

    # The same port inside and outside: then the member's own name for itself is one that clients reach as well.
    port = free_port()
    container = (
        DockerContainer(image)
        .with_command(f"--replSet rs0 --bind_ip_all --port {port} --wiredTigerCacheSizeGB 0.25 --oplogSize 64")
        .with_bind_ports(port, port)
        .waiting_for(LogMessageWaitStrategy("Waiting for connections"))
    )
    host = stack.enter_context(container).get_container_host_ip()
    address = f"{host}:{port}"
    within = 30.0
    if host in _LOCAL:
        replicaset.form([address], name="rs0", within=within)
        query = "replicaSet=rs0"
    else:  # an engine on another machine: the member cannot reach itself by the name that clients use
        replicaset.form([address], name="rs0", within=within, known_as=[f"localhost:{port}"])
        query = "directConnection=true"
    assert replicaset.await_primary([address], clock=SystemClock(), within=within), f"{image}: no primary"
    return f"mongodb://{address}/?{query}"


def _valkey_container(stack: ExitStack, image: str) -> str:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    container = (
        DockerContainer(image)
        .with_command("valkey-server --save '' --maxmemory-policy noeviction --databases 64")
        .with_exposed_ports(6379)
        .waiting_for(LogMessageWaitStrategy("Ready to accept"))
    )
    stack.enter_context(container)
    return f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
