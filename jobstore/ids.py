"""Names and ids: what is allowed, what is derived, what is random."""

import base64
import hashlib
import re
import secrets
from datetime import datetime
from typing import Literal, Protocol

from jobstore.clock import to_posix
from jobstore.errors import InvalidInput

FiringKind = Literal["scheduled", "manual", "backfill"]

_TENANT_ID = re.compile(r"[a-z][a-z0-9-]{1,38}[a-z0-9]")
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
_POOL = re.compile(r"[a-z][a-z0-9-]{0,38}")
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


class IdSource(Protocol):
    """Where randomness comes from; tests pass one that counts."""

    def token(self) -> str:
        """Return 128 random bits as text: nonces, run tokens, boot ids."""
        ...

    def suffix(self) -> str:
        """Return six characters that make a tenant's uid unique for ever."""
        ...

    def fraction(self) -> float:
        """Return a number in [0, 1), for jitter."""
        ...


class SystemIds:
    """Ids from the operating system's generator."""

    def token(self) -> str:
        """Return 128 random bits in hexadecimal."""
        return secrets.token_hex(16)

    def suffix(self) -> str:
        """Return six characters without look-alikes."""
        return "".join(secrets.choice(_ALPHABET) for _ in range(6))

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return secrets.randbelow(1 << 53) / (1 << 53)


def check_tenant_id(value: object) -> str:
    """Return ``value`` if it may name a tenant.

    Raises:
        InvalidInput: It may not; the message says what is allowed.
    """
    return _checked(
        value,
        _TENANT_ID,
        "tenant id",
        "3 to 40 lower-case letters, digits and hyphens, beginning with a letter and not ending in a hyphen",
    )


def check_job_id(value: object) -> str:
    """Return ``value`` if it may name a job (raises InvalidInput otherwise)."""
    return _checked(
        value, _JOB_ID, "job id", "1 to 128 letters, digits and . _ : @ -, beginning with a letter or digit"
    )


def check_pool(value: object) -> str:
    """Return ``value`` if it may name a worker pool (raises InvalidInput otherwise)."""
    return _checked(value, _POOL, "pool", "1 to 39 lower-case letters, digits and hyphens, beginning with a letter")


def _checked(value: object, allowed: re.Pattern[str], what: str, rule: str) -> str:
    if not isinstance(value, str) or allowed.fullmatch(value) is None:
        shown = repr(value)
        raise InvalidInput(f"{shown if len(shown) <= 60 else shown[:57] + '...'} is not a valid {what}: use {rule}")
    return value


def firing_id(
    uid: str, job: str, incarnation: str, nominal: datetime, kind: FiringKind = "scheduled", nonce: str = ""
) -> str:
    """Return the derived id of a firing: ``<uid>:`` and 160 bits, equal on every node that plans the same instant.

    ``nonce`` is empty for scheduled firings, the idempotency key of a manual one, the backfill's id of a backfilled
    one.  Lengths stand before the free texts, so that no two ids collide by concatenation.
    """
    micros = round(to_posix(nominal) * 1_000_000)
    text = f"v1|{uid}|{len(job)}:{job}|{incarnation}|{micros}|{kind}|{len(nonce)}:{nonce}"
    digest = hashlib.sha256(text.encode()).digest()[:20]
    return f"{uid}:{base64.b32encode(digest).decode().lower()}"


def once_marker(scope: str, key: str) -> str:
    """Return what names a marker within its tenant; ``scope`` is what the marker is unique in."""
    digest = hashlib.sha256(f"v1|{len(scope)}:{scope}|{key}".encode()).digest()[:20]
    return base64.b32encode(digest).decode().lower()


def uid_of(firing: str) -> str:
    """Return the tenant uid that a firing id begins with."""
    return firing.partition(":")[0]
