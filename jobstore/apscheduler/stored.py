"""The documents of APScheduler's MongoDB job store, and our fields beside its three.

Stock's document is ``{_id: str, next_run_time: double | null, job_state: BinData}`` with a sparse index on
``next_run_time``.  Stock ignores every further field and leaves it in place when it updates a job, so what is ours
stands beside them, and the pickle stays stock's::

    quarantine: {reason: str, at: Date, next_run_time: double | null}     both stores, while a job is set aside
    lease_until: Date, owner: str, claim_nonce: str                       the shared store, while a job is claimed
    claim_token: int                                                      + 1 per claim and per edit
    decided_through: double                                               no run time up to here is run again
    begun: [{through: double, owner: str, nonce: str, at: Date}]          who began the last runs, newest first
    running: [{nonce: str, member: str, at: Date}]                        instances, where they are counted across processes

Instants of the timetable are doubles, as in stock; what happened, and the lease, are Dates by the server's clock.
"""

from datetime import UTC, datetime
from typing import Any, Final

from bson.codec_options import CodecOptions
from pymongo import MongoClient, ReadPreference
from pymongo.collection import Collection
from pymongo.write_concern import WriteConcern

from jobstore.clock import to_posix

Document = dict[str, Any]
Documents = Collection[Document]

# What a claim sets and whatever ends it takes away.
LEASE: Final = ("lease_until", "owner", "claim_nonce")

# A cluster's own jobs in the collection have no pickle, or are on their way out: they are not APScheduler's to see.
PICKLED: Final[Document] = {"job_state": {"$exists": True}, "state": {"$nin": ["completed", "deleting"]}}
SET_ASIDE: Final[Document] = {"next_run_time": None, "quarantine.at": {"$exists": True}}
LISTED: Final[Document] = PICKLED | {"$nor": [SET_ASIDE]}
WAITING: Final[Document] = PICKLED | {"next_run_time": {"$ne": None}}


def open_collection(client: MongoClient[Document], database: str, collection: str) -> Documents:
    """Return the collection with majority writes and primary reads, whatever the client's own defaults are."""
    return client[database].get_collection(
        collection,
        codec_options=CodecOptions(document_class=dict, tz_aware=True, tzinfo=UTC),
        write_concern=WriteConcern(w="majority"),
        read_preference=ReadPreference.PRIMARY,
    )


def create_indexes(documents: Documents) -> None:
    """Create stock's index exactly as stock does, and a small one that holds set-aside jobs only."""
    documents.create_index("next_run_time", sparse=True)
    documents.create_index("quarantine.at", sparse=True)


def seconds(instant: datetime | None) -> float | None:
    """Return ``instant`` as stock stores it."""
    return None if instant is None else to_posix(instant)
