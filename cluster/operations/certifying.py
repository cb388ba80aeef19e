"""Certificates of purged tenants: show, check."""

import json
from collections.abc import Mapping
from typing import Any

from cluster.certificates import is_genuine
from jobstore.errors import InvalidInput, NotFound
from jobstore.ids import check_tenant_id
from jobstore.store import Store


def get(store: Store, tenant_id: str) -> Mapping[str, Any]:
    """Return the newest certificate of a purged tenant.

    Raises:
        InvalidInput: The id is malformed.
        NotFound: No tenant of that name has been purged.
    """
    check_tenant_id(tenant_id)
    for tombstone in store.audit.tombstones(tenant_id):
        certificate: Mapping[str, Any] = tombstone["certificate"]
        return certificate
    raise NotFound(f"no tenant {tenant_id!r} has been purged; see: horarium tenant get {tenant_id}")


def verify(store: Store, tenant_id: str, text: bytes) -> bool:
    """Return whether ``text`` is a certificate of that tenant that this cluster signed.

    Raises:
        InvalidInput: It is no JSON object.
    """
    check_tenant_id(tenant_id)
    try:
        certificate = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the certificate is not JSON: {error}") from error
    if not isinstance(certificate, dict):
        raise InvalidInput("a certificate is a JSON object")
    return certificate.get("tenant") == tenant_id and is_genuine(certificate, store.message_key())
