"""Objects against the schemas of Kubernetes' own versions, strictly, and small schemas for the operators' kinds."""

import functools
import importlib.resources
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from referencing import Registry, Resource

from tests.delivery.helm import ROOT, Object

VERSIONS = tuple(f"v1.{minor}.0" for minor in range(29, 38))
_FOLDER = Path(str(importlib.resources.files("kubernetes_validate"))) / "kubernetes-json-schema"


@functools.cache
def _registry(version: str) -> Registry:
    definitions = Resource.from_contents(
        json.loads((_FOLDER / f"{version}-local-strict" / "_definitions.json").read_text())
    )
    return definitions @ Registry()


@functools.cache
def _validator(version: str, group: str, kind: str) -> jsonschema.Draft202012Validator | None:
    # rbac.authorization.k8s.io/v1 stands in role-rbac-v1.json.
    short = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", group)
    path = _FOLDER / f"{version}-local-strict" / f"{kind.lower()}-{short}.json"
    if not path.exists():
        return None
    return jsonschema.Draft202012Validator(json.loads(path.read_text()), registry=_registry(version))


@functools.cache
def _operators() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "tests" / "delivery" / "operators.yaml").read_text())
    return loaded


def faults(one: Object, version: str) -> list[str]:
    """Return what is wrong with an object in a version of Kubernetes; a kind that is not known is a fault."""
    group, kind = one["apiVersion"], one["kind"]
    own = _operators().get(f"{group}/{kind}")
    validator: Any = jsonschema.Draft202012Validator(own) if own else _validator(version, group, kind)
    if validator is None:
        return [f"{version} knows no {group} {kind}"]
    return [
        f"{kind}/{one['metadata']['name']} {'.'.join(map(str, fault.absolute_path))}: {fault.message[:200]}"
        for fault in validator.iter_errors(one)
    ]
