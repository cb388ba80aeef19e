"""A scheduler with APScheduler's API for many processes and many tenants' job stores.

``ClusterScheduler`` is a ``BackgroundScheduler`` whose loop is our own.  Each job store is visited in a thread of its
own, so one that fails, hangs, or holds a job whose code hangs keeps only its own jobs waiting; the loop itself makes no
I/O, holds no lock and evaluates nothing.

- ``scheduler``: the class, and what its public methods do differently.
- ``visits``: which store is visited when.
- ``claimed``: a visit to a store that processes share (``jobstore.SharedMongoDBJobStore``).
- ``plain``: a visit to any other store, which one process may run jobs from.
- ``evaluation``: ending the evaluation of a trigger that does not come back.
- ``submission``: what both do with a job that is due, and the events of a visit.
"""
