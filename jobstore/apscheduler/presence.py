"""Who runs jobs of a database: the sign of life of each scheduler process that counts instances.

``running`` in a job's document names the processes in which its instances run.  An instance counts as long as its
process lives, so a process that dies takes its instances with it and nothing leaks.
"""

import os
import socket
import threading
from collections.abc import Collection
from logging import Logger
from typing import Final

from pymongo.database import Database
from pymongo.errors import PyMongoError

from jobstore.apscheduler.stored import Document
from jobstore.clock import Clock
from jobstore.errors import StoreUnavailable
from jobstore.ids import IdSource
from jobstore.members import Members, Watch

COLLECTION: Final = "horarium.schedulers"
DEAD_AFTER_S: Final = 10.0
_BEATS_UNTIL_DEAD: Final = 5


class Schedulers(Members):
    """The signs of life in a database of job collections; a collection of its own, as nodes have another meaning."""

    def __init__(self, database: Database[Document]) -> None:
        self._members = database[COLLECTION]


class Presence:
    """This process among the schedulers of one database."""

    def __init__(
        self,
        database: Database[Document],
        ids: IdSource,
        clock: Clock,
        logger: Logger,
        dead_after_s: float = DEAD_AFTER_S,
    ) -> None:
        self.member: Final = f"{socket.gethostname()}/{os.getpid()}/{ids.token()[:8]}"
        self._schedulers = Schedulers(database)
        self._clock = clock
        self._logger = logger
        self._boot = ids.token()
        self._counter = 0
        # By this process's monotonic clock and what it has seen itself, never by a time in a document: after an outage
        # of MongoDB every such time is past.
        self._watch = Watch(clock, dead_after_s)
        self._every_s = dead_after_s / _BEATS_UNTIL_DEAD
        self._living: set[str] = set()
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Beat once, so that no instance is ever named of a process that nobody knows, and go on in a thread.

        Starting it again changes nothing.

        Raises:
            StoreUnavailable: MongoDB did not answer.
        """
        with self._starting:
            if self._thread is None:
                self.beat()
                self._thread = threading.Thread(target=self._loop, name="horarium-presence", daemon=True)
                self._thread.start()

    def stop(self, *, busy: bool) -> None:
        """Stop beating; while jobs still run here (``busy``) the sign stays, and goes stale with the process."""
        self._stop.set()
        if busy:
            return
        try:
            self._schedulers.leave(self.member, boot=self._boot)
        except (StoreUnavailable, PyMongoError) as error:
            self._logger.info("%s could not say goodbye: %s", self.member, error)

    def beat(self) -> None:
        """Write this process's sign of life and read the others' (raises StoreUnavailable)."""
        with self._lock:
            self._counter += 1
            self._schedulers.beat(self.member, boot=self._boot, counter=self._counter, at=self._clock.now(), details={})
            self._look()

    def gone(self, members: Collection[str]) -> set[str]:
        """Return those of ``members`` that do not live any more (raises StoreUnavailable)."""
        if not members:
            return set()
        with self._lock:
            if not self._living.issuperset(members):
                self._look()  # one that is new to us is not a dead one
            return set(members) - self._living

    def _look(self) -> None:
        living, dead = self._watch.observe(self._schedulers.all())
        self._living = {self.member, *(member.id for member in living)}
        self._schedulers.remove(member for member in dead if member.id != self.member)

    def _loop(self) -> None:
        while not self._clock.wait(self._stop, self._every_s):
            try:
                self.beat()
            except (StoreUnavailable, PyMongoError) as error:
                self._logger.info("%s could not give a sign of life: %s", self.member, error)
