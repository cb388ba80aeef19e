"""The commands that code sends, and how the server would run each of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import monitoring

_EXPLAINED = ("find", "aggregate", "update", "findAndModify", "delete", "count", "distinct")
_SESSION = ("lsid", "txnNumber", "$clusterTime", "$db", "$readPreference", "writeConcern", "readConcern", "maxTimeMS")


class Recorder(monitoring.CommandListener):
    """Keeps every command that is sent while it is on."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, Mapping[str, Any]]] = []
        self.on = False

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.on and event.command_name not in {"hello", "getMore", "killCursors", "endSessions"}:
            self.commands.append((event.database_name, dict(event.command)))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to keep."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to keep."""


@dataclass(frozen=True)
class Plan:
    """How one command is run: its stages, how much it read, how much came out."""

    command: str
    collection: str
    stages: frozenset[str]
    examined: int
    returned: int
    asked: int  # by how many ids

    def __str__(self) -> str:
        return f"{self.command} {self.collection}: {sorted(self.stages)}, {self.examined} read for {self.returned}"


def plans(client: Any, commands: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[Plan]:
    """Explain every command that has a plan; a bulk of updates is explained one by one."""
    for database, command in commands:
        name = next(iter(command))
        if name not in _EXPLAINED:
            continue
        bare = {key: value for key, value in command.items() if key not in _SESSION}
        for single in _singles(name, bare):
            told = client[database].command({"explain": single, "verbosity": "executionStats"})
            yield _plan(name, str(command[name]), told, _ids(single))


def _singles(name: str, command: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for many in ("updates", "deletes"):
        if many in command:
            for one in command[many]:
                yield command | {many: [one]}
            return
    if name == "aggregate":
        command = command | {"cursor": {}}
    yield command


def _ids(part: Any) -> int:
    """Return how many ids a filter names."""
    if isinstance(part, Mapping):
        own = part.get("_id")
        here = len(own["$in"]) if isinstance(own, Mapping) and "$in" in own else 0
        return here + sum(_ids(value) for value in part.values())
    return sum(map(_ids, part)) if isinstance(part, list) else 0


def _plan(name: str, collection: str, told: Mapping[str, Any], asked: int) -> Plan:
    stages: set[str] = set()
    _walk(told, stages)
    examined, returned = _stats(told)
    return Plan(name, collection, frozenset(stages), examined, returned, asked)


def _walk(part: Any, stages: set[str]) -> None:
    if isinstance(part, Mapping):
        stage = part.get("stage")
        if isinstance(stage, str):
            stages.add(stage)
        for key, value in part.items():
            if key not in {"rejectedPlans", "allPlansExecution", "command"}:
                _walk(value, stages)
    elif isinstance(part, list):
        for value in part:
            _walk(value, stages)


def _stats(part: Any) -> tuple[int, int]:
    """Return documents examined and returned, summed over all executions in the explanation."""
    if isinstance(part, Mapping):
        if "totalDocsExamined" in part:
            return int(part["totalDocsExamined"]), int(part.get("nReturned", 0))
        pairs = [_stats(value) for value in part.values()]
    elif isinstance(part, list):
        pairs = [_stats(value) for value in part]
    else:
        return 0, 0
    return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
