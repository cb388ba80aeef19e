"""One MongoDB client with the options that the promises need, and the errors of the driver in our words."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import (
    ConnectionFailure,
    ExecutionTimeout,
    InvalidURI,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)
from pymongo.monitoring import CommandListener
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from jobstore.errors import ConfigurationError, StoreUnavailable

Document = dict[str, Any]
Documents = Collection[Document]

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Stepping down, shutting down, interrupted by failover, exceeded time limit: the same as a lost connection.
_PASSING_CODES = frozenset({6, 7, 50, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})


def connect(
    url: str,
    *,
    name: str,
    timeout_s: float = 5.0,
    pool_size: int = 32,
    listeners: Sequence[CommandListener] = (),
) -> MongoClient[Document]:
    """Return a client for a replica set or sharded cluster; it connects when first used.

    Args:
        url: A ``mongodb://`` or ``mongodb+srv://`` URL.
        name: Shown in the server's logs and in ``currentOp``.
        timeout_s: Bound on every single operation.  Without one a frozen primary freezes the client with it.
        pool_size: Most connections to one server.
        listeners: Told of every command, for counting.

    Raises:
        ConfigurationError: The URL cannot be read.
    """
    try:
        return MongoClient(
            url,
            appname=name,
            tz_aware=True,
            w="majority",
            journal=True,
            retryWrites=True,
            retryReads=True,
            timeoutMS=round(timeout_s * 1000),
            serverSelectionTimeoutMS=round(timeout_s * 1000),
            connectTimeoutMS=2000,
            # A failover is noticed within a second instead of the driver's ten.
            heartbeatFrequencyMS=1000,
            maxPoolSize=pool_size,
            event_listeners=list(listeners),
        )
    except (InvalidURI, DriverConfigurationError, ValueError) as error:
        raise ConfigurationError(f"the MongoDB URL cannot be used: {error}") from error


def check_deployment(client: MongoClient[Document]) -> None:
    """Refuse a deployment on which the promises do not hold.

    Raises:
        ConfigurationError: It is a standalone server, or older than 6.0.
        StoreUnavailable: No server answered.
    """
    hello = _hello(client)
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise ConfigurationError(
            "MongoDB runs as a standalone server; Horarium needs a replica set (one member is enough): "
            "start mongod with --replSet and run rs.initiate()"
        )
    if hello.get("maxWireVersion", 0) < 17:
        raise ConfigurationError("MongoDB is older than 6.0; Horarium needs 6.0 or newer")


def _hello(client: MongoClient[Document]) -> Mapping[str, Any]:
    try:
        return client.admin.command("hello")
    except PyMongoError as error:
        raise unavailable(error) from error


def database(client: MongoClient[Document], name: str) -> Database[Document]:
    """Return a database whose writes and reads are majority, whatever the URL says."""
    return client.get_database(
        name,
        write_concern=WriteConcern(w="majority", j=True),
        read_concern=ReadConcern("local"),
    )


def is_passing(error: PyMongoError) -> bool:
    """Return whether ``error`` goes away by itself: the same call may be repeated later."""
    if isinstance(
        error,
        ConnectionFailure
        | NetworkTimeout
        | ServerSelectionTimeoutError
        | ExecutionTimeout
        | WTimeoutError
        | WriteConcernError,
    ):
        return True
    return (isinstance(error, OperationFailure) and error.code in _PASSING_CODES) or error.timeout


def unavailable(error: PyMongoError) -> StoreUnavailable | ConfigurationError:
    """Return our error for one of the driver's."""
    if isinstance(error, OperationFailure) and error.code in (13, 18):
        return ConfigurationError(f"MongoDB refused the credentials: {error.details or error}")
    text = str(error).split(", Timeout:")[0]
    return StoreUnavailable(f"MongoDB did not answer: {text}")


def stored(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turn passing driver errors of ``call`` into StoreUnavailable; what is left is a bug and goes up as it is."""

    @functools.wraps(call)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return call(*args, **kwargs)
        except PyMongoError as error:
            if is_passing(error):
                raise unavailable(error) from error
            raise

    return wrapped
