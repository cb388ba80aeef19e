"""Two job stores for stock APScheduler 3.11 on MongoDB: a drop-in, and one that processes may share.

``MongoDBJobStore`` is stock's store without its data losses.  ``SharedMongoDBJobStore`` is the same collection for any
number of scheduler processes: every instant that a job owes is run once, by one of them.

How that is reached
-------------------

Stock's loop asks the store for the due jobs, computes their run times, submits them to an executor, and only then
writes the next run time back.  Between two of these steps the process may die, or be frozen and wake up long after
others have taken its work.  So the place that decides has to be the last one before the function, and it has to be one
write to MongoDB.  **Beginning a run is moving its job past it**: a compare-and-set on the job's document that carries
the next run time.

1. *Claim.*  In the loop, ``get_due_jobs`` takes due jobs one by one with ``find_one_and_update``, which sets
   ``lease_until`` by the server's clock and a fresh ``claim_nonce``.  The lease only keeps processes from doing the
   same work twice; nothing rests on it.
2. *Submit.*  The loop computes run times as stock does and submits the job.  The executor gets a list that begins each
   run time when ``run_job`` takes it from there, right before the test for a misfire and the call.
3. *Begin.*  ``update_one`` on the nonce, the run time and the pickle as claimed; it writes the next run time,
   ``decided_through`` and who begins.  It matches nothing if another process took the job over, or anybody, stock
   clients included, edited or removed it.  Then the run time is not there for this executor: no call, no event.
4. What the loop reports next (``update_job``, ``remove_job``) is already settled by 3 and writes nothing.

What follows:

- Killed or frozen before 3: the job still owes the run, and another process claims it after the lease.  The late one
  is refused at 3, and has nothing else to write back.
- Killed after 3: the run is not repeated, as in stock.  ``begun`` in the document says who began it, and when.
- An API process that read the job before 3 and writes it back after 3 restores the old run time; ``decided_through``
  tells the next claimer that this one is decided.
- An edit through this store writes only what it changed, so it undoes neither another edit nor an advance.
- A job whose trigger has ended is deleted right after its last begin.  Should the process die in between, the next
  claimer finds nothing undecided, and deletes it.

What it does not do
-------------------

- ``max_instances`` counts per process, as in stock: N processes may run a job N times at once.  A
  ``cluster.ClusterScheduler`` counts across processes.
- A take-over comes up to a lease late, so stored grace times count as at least the lease and five seconds.
- Triggers are evaluated by stock, with stock's rules and costs; only one that stands still or raises is set aside.
- Functions that change the outside world do so once per begin; what a killed process had half done is theirs to mend.
- A scheduler on the same collection that uses stock's store, or the drop-in, sees no leases and runs jobs again.
- A process pool begins its runs when it sends them to a worker process.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apscheduler.jobstores.base import BaseJobStore


def install(jobstore_class: "type[BaseJobStore] | None" = None) -> None:
    """Make the alias ``mongodb`` mean our class in every scheduler of this process.

    Call it before a scheduler is configured.  Without it the alias stays APScheduler's own, and ``horarium`` is ours.

    Args:
        jobstore_class: What the alias shall mean; ``MongoDBJobStore`` unless given.
    """
    from apscheduler.schedulers.base import BaseScheduler

    from jobstore.apscheduler.dropin import MongoDBJobStore

    # Looked up before the entry points, whose order among distributions nobody controls.
    BaseScheduler._jobstore_classes["mongodb"] = jobstore_class or MongoDBJobStore
