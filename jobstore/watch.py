"""News of the agenda by change stream, so that a job added by any process fires on time.

Only an early wake-up: a node also looks at the agenda every poll, and nothing is lost when the stream is.
"""

import threading
from collections.abc import Callable
from typing import Final

from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from jobstore.connection import Document, stored

# A raise changes ``next`` only; a bump changes ``bumped`` too, and only bumps are news.
_NEWS: Final[list[Document]] = [
    {
        "$match": {
            "$or": [
                {"operationType": {"$in": ["insert", "replace"]}},
                {"updateDescription.updatedFields.bumped": {"$exists": True}},
            ]
        }
    },
    {"$project": {"documentKey": 1}},
]


@stored
def watch_agenda(control: Database[Document], wake: Callable[[], None], stop: threading.Event) -> None:
    """Call ``wake`` whenever somebody bumps a tenant, until ``stop`` is set.

    Raises:
        StoreUnavailable: The stream broke; the caller opens it again.
    """
    agenda = control["agenda"].with_options(read_concern=ReadConcern("majority"))
    with agenda.watch(_NEWS, max_await_time_ms=2000) as stream:
        while not stop.is_set():
            if stream.try_next() is not None:
                wake()
