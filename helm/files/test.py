"""Proves from inside the cluster that jobs run: one job in each pool, fired now, and the wait for what became of it.

The arguments are seconds, pools, and the name of a task.  Without a task one is named that no worker knows: that a
worker says so proves the way from here through ledger, node, broker and worker, and back.
"""

import json
import subprocess
import sys
import time

TENANT = "helm-test"
UNKNOWN = "helm-test-of-a-task-that-nobody-knows"
FINAL = ("succeeded", "failed", "lost", "skipped", "missed", "cancelled", "superseded", "shadowed")


def main() -> int:
    """Return 0 if every pool ran its job."""
    seconds, pools, task = float(sys.argv[1]), [pool for pool in sys.argv[2].split(",") if pool], sys.argv[3]
    jobs = {
        # Due by itself once a year; fired below.
        f"pool-{pool}": {"cron": "0 0 1 1 *", "task": task or UNKNOWN, "pool": pool, "overlap": "skip"}
        for pool in pools
    }
    horarium("apply", "-f", "-", given=json.dumps({"tenant": TENANT, "jobs": jobs}))
    deadline = time.monotonic() + seconds
    try:
        fired = {job: answer("job", "trigger", TENANT, job)["firing"] for job in jobs}
        while fired and time.monotonic() < deadline:
            for job, firing in list(fired.items()):
                found = answer("firing", "get", TENANT, firing)
                if found["state"] in FINAL:
                    say(f"{job}: {found['state']} {found['reason']}")
                    if not good(found, task):
                        say(json.dumps(found, indent=1))
                        return 1
                    del fired[job]
            time.sleep(0.5)
        for job in fired:
            say(f"{job}: not run within {seconds:g} s; are there nodes, and workers of its pool?")
        return 1 if fired else 0
    finally:
        for job in jobs:
            horarium("job", "delete", TENANT, job)


def good(firing: dict[str, object], task: str) -> bool:
    """Return whether a worker did with the firing what it must."""
    if task:
        return firing["state"] == "succeeded"
    return (firing["state"], firing["reason"]) == ("failed", "unknown_target")


def answer(*arguments: str) -> dict[str, object]:
    """Return what a command answers."""
    found: dict[str, object] = json.loads(horarium(*arguments, "--output", "json"))
    return found


def horarium(*arguments: str, given: str | None = None) -> str:
    """Run a command; what it says about a failure goes to the log."""
    done = subprocess.run(["horarium", *arguments], check=False, input=given, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"horarium {' '.join(arguments)} ended with {done.returncode}")
    return done.stdout


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
