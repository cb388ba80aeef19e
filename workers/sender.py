"""Handing messages to the broker: many in one round trip, bounded in time, without hidden retries.

Whatever goes wrong is one error, ``BrokerUnavailable``, and it always means "may have got in all the same": the caller
undoes nothing, and a second delivery is dropped by the worker.
"""

import threading
from collections.abc import Sequence
from typing import Any, Final, Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobstore.errors import BrokerUnavailable, ConfigurationError
from jobstore.ids import IdSource, SystemIds
from workers.app import CONNECT_TIMEOUT_S, SOCKET_TIMEOUT_S, sending_app
from workers.epoch import NoEpoch, RedisEpoch
from workers.templates import Template, publish, template_of
from workers.wire import Message

_PER_PUSH: Final = 500
_REDIS: Final = ("redis", "rediss", "unix")


class Sender(Protocol):
    """What a node hands messages to."""

    def send(self, messages: Sequence[Message]) -> None:
        """Put the messages into the queues of their pools, in order; bounded in time.

        Raises:
            BrokerUnavailable: Some or all may not have got in.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class BrokerEpoch(Protocol):
    """What tells a node that the broker forgot messages."""

    def check(self) -> bool:
        """Return whether the broker lost or rewound its data since the last check (raises BrokerUnavailable)."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class RedisSender:
    """Pushes templated messages with one pipeline a batch; safe for threads."""

    def __init__(self, client: "redis.Redis", broker_url: str, key: bytes, ids: IdSource) -> None:
        self._client = client
        self._app = sending_app(broker_url)
        self._key = key
        self._ids = ids
        self._templates: dict[str, Template] = {}
        self._declared: set[str] = set()
        self._lock = threading.Lock()

    def send(self, messages: Sequence[Message]) -> None:
        """Push the messages, grouped by queue, in one round trip (raises BrokerUnavailable)."""
        if not messages:
            return
        queues: dict[str, list[str]] = {}
        for message in messages:
            text = self._template(message.pool).fill(message, self._key, _tag(self._ids.token()))
            queues.setdefault(message.pool, []).append(text)
        undeclared = queues.keys() - self._declared
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for pool in undeclared:
                    self._declare(pipe, self._templates[pool])
                for pool, texts in queues.items():
                    for at in range(0, len(texts), _PER_PUSH):
                        pipe.lpush(self._templates[pool].queue, *texts[at : at + _PER_PUSH])
                pipe.execute()
        except (redis.RedisError, OSError) as error:
            # A broker that comes back may have lost what was declared.
            self._declared = set()
            raise BrokerUnavailable(f"the broker did not take {len(messages)} messages: {error}") from error
        self._declared = self._declared | undeclared

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _template(self, pool: str) -> Template:
        found = self._templates.get(pool)
        if found is None:
            with self._lock:
                found = self._templates.setdefault(pool, template_of(self._app, pool))
        return found

    def _declare(self, pipe: Any, template: Template) -> None:
        """Tell kombu's consumers of the queue, as kombu's own producer does before its first message."""
        from kombu.transport.redis import Channel

        for exchange, *member in template.bindings:
            for name in (Channel.keyprefix_queue, Channel.keyprefix_binding_permanent):
                pipe.sadd(name % (exchange,), Channel.sep.join(member))


def _tag(token: str) -> str:
    """Return a token as kombu writes its delivery tags."""
    return f"{token[:8]}-{token[8:12]}-{token[12:16]}-{token[16:20]}-{token[20:32]}"


class CelerySender:
    """Publishes through Celery, one message at a time, over any of kombu's transports; safe for threads."""

    def __init__(self, broker_url: str, key: bytes) -> None:
        self._app = sending_app(broker_url)
        self._key = key
        self._producer: Any = None
        self._lock = threading.Lock()

    def send(self, messages: Sequence[Message]) -> None:
        """Publish the messages, each confirmed where the broker can (raises BrokerUnavailable)."""
        from amqp.exceptions import AMQPError
        from kombu.exceptions import KombuError

        with self._lock:
            try:
                if self._producer is None:
                    self._producer = self._connect()
                for message in messages:
                    publish(self._app, self._producer, message, self._key, confirm_timeout=SOCKET_TIMEOUT_S)
            except (KombuError, AMQPError, redis.RedisError, OSError) as error:
                # What the connection is good for now nobody knows.
                self._drop()
                raise BrokerUnavailable(f"the broker did not take {len(messages)} messages: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _connect(self) -> Any:
        connection = self._app.connection_for_write()
        connection.ensure_connection(max_retries=1, timeout=CONNECT_TIMEOUT_S)
        return self._app.amqp.Producer(connection)

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.connection.collect(socket_timeout=1)


def open_sender(broker_url: str, key: bytes, ids: IdSource | None = None) -> Sender:
    """Return a sender for the broker at ``broker_url``; it connects when first used.

    Args:
        broker_url: ``redis://`` and ``rediss://`` take the quick way; any other URL that kombu knows the general one.
        key: Signs the messages (``Store.message_key()``).
        ids: Where delivery tags come from.

    Raises:
        ConfigurationError: The URL cannot be read.
    """
    if _scheme(broker_url) in _REDIS:
        return RedisSender(_client(broker_url), broker_url, key, ids or SystemIds())
    return CelerySender(broker_url, key)


def open_broker_epoch(broker_url: str, ids: IdSource) -> BrokerEpoch:
    """Return the memory of the broker's state; it connects when first used (raises ConfigurationError)."""
    return RedisEpoch(_client(broker_url), ids) if _scheme(broker_url) in _REDIS else NoEpoch()


def _scheme(broker_url: str) -> str:
    scheme, found, _ = broker_url.partition("://")
    if not found:
        raise ConfigurationError(f"the broker URL {broker_url[:20]!r} has no scheme; give redis://… or amqp://…")
    return scheme


def _client(broker_url: str) -> "redis.Redis":
    try:
        return redis.Redis.from_url(
            broker_url,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_keepalive=True,
            # The client would repeat a push up to ten times by itself, and each may have got in.
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
        )
    except ValueError as error:
        raise ConfigurationError(f"the broker URL cannot be used: {error}") from error
