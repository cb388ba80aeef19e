"""What a development stack consists of, before anything is started."""

import re
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.dev.child import Spec
from jobstore.errors import InvalidInput

# -P: a package of the user's directory that is called `cluster` or `workers` must not be taken for ours.
_COMMAND = (sys.executable, "-P", "-m", "cluster")
_READY = re.compile(r"(?<!not )\bready\b", re.IGNORECASE)
_WORKER_STOP_S = 20.0
_MOST = len(string.ascii_lowercase)

# The stages in which processes are stopped, the higher first.
NODES = 2
WORKERS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlan:
    """What to run.

    Attributes:
        directory: Keeps the data from one run to the next; None: a temporary one.
        nodes: Scheduler nodes, 1 to 26: ``node-a``, ``node-b`` and so on.
        workers: Worker processes, 0 to 26: ``worker-1`` and so on.
        mongo_members: Members of the replica set: 1, or 3 for fail-over.
        mongodb_url: A MongoDB that runs already; None starts one.
        broker_url: A broker that runs already; None starts a Valkey.
        database: The control database.
        pool: The pool that the workers serve.
        app: The user's Celery application as ``package.module:name``.
        app_directory: Where it is imported from; None: the current directory.
        command: What starts our own command line; replaced in tests.
    """

    directory: Path | None = None
    nodes: int = 2
    workers: int = 1
    mongo_members: int = 1
    mongodb_url: str | None = None
    broker_url: str | None = None
    database: str = "horarium"
    pool: str = "default"
    app: str | None = None
    app_directory: Path | None = None
    command: tuple[str, ...] = _COMMAND

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.nodes <= _MOST:
            faults.append(f"nodes must be 1 to {_MOST}, not {self.nodes}")
        if not 0 <= self.workers <= _MOST:
            faults.append(f"workers must be 0 to {_MOST}, not {self.workers}")
        if self.mongo_members not in {1, 3}:
            faults.append(f"mongo_members must be 1 or 3, not {self.mongo_members}")
        if self.app_directory is not None and not self.app_directory.is_dir():
            faults.append(f"there is no directory {self.app_directory}")
        if faults:
            raise InvalidInput(*faults)

    def settings(self, mongodb_url: str, broker_url: str) -> dict[str, str]:
        """Return the environment variables that tell a process where it belongs."""
        settings = {
            "HORARIUM_MONGODB_URL": mongodb_url,
            "HORARIUM_BROKER_URL": broker_url,
            "HORARIUM_DATABASE": self.database,
            "HORARIUM_HTTP_PORT": "0",  # several nodes on one machine cannot have the same
        }
        if self.app is not None:
            settings["HORARIUM_APP"] = self.app
        return settings

    def specs(self, environment: Mapping[str, str]) -> list[Spec]:
        """Return the processes to supervise: nodes are stopped first, then workers, which may end what they run."""
        nodes = [
            Spec(
                name=f"node-{letter}",
                argv=(*self.command, "node", "--name", f"node-{letter}"),
                env=environment,
                ready=says_ready,
                stage=NODES,
            )
            for letter in string.ascii_lowercase[: self.nodes]
        ]
        workers = [
            Spec(
                name=f"worker-{number}",
                argv=(*self.command, "worker", "--pool", self.pool, "--name", f"worker-{number}"),
                env=environment,
                ready=says_ready,
                stage=WORKERS,
                stop_within=_WORKER_STOP_S,
                cwd=self.app_directory,
            )
            for number in range(1, self.workers + 1)
        ]
        return nodes + workers


def says_ready(line: str) -> bool:
    """Return whether a line of output says that its process serves now."""
    return _READY.search(line) is not None
