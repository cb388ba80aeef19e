"""Initiates the replica set and makes its two users; doing it again changes nothing.

It runs in the network of the first member: MongoDB lets the first user be made from the server's own machine only.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

DEADLINE_S = 120
ALREADY_INITIALIZED, NOT_AUTHORIZED, USER_EXISTS = 23, 13, 51003
OURS = [
    {"role": "readWriteAnyDatabase", "db": "admin"},
    {"role": "dbAdminAnyDatabase", "db": "admin"},
    {"role": "clusterMonitor", "db": "admin"},
]


def main() -> None:
    """Initiate, wait for a primary, make the users."""
    members = os.environ["MEMBERS"].split(",")
    local: MongoClient[dict[str, Any]] = MongoClient("127.0.0.1", directConnection=True, serverSelectionTimeoutMS=5000)
    config = {
        "_id": "rs0",
        # The first member is preferred, so that the users can be made where this runs.
        "members": [
            {"_id": index, "host": host, "priority": 2 if index == 0 else 1} for index, host in enumerate(members)
        ],
    }
    until_done(lambda: tolerant(lambda: local.admin.command("replSetInitiate", config)))
    until_done(lambda: wait_for_primary(local))
    admin = os.environ["ADMIN_PASSWORD"]
    until_done(lambda: tolerant(lambda: make_user(local, "admin", admin, [{"role": "root", "db": "admin"}])))
    url_parts = {"username": "admin", "password": admin, "authSource": "admin", "directConnection": True}
    known: MongoClient[dict[str, Any]] = MongoClient("127.0.0.1", **url_parts)
    until_done(lambda: tolerant(lambda: make_user(known, "horarium", os.environ["HORARIUM_PASSWORD"], OURS)))
    sys.stdout.write("the replica set is ready\n")


def make_user(client: "MongoClient[dict[str, Any]]", name: str, password: str, roles: list[dict[str, str]]) -> None:
    """Make one user."""
    client.admin.command("createUser", name, pwd=password, roles=roles)


def wait_for_primary(client: "MongoClient[dict[str, Any]]") -> None:
    """Raise unless this member takes writes."""
    if not client.admin.command("hello")["isWritablePrimary"]:
        raise PyMongoError("no primary yet")


def tolerant(call: Callable[[], Any]) -> None:
    """Call; what has been done before is not done again.

    Once there is a user, nobody else may do anything, which tells as well that it has been done.
    """
    try:
        call()
    except OperationFailure as error:
        if error.code not in (ALREADY_INITIALIZED, NOT_AUTHORIZED, USER_EXISTS):
            raise


def until_done(call: Callable[[], None]) -> None:
    """Call until it works, for two minutes."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return call()
        except PyMongoError as error:
            if time.monotonic() > deadline:
                raise
            sys.stdout.write(f"{error}; trying again\n")
            time.sleep(1)


if __name__ == "__main__":
    main()
