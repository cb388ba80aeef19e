"""Adopting an APScheduler collection as a tenant's jobs: the cluster runs them, APScheduler stays their API."""

from typing import Final

from cluster.operations import tenants
from cluster.operations.views import AdoptResult
from jobstore.connection import stored
from jobstore.errors import InvalidInput, NotFound
from jobstore.jobs import readable
from jobstore.store import Store
from jobstore.tenant import Place

_REASONS: Final = 20
_TWICE: Final = (
    "a scheduler of APScheduler that still runs this collection runs its jobs a second time: let it start paused, and "
    "use it for adding and changing jobs only"
)


def adopt(
    store: Store, tenant_id: str, where: str, *, zone: str = "UTC", pool: str = "default", weight: int = 1
) -> AdoptResult:
    """Create a tenant whose jobs are the documents of an existing APScheduler collection; again changes nothing.

    Args:
        store: The store.
        tenant_id: 3 to 40 lower-case letters, digits and hyphens.
        where: ``DATABASE.COLLECTION``, as the MongoDBJobStore of APScheduler was told.
        zone: As of any tenant; adopted jobs name their zone themselves.
        pool: Where the jobs run: APScheduler's own say nothing about it.
        weight: Share of a pass in which several tenants have work.

    Raises:
        InvalidInput: With a sentence for every fault.
        NotFound: There is no such collection.
        AlreadyExists: The tenant exists with other settings, or the collection belongs to another.
    """
    database, dot, collection = where.partition(".")
    if not (database and dot and collection):
        raise InvalidInput(f"{where!r:.60} names no collection: write DATABASE.COLLECTION, such as apscheduler.jobs")
    place = Place(uid="", database=database, jobs=collection, firings="firings", codec="pickled")
    tenants.check_name(place)
    if not _exists(store, place):
        raise NotFound(f"there is no collection {collection!r} in the database {database!r}")
    result = tenants.create(
        store, tenant_id, zone=zone, pool=pool, weight=weight, database=database, jobs=collection, codec="pickled"
    )
    good, bad = _count(store, place)
    return AdoptResult(
        verdict=result.verdict,
        tenant=result.tenant,
        readable=good,
        unreadable=len(bad),
        reasons=tuple(bad[:_REASONS]),
        warnings=(_TWICE,),
    )


@stored
def _exists(store: Store, place: Place) -> bool:
    # A database that is not there has no collections, and asking does not make it.
    return bool(store.client[place.database].list_collection_names(filter={"name": place.jobs}))


@stored
def _count(store: Store, place: Place) -> tuple[int, list[str]]:
    """Return how many jobs can be read, and a sentence for each that cannot."""
    good, bad = 0, []
    for document in store.collections.jobs(place).find():
        found = readable(document, place)
        if isinstance(found, str):
            bad.append(f"job {str(document['_id'])[:60]!r} cannot be read: {found}")
        else:
            good += 1
    return good, bad
