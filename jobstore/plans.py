"""The two wider tiers of choices: one for the whole cluster, and plans, which are named sets that tenants have.

One small document holds them, so that a reader of the tenants gets all of it with one more read.

Shape::

    {_id: "plans", v: 1, cluster: TIER?, plans: {pro: TIER, ...}}    with TIER: {revision, author, at, choices: {...}}
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from jobstore.choices import Choices, read_choices
from jobstore.connection import Document, stored
from jobstore.errors import InvalidInput, Unreadable

VERSION: Final = 1
_ID: Final = "plans"
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,38}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What one tier says, and who said it when; ``revision`` 0 means that nobody has yet."""

    choices: Choices = field(default_factory=Choices)
    revision: int = 0
    author: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """The cluster's tier, and the plans by name."""

    cluster: Tier = field(default_factory=Tier)
    plans: Mapping[str, Tier] = field(default_factory=dict)


class Plans:
    """Reads and writes the wider tiers."""

    def __init__(self, control: Database[Document]) -> None:
        self._config = control["config"]

    @stored
    def read(self) -> Tiers:
        """Return every tier (raises Unreadable)."""
        found = self._config.find_one({"_id": _ID})
        if found is None:
            return Tiers()
        if found.get("v") != VERSION:
            raise Unreadable(f"the plans are stored in version {found.get('v')!r}; this release reads {VERSION}")
        try:
            cluster = found.get("cluster")
            return Tiers(
                cluster=Tier() if cluster is None else _tier(cluster),
                plans={name: _tier(tier) for name, tier in sorted(found.get("plans", {}).items())},
            )
        except (AttributeError, InvalidInput, KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"the plans cannot be read: {error}") from error

    @stored
    def put(self, name: str | None, choices: Choices, *, revision: int, author: str, at: datetime) -> bool:
        """Write the plan ``name``, or the cluster's tier for None, if it has ``revision``; return whether it had."""
        path = "cluster" if name is None else f"plans.{check_plan(name)}"
        tier = {"revision": revision + 1, "author": author, "at": at, "choices": choices.said()}
        same = {f"{path}.revision": revision} if revision else {path: None}
        try:
            result = self._config.update_one(
                {"_id": _ID} | same, {"$set": {"v": VERSION, path: tier}}, upsert=revision == 0
            )
        except DuplicateKeyError:  # the document is there, and this tier of it too
            return False
        return result.matched_count == 1 or result.upserted_id is not None

    @stored
    def remove(self, name: str, *, revision: int) -> bool:
        """Take a plan away if it has ``revision``; return whether it had."""
        path = f"plans.{check_plan(name)}"
        result = self._config.update_one({"_id": _ID, f"{path}.revision": revision}, {"$unset": {path: ""}})
        return result.modified_count == 1


def check_plan(value: object) -> str:
    """Return ``value`` if it may name a plan (raises InvalidInput otherwise)."""
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise InvalidInput(
            f"{value!r:.60} is not a valid plan: use 1 to 39 lower-case letters, digits and hyphens, beginning with a "
            "letter"
        )
    return value


def _tier(stored_tier: Mapping[str, Any]) -> Tier:
    return Tier(
        choices=read_choices(stored_tier["choices"]),
        revision=int(stored_tier["revision"]),
        author=str(stored_tier["author"]),
        at=stored_tier["at"],
    )
