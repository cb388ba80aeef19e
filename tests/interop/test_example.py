"""The example does what its README says."""

import difflib
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from tests.support.waiting import eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "apscheduler"


def test_before_and_after_differ_in_one_import_and_what_they_say_of_themselves() -> None:
    before, after = ((EXAMPLE / name).read_text().splitlines() for name in ("before.py", "after.py"))
    changed = [line for line in difflib.ndiff(before, after) if line[:2] in {"- ", "+ "} and line[2:].strip()]
    assert [line for line in changed if '"""' not in line] == [
        "- from apscheduler.jobstores.mongodb import MongoDBJobStore",
        "+ from jobstore import SharedMongoDBJobStore as MongoDBJobStore",
    ]


def test_two_processes_of_after_beat_as_one_and_go_on_when_one_is_killed(
    mongo_url: str, mongo_client: "MongoClient[Any]", tmp_path: Path
) -> None:
    mongo_client.drop_database("example")
    output = tmp_path / "output"
    with output.open("w") as file:
        processes = [
            subprocess.Popen(
                [sys.executable, str(EXAMPLE / "after.py")],
                stdout=file,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"MONGODB_URL": mongo_url},
            )
            for _ in range(2)
        ]
    try:
        eventually(lambda: len(_beats(output)) >= 3, within=30)
        beats = _beats(output)
        assert all(later - earlier >= 1 for earlier, later in pairwise(beats)), beats
        processes[0].kill()
        eventually(lambda: len(_beats(output)) >= len(beats) + 1, within=20)
    finally:
        for process in processes:
            process.kill()
            process.wait(10)
        mongo_client.drop_database("example")


def _beats(output: Path) -> list[int]:
    return [int(line.split()[0]) for line in output.read_text().splitlines() if " beat " in line]
