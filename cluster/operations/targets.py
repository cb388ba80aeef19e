"""Which targets exist: what the live workers of a pool tell about themselves.  Pure but for one read."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from jobstore.errors import InvalidInput
from jobstore.job import Target
from jobstore.store import Store


def check_target(store: Store, target: Target, pool: str) -> list[str]:
    """Return warnings about a target that nobody has confirmed.

    A worker that is not there yet is no reason to refuse a job: definitions are often written first.

    Raises:
        InvalidInput: Workers of the pool told what they can run, and none can run this.
    """
    told = [member.details for member in store.workers.all() if pool in member.details.get("pools", ())]
    known = [names for details in told if (names := names_of(details, target.kind)) is not None]
    if not known:
        return [
            f"no worker of pool {pool!r} is there yet to say whether it knows {target.name!r}; the job waits for one"
        ]
    if any(target.name in names for names in known):
        return []
    raise InvalidInput(_refusal(target, pool, sorted({name for names in known for name in names})))


def names_of(details: Mapping[str, Any], kind: str) -> Sequence[str] | None:
    """Return the names of one kind that a worker told, or None if it told nothing.

    Shape of the details: ``{"pools": ["default"], "tasks": ["proj.report", ...], "functions": [...]}``.
    """
    names = details.get(f"{kind}s")
    return [str(name) for name in names] if isinstance(names, list) else None


def _refusal(target: Target, pool: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(target.name, names, n=3)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif names:
        hint = f"they know {', '.join(names[:10])}{' and others' if len(names) > 10 else ''}"
    else:
        hint = f"they know no {target.kind} at all"
    return f"no worker of pool {pool!r} knows the {target.kind} {target.name!r}; {hint}"
