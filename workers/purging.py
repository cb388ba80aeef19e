"""Removing one tenant's messages from the broker's queues.

A message that stays is refused by every worker, so this is about leaving no trace, not about safety.
"""

import base64
import binascii
import json
from typing import Final, Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobstore.errors import BrokerUnavailable
from workers.app import CONNECT_TIMEOUT_S, SOCKET_TIMEOUT_S
from workers.wire import queue_of

_CHUNK: Final = 1000
_UNACKED: Final = ("unacked", "unacked_index")
_REDIS: Final = ("redis", "rediss", "unix")


class MessagePurge(Protocol):
    """What removes a tenant's messages."""

    def purge(self, uid: str) -> int | None:
        """Remove the messages of ``uid``; return how many, None if this broker's queues cannot be looked through.

        Raises:
            BrokerUnavailable: The broker did not answer.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class RedisPurge:
    """Looks through the lists of our queues, and through what was handed to workers and not acknowledged."""

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client

    def purge(self, uid: str) -> int | None:
        """Remove the messages of ``uid``; return how many (raises BrokerUnavailable)."""
        try:
            removed = sum(self._queue(name, uid) for name in self._queues())
            return removed + self._unacked(uid)
        except (redis.RedisError, OSError) as error:
            raise BrokerUnavailable(f"the broker did not answer: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _queues(self) -> list[bytes]:
        return list(self._client.scan_iter(match=f"{queue_of('')}*", _type="LIST"))

    def _queue(self, name: bytes, uid: str) -> int:
        # From the tail, where workers take: what is pushed meanwhile lands at the head and moves nothing we read.
        found, at = [], 0
        while chunk := self._client.lrange(name, -at - _CHUNK, -at - 1):
            found += [text for text in chunk if uid_in(text) == uid]
            at += _CHUNK
        removed = 0
        for text in found:
            removed += int(self._client.lrem(name, 0, text))  # type: ignore[arg-type]  # it is bytes, as it came
        return removed

    def _unacked(self, uid: str) -> int:
        held, index = _UNACKED
        removed = 0
        for tag, text in self._client.hscan_iter(held):
            if uid_in(text) == uid:
                removed += int(self._client.hdel(held, tag))
                self._client.zrem(index, tag)
        return removed


class NoPurge:
    """A broker whose queues cannot be looked through without consuming them."""

    def purge(self, uid: str) -> int | None:
        """Return None."""
        del uid  # nothing can be found
        return None

    def close(self) -> None:
        """Nothing to close."""


def uid_in(text: bytes | str) -> str | None:
    """Return the tenant uid that a message as kombu stores it names, None if it is not one of ours."""
    try:
        message = json.loads(text)
        if isinstance(message, list):  # one that was handed to a worker: [message, exchange, routing key]
            message = message[0]
        uid = json.loads(base64.b64decode(message["body"]))[1]["uid"]
    except (binascii.Error, IndexError, KeyError, TypeError, UnicodeDecodeError, ValueError):
        return None
    return uid if isinstance(uid, str) else None


def open_purge(broker_url: str) -> MessagePurge:
    """Return what removes messages from the broker at ``broker_url``; it connects when first used."""
    if broker_url.partition("://")[0] not in _REDIS:
        return NoPurge()
    client = redis.Redis.from_url(
        broker_url,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    return RedisPurge(client)
