"""Where in its window a firing starts, so that not everything starts at :00."""

import hashlib
from datetime import datetime, timedelta

from jobstore.clock import to_posix

_MILLISECOND = timedelta(milliseconds=1)


def spread(uid: str, job: str, nominal: datetime, window: timedelta, next_nominal: datetime | None) -> timedelta:
    """Return how long after its nominal a firing is to start: equal on every node, in whole milliseconds.

    Args:
        uid: The tenant's uid.
        job: The job's id.
        nominal: The instant that the timetable names; it stays as it is.
        window: The offset is below this.
        next_nominal: The offset is below the distance to it, so that no firing overtakes the next.
    """
    limit = window if next_nominal is None else min(window, next_nominal - nominal)
    steps = -(-limit // _MILLISECOND)
    if steps <= 1:
        return timedelta(0)
    micros = round(to_posix(nominal) * 1_000_000)
    digest = hashlib.sha256(f"v1|{uid}|{len(job)}:{job}|{micros}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * steps // 2**64 * _MILLISECOND
