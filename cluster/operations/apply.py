"""Making tenants and jobs what a file says: idempotent, object by object, each with its verdict."""

from collections import Counter
from collections.abc import Sequence

from cluster.operations import jobs, tenants
from cluster.operations.manifest import Manifest
from cluster.operations.views import AppliedObject
from jobstore.errors import HorariumError, InvalidInput, StoreUnavailable
from jobstore.store import Store


def apply(store: Store, manifests: Sequence[Manifest]) -> list[AppliedObject]:
    """Put every tenant and job of the manifests; one that is refused does not keep the others from being put.

    What is not named stays as it is.

    Raises:
        InvalidInput: A job is defined twice.
        StoreUnavailable: MongoDB did not answer; what came before is done, and applying again completes the rest.
    """
    named = Counter((manifest.tenant, name) for manifest in manifests for name in manifest.jobs)
    twice = [
        f"job {name!r} of tenant {tenant!r} is defined {count} times"
        for (tenant, name), count in named.items()
        if count > 1
    ]
    if twice:
        raise InvalidInput(*twice)
    found = []
    for manifest in manifests:
        tenant = _tenant(store, manifest)
        found.append(tenant)
        if tenant.verdict != "refused" or _exists(store, manifest.tenant):
            found += [_job(store, manifest.tenant, name, written) for name, written in manifest.jobs.items()]
        else:
            found += [
                _refused("job", manifest.tenant, name, InvalidInput("its tenant was refused")) for name in manifest.jobs
            ]
    return found


def _tenant(store: Store, manifest: Manifest) -> AppliedObject:
    try:
        result = tenants.put(store, manifest.tenant, **manifest.settings)
    except StoreUnavailable:
        raise
    except HorariumError as error:
        return _refused("tenant", manifest.tenant, manifest.tenant, error)
    return AppliedObject(kind="tenant", tenant=manifest.tenant, name=manifest.tenant, verdict=result.verdict)


def _exists(store: Store, tenant_id: str) -> bool:
    try:
        store.tenants.get(tenant_id)
    except StoreUnavailable:
        raise
    except HorariumError:
        return False
    return True


def _job(store: Store, tenant: str, name: str, written: object) -> AppliedObject:
    try:
        result = jobs.put(store, tenant, name, written)
    except StoreUnavailable:
        raise
    except jobs.TimetableEnded as error:
        # A file stays true after its last date: there is nothing to do, and nothing wrong.
        return AppliedObject(kind="job", tenant=tenant, name=name, verdict="ended", warnings=tuple(error.faults))
    except HorariumError as error:
        return _refused("job", tenant, name, error)
    return AppliedObject(kind="job", tenant=tenant, name=name, verdict=result.verdict, warnings=result.warnings)


def _refused(kind: str, tenant: str, name: str, error: HorariumError) -> AppliedObject:
    faults = tuple(error.faults) if isinstance(error, InvalidInput) else (str(error),)
    return AppliedObject(
        kind="tenant" if kind == "tenant" else "job",
        tenant=tenant,
        name=name,
        verdict="refused",
        faults=faults,
        exit_code=error.exit_code,
    )
