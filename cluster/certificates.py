"""The certificate of a purge: what was removed, when, on whose word, signed so that it can be checked later.

The key is made from the cluster's own and is used for nothing else, so no message can be passed off as a certificate.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

VERSION: Final = 1
_PURPOSE: Final = b"horarium certificate of deletion, version 1"


def sign_certificate(facts: Mapping[str, Any], cluster_key: bytes) -> dict[str, Any]:
    """Return the certificate: ``facts``, which are plain JSON, and ``mac``, hexadecimal."""
    return {**facts, "v": VERSION, "mac": _mac({**facts, "v": VERSION}, cluster_key)}


def is_genuine(certificate: Mapping[str, Any], cluster_key: bytes) -> bool:
    """Return whether this cluster signed exactly this certificate."""
    mac = certificate.get("mac")
    facts = {name: value for name, value in certificate.items() if name != "mac"}
    try:
        expected = _mac(facts, cluster_key)
    except (TypeError, ValueError):
        return False
    return isinstance(mac, str) and hmac.compare_digest(expected.encode(), mac.encode("utf-8", "replace"))


def _mac(facts: Mapping[str, Any], cluster_key: bytes) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    key = hmac.digest(cluster_key, _PURPOSE, hashlib.sha256)
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()
