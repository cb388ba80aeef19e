"""Whether the broker forgot something: a restart without its data, a FLUSHALL, an older snapshot.

Two keys: ``horarium:epoch`` holds a random id made once per life of the data, and tells processes that start after
the loss.  ``horarium:epoch:<process>`` counts the checks of one process: only its owner writes it, so a value below
the last acknowledged one can only be an older state of the broker.  (One counter for all would be counted past the gap
by the others before the one process that could tell looks at it.)
"""

from typing import Final

import redis

from jobstore.errors import BrokerUnavailable
from jobstore.ids import IdSource

KEY: Final = "horarium:epoch"
_KEPT_S: Final = 86_400


class RedisEpoch:
    """One process's memory of the broker's state; not for several threads at once."""

    def __init__(self, client: "redis.Redis", ids: IdSource) -> None:
        self._client = client
        self._ids = ids
        self._mine = f"{KEY}:{ids.token()}"
        self._tried = 0
        self._acknowledged = 0
        self._id: bytes | None = None

    def check(self) -> bool:
        """Return whether the broker lost or rewound its data since the last check.

        The first check of a process says so when the broker holds no epoch at all.

        Raises:
            BrokerUnavailable: It did not answer.
        """
        self._tried += 1
        fresh = self._ids.token().encode()
        try:
            with self._client.pipeline(transaction=True) as pipe:
                pipe.set(KEY, fresh, nx=True)
                pipe.get(KEY)
                pipe.set(self._mine, self._tried, ex=_KEPT_S, get=True)
                made, found, counted = pipe.execute()
        except (redis.RedisError, OSError) as error:
            raise BrokerUnavailable(f"the broker did not answer: {error}") from error
        rewound = (0 if counted is None else int(counted)) < self._acknowledged
        lost = bool(made) or rewound or (self._id is not None and found != self._id)
        self._id, self._acknowledged = found, self._tried
        return lost

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class NoEpoch:
    """A broker that keeps what it confirmed, or cannot say; the sweep's waits are what is left."""

    def check(self) -> bool:
        """Return False."""
        return False

    def close(self) -> None:
        """Nothing to close."""
