"""What every operation on a job begins with: the tenant, the job, and how often a lost race is tried again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from jobstore.connection import Document
from jobstore.documents import read_job
from jobstore.errors import HorariumError, NotFound, RevisionConflict, Unreadable
from jobstore.ids import check_job_id, check_tenant_id
from jobstore.job import Job
from jobstore.jobs import Jobs
from jobstore.ledger import Ledger
from jobstore.store import Store
from jobstore.tenant import Tenant

# A job that fires every millisecond moves on between the reading and the writing of an edit.
_TRIES: Final = 50

_T = TypeVar("_T")


class NotAllowed(HorariumError):
    """The job is in a state in which this cannot be done; the message says what can."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class Room:
    """A tenant with the doors to its own collections."""

    store: Store
    tenant: Tenant
    jobs: Jobs
    ledger: Ledger

    def own_jobs(self) -> None:
        """Refuse to edit what belongs to APScheduler, or is about to be purged.

        Raises:
            NotAllowed: The tenant's collection was adopted, or the tenant is deleted.
        """
        if self.tenant.state == "deleted":
            raise NotAllowed(f"tenant {self.tenant.id!r} is deleted; resume it first")
        if self.tenant.place.codec == "pickled":
            raise NotAllowed(
                f"the jobs of tenant {self.tenant.id!r} are in a collection adopted from APScheduler: edit it with "
                "APScheduler's own API"
            )

    def find(self, job_id: str) -> Document:
        """Return the document of a job.

        Raises:
            NotFound: There is none.
        """
        document = self.jobs.fetch(job_id)
        if document is None:
            raise NotFound(f"tenant {self.tenant.id!r} has no job {job_id!r}; see: horarium job list {self.tenant.id}")
        return document

    def read(self, document: Document) -> Job:
        """Return the job of a document.

        Raises:
            Unreadable: It cannot be read; the message says what to do.
        """
        try:
            return read_job(document, self.tenant.place)
        except Unreadable as error:
            name = self.tenant.place.job(str(document["_id"]))
            raise Unreadable(
                f"job {name!r} cannot be read: {error}; it stays where it is until it can be, or until you run: "
                f"horarium job delete {self.tenant.id} {name}"
            ) from error


def open_room(store: Store, tenant_id: str, job_id: str | None = None) -> Room:
    """Return a tenant's room, having checked the ids.

    Raises:
        InvalidInput: An id is malformed.
        NotFound: There is no such tenant.
        Unreadable: The tenant's document cannot be read.
    """
    check_tenant_id(tenant_id)
    if job_id is not None:
        check_job_id(job_id)
    tenant = store.tenants.get(tenant_id)
    return Room(store, tenant, store.jobs(tenant.place), store.ledger(tenant.place))


def until_won(attempt: Callable[[], _T | None], what: str) -> _T:
    """Repeat an attempt that returns None for a lost race.

    Raises:
        RevisionConflict: It was lost again and again.
    """
    for _ in range(_TRIES):
        found = attempt()
        if found is not None:
            return found
    raise RevisionConflict(f"{what} is being changed by others all the time; try again")
