"""Moving a claimed job on: next nominal and admission, in one compare-and-set; and admission by release."""

from collections.abc import Sequence
from dataclasses import dataclass

from bson.binary import Binary
from pymongo import UpdateOne

from jobstore.adopted import moved_on
from jobstore.connection import Document, Documents, stored
from jobstore.documents import LEASE
from jobstore.ids import IdSource
from jobstore.job import Job
from jobstore.lifecycle import job_after, job_before
from jobstore.tenant import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Where a claimed job goes: ``nominal`` None means that its timetable has ended.

    ``slots`` and ``fence`` are as the job shall have them; the update applies only to the job as read.
    """

    job: Job
    nominal: float | None
    decided_through: float | None
    slots: tuple[str, ...]
    fence: int
    buffered: str | None = None
    settled: bool = False


def apply_advances(jobs: Documents, place: Place, advances: Sequence[Advance], ids: IdSource) -> set[str]:
    """Advance the jobs; return the ids of those that were still claimed and unchanged.

    A job that is missing from the answer was advanced by somebody else, edited, or got another slot: its records are
    left to the claim path and the sweep.
    """
    return _apply(jobs, place, advances, ids.token())


@stored
def _apply(jobs: Documents, place: Place, advances: Sequence[Advance], nonce: str) -> set[str]:
    if not advances:
        return set()
    result = jobs.bulk_write([_update(place, advance, nonce) for advance in advances], ordered=False)
    if result.matched_count == len(advances):
        return {advance.job.id for advance in advances}
    keys = [place.key(advance.job.id) for advance in advances]
    found = jobs.find({"_id": {"$in": keys}, "advance_nonce": nonce}, projection={"_id": 1})
    return {place.job(document["_id"]) for document in found}


def _update(place: Place, advance: Advance, nonce: str) -> UpdateOne:
    job = advance.job
    change: Document = {
        "next_run_time": advance.nominal,
        "nominal": advance.nominal,
        "decided_through": advance.decided_through,
        "slots": list(advance.slots),
        "fence": advance.fence,
        "advance_nonce": nonce,
    }
    gone = dict.fromkeys(LEASE, "")
    if advance.buffered is not None:
        change["buffered"] = advance.buffered
    elif job.buffered is not None:
        gone["buffered"] = ""
    same: Document = {}
    if job.pickled is not None:
        change |= moved_on(job.pickled, advance.nominal)
        # Stock edits without a revision: what it changed shows in the pickle.
        same = {"job_state": Binary(job.pickled), "next_run_time": job.next_run_time}
    if advance.nominal is None:
        change["state"] = job_after("complete")
    if advance.settled:
        gone["owed"] = ""
    return UpdateOne(
        {
            "_id": place.key(job.id),
            "incarnation": job.incarnation,
            "revision": job.revision,
            "claim_token": job.claim_token,
            "nominal": job.nominal,
            "state": {"$in": job_before("complete")},
            # Admission is decided from these two: release may have admitted a waiting firing since the claim.
            "slots": list(job.slots),
            "fence": job.fence,
        }
        | same,
        {"$set": change, "$unset": gone},
    )


@stored
def admit(jobs: Documents, place: Place, job: Job, slots: Sequence[str]) -> int | None:
    """Give a waiting firing its slot: the fence of its attempt, or None if the job is no longer as read."""
    # A document of stock lacks these until an operation of ours needs them.
    missing = [None] if job.pickled is not None else []
    result = jobs.update_one(
        {
            "_id": place.key(job.id),
            "incarnation": job.incarnation,
            # An edit in between has answered that nothing begins with what was read before it.
            "revision": {"$in": [job.revision, *missing]},
            "state": {"$in": [job.state, *missing]},
            "stop_rev": {"$in": [job.stop_rev, *missing]},
            "slots": list(job.slots),
            "fence": job.fence,
        },
        {"$set": {"slots": list(slots), "fence": job.fence + 1}},
    )
    return job.fence + 1 if result.matched_count == 1 else None
