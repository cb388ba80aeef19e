"""What ``horarium dev`` is asked for."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobstore.errors import InvalidInput

_LENGTH: Final = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6}(?:\.\d{1,3})?)s?)?")
_LONGEST_S: Final = 7 * 86_400


@dataclass(frozen=True, kw_only=True)
class DevOptions:
    """What to run on this machine, and how to show it.  Without slots, so that its defaults can be asked for.

    Attributes:
        nodes: Scheduler nodes, 1 to 26.
        workers: Worker processes, 0 to 26.
        headless: Plain lines even where there is a terminal.
        for_s: Stop by itself after this many seconds of everything being up; None runs until a signal or a key.
        directory: Keeps the data from one run to the next; None leaves nothing behind.
        demo: Run the demonstration's tenants, unless an application or manifests of one's own are given.
        app: The user's Celery application as ``package.module:name``.
        manifests: YAML files that are applied once the servers run.
        json_file: Where the summary is written as JSON.
        mongodb_url: A MongoDB that runs already; None starts one.
        broker_url: A broker that runs already; None starts a Valkey.
        database: The control database.
    """

    nodes: int = 2
    workers: int = 1
    headless: bool = False
    for_s: float | None = None
    directory: Path | None = None
    demo: bool = True
    app: str | None = None
    manifests: tuple[Path, ...] = ()
    json_file: Path | None = None
    mongodb_url: str | None = None
    broker_url: str | None = None
    database: str = "horarium"

    def __post_init__(self) -> None:
        faults = []
        if self.for_s is not None and not 0 < self.for_s <= _LONGEST_S:
            faults.append(f"a run lasts more than nothing and at most seven days, not {self.for_s:g} s")
        if self.json_file is not None and not self.json_file.absolute().parent.is_dir():
            faults.append(f"there is no directory {self.json_file.absolute().parent} for the summary")
        if faults:
            raise InvalidInput(*faults)


def read_for(text: str) -> float:
    """Return the seconds of a length such as ``30s``, ``2m``, ``1h30m`` or ``45``.

    Raises:
        InvalidInput: It is no such length, or none at all.
    """
    found = _LENGTH.fullmatch(text.strip().lower().replace(" ", ""))
    hours, minutes, seconds = found.groups() if found else (None, None, None)
    total = int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)
    if not found or not 0 < total <= _LONGEST_S:
        raise InvalidInput(f"{text!r:.60} is not a length of a run: write 30s, 2m or 1h30m, at most seven days")
    return total
