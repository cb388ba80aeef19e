"""Form a replica set and find its primary: for the servers that development and tests start themselves."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from threading import Event
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from jobstore.clock import Clock
from jobstore.errors import ConfigurationError

_ALREADY_INITIALIZED = 23
_POLL_S = 0.02
_HELLO_S = 0.5
# Elections within two seconds instead of ten, so that a fail-over test is a short one.
_SETTINGS = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500, "heartbeatTimeoutSecs": 2}


def form(members: Sequence[str], *, name: str, within: float, known_as: Sequence[str] | None = None) -> None:
    """Make running servers (``host:port``) a replica set, or tell an existing one its members' new addresses.

    ``known_as`` are their addresses among themselves, where these are not the ones given.

    Raises:
        ConfigurationError: The servers refused, or did not answer within ``within`` seconds.
    """
    hosts = [{"_id": number, "host": host} for number, host in enumerate(known_as or members)]
    config = {"_id": name, "members": hosts, "settings": _SETTINGS}
    with closing(_direct(members[0], within)) as client:
        try:
            _initiate(client, config)
        except PyMongoError as error:
            raise ConfigurationError(f"{', '.join(members)} cannot become the replica set {name}: {error}") from error


def _initiate(client: MongoClient[dict[str, Any]], config: Mapping[str, Any]) -> None:
    try:
        client.admin.command("replSetInitiate", config)
    except OperationFailure as error:
        if error.code != _ALREADY_INITIALIZED:
            raise
        stored = client.admin.command("replSetGetConfig")["config"]
        if [member["host"] for member in stored["members"]] != [member["host"] for member in config["members"]]:
            # Data that was kept, servers on other ports now: no member finds itself in the stored configuration,
            # so there is no primary that an unforced change could go through.
            client.admin.command("replSetReconfig", {**config, "version": stored["version"] + 1}, force=True)


def find_primary(members: Sequence[str]) -> str | None:
    """Return the member that takes writes now, asking each one in turn."""
    for member in members:
        with closing(_direct(member, _HELLO_S)) as client:
            if _is_primary(client):
                return member
    return None


def await_primary(members: Sequence[str], *, clock: Clock, within: float) -> str | None:
    """Return the member that takes writes as soon as there is one, None after ``within`` seconds."""
    deadline = clock.monotonic() + within
    pause = Event()
    clients = {member: _direct(member, _HELLO_S) for member in members}
    try:
        while True:
            for member, client in clients.items():
                if _is_primary(client):
                    return member
            if clock.monotonic() >= deadline:
                return None
            clock.wait(pause, _POLL_S)
    finally:
        for client in clients.values():
            client.close()


def _is_primary(client: MongoClient[dict[str, Any]]) -> bool:
    try:
        return bool(client.admin.command("hello")["isWritablePrimary"])
    except PyMongoError:
        return False


def _direct(member: str, timeout_s: float) -> MongoClient[dict[str, Any]]:
    milliseconds = max(1, int(timeout_s * 1000))
    return MongoClient(
        member,
        directConnection=True,
        serverSelectionTimeoutMS=milliseconds,
        connectTimeoutMS=milliseconds,
        socketTimeoutMS=milliseconds,
    )
