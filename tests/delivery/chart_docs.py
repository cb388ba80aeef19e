"""Makes ``helm/values.schema.json`` and the tables of ``helm/README.md`` from ``values.yaml`` and ``schema.yaml``.

``python -m tests.delivery.chart_docs --write`` writes them; the tests compare.  Comments that begin with ``# --``
describe the key below them.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

HELM = Path(__file__).resolve().parents[2] / "helm"
_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z][\w.-]*):(?P<rest>.*)$")
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
_COMPONENTS = ("node", "api", "workerDefaults")
_JOBS = ("tenantSync", "tests")


def described() -> dict[str, str]:
    """Return the descriptions of ``values.yaml`` by dotted path."""
    found: dict[str, str] = {}
    path: list[str] = []
    said: list[str] = []
    for line in (HELM / "values.yaml").read_text().splitlines():
        text = line.strip()
        if text.startswith("# -- "):
            said = [text.removeprefix("# -- ")]
        elif text.startswith("# ") and said:
            said.append(text.removeprefix("# "))
        elif (match := _KEY.match(line)) is not None:
            path = [*path[: len(match["indent"]) // 2], match["key"]]
            if said:
                found[".".join(path)] = " ".join(said)
            said = []
        else:
            said = []
    return found


def values() -> dict[str, Any]:
    """Return the default values."""
    loaded: dict[str, Any] = yaml.load((HELM / "values.yaml").read_text(), Loader=yaml.CSafeLoader)
    return loaded


class SchemaMaker:
    """Puts types and descriptions of the values together with the constraints written by hand."""

    def __init__(self) -> None:
        self.rules: dict[str, Any] = yaml.safe_load((HELM / "schema.yaml").read_text())
        self.said = described()
        self.used: set[str] = set()

    def make(self) -> dict[str, Any]:
        """Return the schema of the values."""
        top = self._object("", values())
        # A parent chart may switch this one by a condition.
        top["properties"]["enabled"] = {"type": "boolean", "description": "For parent charts: read by Helm, not by us."}
        component, jobs = self.rules["component"], self.rules["job"]
        for name in _COMPONENTS:
            top["properties"][name]["properties"] |= component
        for name in _JOBS:
            top["properties"][name]["properties"] |= {key: component[key] for key in jobs}
        unused = set(self.rules["constraints"]) - self.used
        if unused:
            raise ValueError(f"schema.yaml speaks of values that do not exist: {sorted(unused)}")
        pool = {key: part for key, part in top["properties"]["workerDefaults"].items() if key != "description"}
        pool["type"] = ["object", "null"]
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Values of the Horarium chart",
            **top,
            "$defs": {**self.rules["defs"], "tenant": self.rules["tenant"], "workerPool": pool},
        }

    def _object(self, path: str, content: Mapping[str, Any]) -> dict[str, Any]:
        made = {"type": "object", "additionalProperties": False, "properties": {}}
        for key, value in content.items():
            made["properties"][key] = self._value(f"{path}.{key}" if path else key, value)
        return made

    def _value(self, path: str, value: Any) -> dict[str, Any]:
        made: dict[str, Any]
        rule = self._rule(path)
        if rule.pop("$replace", False) or "enum" in rule or "$ref" in rule or "type" in rule:
            made = {}
        elif isinstance(value, dict):
            made = self._object(path, value) if value else {"type": "object"}
        elif value is None:
            raise ValueError(f"{path} is null: schema.yaml must say its type")
        else:
            made = {"type": _TYPES[type(value)]}
        if path in self.said:
            made["description"] = self.said[path]
        if not isinstance(value, dict) or not value:
            made["default"] = value
        return made | rule

    def _rule(self, path: str) -> dict[str, Any]:
        for key, rule in self.rules["constraints"].items():
            if key == path or (key.startswith("*.") and path.endswith(key[1:])):
                self.used.add(key)
                return dict(rule)
        return {}


def schema_text() -> str:
    """Return the text of ``values.schema.json``."""
    return json.dumps(SchemaMaker().make(), indent=1) + "\n"


def rows() -> Iterator[tuple[str, str, str]]:
    """Return (path, default, description) of every described value."""
    said, content = described(), values()
    for path, text in said.items():
        value: Any = content
        for part in path.split("."):
            value = value[part]
        if isinstance(value, dict) and any(other.startswith(path + ".") for other in said):
            continue
        shown = json.dumps(value)
        yield path, shown if len(shown) <= 60 else "see `values.yaml`", text


def table() -> str:
    """Return the README's tables, one for each first part of the path."""
    sections: dict[str, list[str]] = {}
    said = described()
    for path, default, text in rows():
        top = path.partition(".")[0]
        section = top if "." in path else "general"
        shown = default if default.startswith("see ") else f"`{default}`"
        sections.setdefault(section, []).append(f"| `{path}` | {text} | {shown} |".replace("\\", "\\\\"))
    lines = []
    for section, found in sections.items():
        lines += [f"### {section}", ""]
        if section in said:
            lines += [said[section], ""]
        lines += ["| value | what | default |", "| --- | --- | --- |", *found, ""]
    lines += ["### every component", ""]
    lines += ["`node`, `api`, `workerDefaults` and each pool take these as well.", ""]
    lines += ["| value | what |", "| --- | --- |"]
    lines += [f"| `{key}` | {rule['description']} |" for key, rule in SchemaMaker().rules["component"].items()]
    return "\n".join(lines) + "\n"


def readme_text() -> str:
    """Return the text of ``README.md``."""
    return (HELM / "README.md.tmpl").read_text().replace("{{ VALUES }}\n", table())


def main() -> int:
    """Write the files, or say which are not as they should be."""
    stale = []
    for name, text in (("values.schema.json", schema_text()), ("README.md", readme_text())):
        path = HELM / name
        if "--write" in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(name)
    if stale:
        sys.stdout.write(f"not up to date: {', '.join(stale)}; run: python -m tests.delivery.chart_docs --write\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
