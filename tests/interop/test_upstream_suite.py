"""APScheduler's own tests for job stores, and those of its schedulers, run on our stores in place of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

# The shared store looks every half second at least, whatever the (mocked) stores of these tests say.
_SLEEPS_LONGER = (
    "test_nonexistent_executor",
    "test_max_instances_reached",
    "test_executor_error",
    "test_job_update",
    "test_wait_time",
)
# A look at the shared store sets nothing aside: another process may have the code that this one lacks.
_LOOK_SETS_ASIDE = ("test_one_job_fails_to_load",)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("store", "tests", "left_out", "least"),
    [
        ("MongoDBJobStore", "test_jobstores.py", (), 52),
        ("MongoDBJobStore", "test_schedulers.py", (), 180),
        ("SharedMongoDBJobStore", "test_jobstores.py", _LOOK_SETS_ASIDE, 50),
        ("SharedMongoDBJobStore", "test_schedulers.py", _SLEEPS_LONGER, 170),
    ],
)
def test_upstreams_own_tests_pass_with_our_store(
    upstream_sources: Path,
    mongo_url: str,
    database_name: str,
    mongo_client: Any,
    store: str,
    tests: str,
    left_out: tuple[str, ...],
    least: int,
) -> None:
    wanted = "mongodb" if tests == "test_jobstores.py" else "test"
    selected = " and ".join([wanted, *(f"not {name}" for name in left_out)])
    command = [sys.executable, "-m", "pytest", "-p", "upstream_plugin", "-p", "no:cacheprovider", "-q", "-W", "ignore"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(HERE), str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "UPSTREAM_CLASS": store,
        "UPSTREAM_DATABASE": database_name,
        "UPSTREAM_MONGO_URL": mongo_url,
        "UPSTREAM_SCHEDULERS": "1" if tests == "test_schedulers.py" else "",
    }
    try:
        result = subprocess.run(
            [*command, f"tests/{tests}", "-k", selected],
            cwd=upstream_sources,
            env=environment,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
    finally:
        mongo_client.drop_database("apscheduler_unittest")  # the name that upstream's fixture insists on
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    passed = re.search(r"(\d+) passed", result.stdout)
    assert passed is not None, result.stdout[-500:]
    assert int(passed[1]) >= least, result.stdout[-500:]
