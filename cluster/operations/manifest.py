"""Tenants and jobs as YAML: read whole, with every fault told by its place, before anything is done."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from jobstore.errors import InvalidInput
from jobstore.ids import check_job_id, check_tenant_id

KEYS: Final = ("tenant", "time_zone", "pool", "weight", "jobs")
_LARGEST: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One document of a file: a tenant with what is said about it, and its jobs as written."""

    tenant: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    jobs: Mapping[str, Any] = field(default_factory=dict)


def read_manifests(text: str, where: str) -> list[Manifest]:
    """Return the documents of a YAML text, of which there may be several.

    Args:
        text: YAML.
        where: Named in every fault, such as the file.

    Raises:
        InvalidInput: With every fault of the form; what a job says is judged when it is put.
    """
    faults: list[str] = []
    found = []
    for number, document in enumerate(read_yaml(text, where), start=1):
        if document is not None:
            found.append(_manifest(document, f"{where}, document {number}", faults))
    if not found and not faults:
        faults.append(f"{where} is empty; write a document such as {{tenant: acme, jobs: {{...}}}}")
    if faults:
        raise InvalidInput(*faults)
    return [manifest for manifest in found if manifest is not None]


def read_yaml(text: str, where: str) -> list[Any]:
    """Return the documents of a YAML text, refusing keys that are given twice (raises InvalidInput)."""
    if len(text) > _LARGEST:
        raise InvalidInput(f"{where} has more than {_LARGEST // 2**20} MiB")
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark is not None else where
        raise InvalidInput(f"{place}: {error.problem or 'this is not YAML'}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{where} is not YAML: {error}") from error


def _manifest(document: object, where: str, faults: list[str]) -> Manifest | None:
    if not isinstance(document, Mapping) or "tenant" not in document:
        faults.append(f"{where} names no tenant; write a document such as {{tenant: acme, jobs: {{...}}}}")
        return None
    before = len(faults)
    for key in document:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key)[:60], KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(KEYS)}"
            faults.append(f"{where}: {str(key)[:60]!r} is not a key here; {hint}")
    tenant = _checked(check_tenant_id, document["tenant"], where, faults)
    jobs = document.get("jobs") or {}
    if not isinstance(jobs, Mapping):
        faults.append(f"{where}: jobs is a mapping from ids to definitions")
        jobs = {}
    for name in jobs:
        _checked(check_job_id, name, where, faults)
    if len(faults) > before or tenant is None:
        return None
    named = {"zone": "time_zone", "pool": "pool", "weight": "weight"}
    settings = {name: document[key] for name, key in named.items() if document.get(key) is not None}
    return Manifest(tenant=tenant, settings=settings, jobs=dict(jobs))


def _checked(check: Any, value: object, where: str, faults: list[str]) -> str | None:
    try:
        return str(check(value))
    except InvalidInput as error:
        quoted = "" if isinstance(value, str) else " (put it in quotes to make it a text)"
        faults.extend(f"{where}: {fault}{quoted}" for fault in error.faults)
        return None


class _Loader(yaml.SafeLoader):
    """Says so where a key is given twice, instead of forgetting the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} is given twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)
