"""Proves from inside the cluster that jobs run: one job in each pool, fired now, and the wait for what became of it.

The arguments are seconds, pools, and the name of a task.  Without a task nothing can be fired, so the test asks no
more than whether every pool has a worker that reaches MongoDB: only then is a task that nobody knows refused by name.
"""

import json
import subprocess
import sys
import time
from typing import Any

TENANT = "helm-test"
UNKNOWN = "helm-test-of-a-task-that-nobody-knows"
FINAL = ("succeeded", "failed", "lost", "skipped", "missed", "cancelled", "superseded", "shadowed")
REFUSED = 2


def main() -> int:
    """Return 0 if every pool did what it must."""
    seconds, pools, task = float(sys.argv[1]), [pool for pool in sys.argv[2].split(",") if pool], sys.argv[3]
    deadline = time.monotonic() + seconds
    good = fire(pools, task, deadline) if task else look(pools, deadline)
    return 0 if good else 1


def fire(pools: list[str], task: str, deadline: float) -> bool:
    """Fire a job in each pool; return whether all succeeded."""
    jobs = {f"pool-{pool}": pool for pool in pools}
    try:
        # Due by itself once a year; fired here.
        apply({job: {"cron": "0 0 1 1 *", "task": task, "pool": pool} for job, pool in jobs.items()})
        waiting = {job: str(answer("job", "trigger", TENANT, job)["firing"]["firing"]) for job in jobs}
        good = True
        while waiting and time.monotonic() < deadline:
            for job, firing in list(waiting.items()):
                found = answer("firing", "get", TENANT, firing)
                if found["state"] in FINAL:
                    say(f"{job}: {found['state']} {found['reason']}")
                    good = good and found["state"] == "succeeded"
                    del waiting[job]
            time.sleep(0.5)
        for job in waiting:
            say(f"{job}: not run in time; are there nodes, and workers of its pool?")
        return good and not waiting
    finally:
        for job in jobs:
            horarium("job", "delete", TENANT, job, accepted=(0, 3))


def look(pools: list[str], deadline: float) -> bool:
    """Return whether every pool has a worker."""
    missing = set(pools)
    while missing and time.monotonic() < deadline:
        for pool in sorted(missing):
            job = f"pool-{pool}"
            (_, found) = apply({job: {"cron": "0 0 1 1 *", "task": UNKNOWN, "pool": pool}})
            if found["verdict"] == "refused":
                say(f"{job}: has workers; name a task in tests.task to see one run")
                missing.discard(pool)
            else:
                horarium("job", "delete", TENANT, job)
        time.sleep(0.5)
    for pool in sorted(missing):
        say(f"pool-{pool}: no worker in time")
    return not missing


def apply(jobs: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    """Put the jobs; return what became of the tenant and of each job."""
    manifest = json.dumps({"tenant": TENANT, "jobs": jobs})
    said = horarium("apply", "-f", "-", "--output", "json", given=manifest, accepted=(0, REFUSED))
    found = json.loads(said)
    return list(found["items"] if isinstance(found, dict) else found)


def answer(*arguments: str) -> dict[str, Any]:
    """Return what a command answers."""
    found: dict[str, Any] = json.loads(horarium(*arguments, "--output", "json"))
    return found


def horarium(*arguments: str, given: str | None = None, accepted: tuple[int, ...] = (0,)) -> str:
    """Return what a command writes; a failure ends the test, with what it said in the log."""
    quiet = subprocess.DEVNULL if len(accepted) > 1 else None
    done = subprocess.run(
        ["horarium", *arguments], check=False, input=given, stdout=subprocess.PIPE, stderr=quiet, text=True
    )
    if done.returncode not in accepted:
        say(done.stdout)
        raise SystemExit(f"horarium {' '.join(arguments)} ended with {done.returncode}")
    return done.stdout


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
