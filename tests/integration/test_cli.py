"""The command line against a real MongoDB: answers, exit codes, and errors as sentences."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.cli.main import run

UNREACHABLE = "mongodb://127.0.0.1:9/"
JOB = ("job", "put", "acme", "tick")


@dataclass
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Answer]


@pytest.fixture
def cli(mongo_url: str, database_name: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Cli:
    """Run a command in this process."""
    monkeypatch.setenv("HORARIUM_MONGODB_URL", mongo_url)
    monkeypatch.setenv("HORARIUM_DATABASE", database_name)

    def call(*arguments: str) -> Answer:
        capsys.readouterr()
        code = run(arguments)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Answer(code, said.out, said.err)

    return call


@pytest.fixture
def acme(cli: Cli) -> Cli:
    assert cli("tenant", "create", "acme").code == 0
    return cli


def process(*arguments: str, text: str | None = None, **environment: str) -> Answer:
    """Run a command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cluster", *arguments],
        env={**os.environ, **environment},
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


# -- the way of a newcomer


def test_a_tenant_and_a_job_are_made_shown_fired_paused_and_deleted(cli: Cli):
    assert cli("tenant", "create", "acme", "--tz", "Europe/Paris").out.startswith("created: tenant acme, uid acme-")
    assert cli("tenant", "create", "acme", "--timezone", "Europe/Paris").out.startswith("unchanged: tenant acme")
    put = (*JOB, "--cron", "0 2 * * mon-fri", "--task", "proj.report", "--kwargs", '{"kind": "full"}')
    first = cli(*put)
    assert first.code == 0
    assert first.out.startswith("created: job tick of acme, revision 1: at 02:00 on Monday to Friday, Europe/Paris")
    assert first.out.count("  next ") == 5
    assert "02:00:00 Europe/Paris" in first.out
    assert "no worker of pool 'default' is there yet" in first.err
    assert cli(*put).out.startswith("unchanged:")
    assert cli(*put, "--description", "all of it").out.startswith("changed: job tick of acme, revision 2")
    shown = cli("job", "get", "acme", "tick").out
    assert "proj.report" in shown
    assert '{"kind": "full"}' in shown
    fired = cli("job", "trigger", "acme", "tick", "--key", "k1")
    firing = fired.out.split()[2]
    assert cli("job", "trigger", "acme", "tick", "--key", "k1").out.startswith("unchanged (the key was used before)")
    assert "waits for a place" in cli("firing", "get", "acme", firing).out
    assert firing in cli("firing", "list", "acme", "tick").out
    paused = cli("job", "pause", "acme", "tick").out
    assert paused == "changed: job tick of acme is paused, 1 firings cancelled before they began\n"
    assert cli("job", "resume", "acme", "tick").out == "changed: job tick of acme is active\n"
    assert cli("job", "delete", "acme", "tick").out == "deleted: job tick of acme is gone\n"
    assert cli("job", "get", "acme", "tick").code == 3
    assert "no jobs yet" in cli("job", "list", "acme").out


def test_every_option_of_a_job_reaches_its_definition(acme: Cli):
    answer = acme(
        *JOB, "--every", "90s", "--start", "2026-01-01T00:00Z", "--end", "2036-01-01", "--function", "tidy",
        "--args", "[1, null]", "--kwargs", '{"a": {"b": [true]}}', "--pool", "reports", "--max-instances", "3",
        "--catch-up", "all", "--overlap", "buffer_one", "--grace", "1m", "--time-limit", "90", "--max-attempts", "4",
        "--retry-delay", "0", "--description", "x", "--tz", "Asia/Tokyo", "-o", "json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    job = answer.json["job"]
    assert job["target"] == {"kind": "function", "name": "tidy"}
    assert (job["args"], job["kwargs"]) == ([1, None], {"a": {"b": [True]}})
    assert (job["pool"], job["max_instances"], job["catch_up"], job["overlap"]) == ("reports", 3, "all", "buffer_one")
    assert (job["misfire_grace_s"], job["time_limit_s"]) == (60.0, 90.0)
    assert (job["retry"]["max_attempts"], job["retry"]["delay_s"]) == (4, 0.0)
    assert job["trigger"] == {
        "v": 1,
        "every": "1m30s",
        "start": "2026-01-01T00:00:00.000Z",
        "end": "2036-01-01T14:59:59.999Z",
        "timezone": "Asia/Tokyo",
    }


@pytest.mark.parametrize("file", ["job.yaml", "job.json", "-"])
def test_a_job_may_come_from_a_file(acme: Cli, tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch):
    text = '{"cron": "0 2 * * mon-fri", "timezone": "Europe/Paris", "task": "a.b", "retry": {"max_attempts": 3}}'
    if file == "-":
        import io

        monkeypatch.setattr("sys.stdin", io.StringIO(text))
    else:
        (tmp_path / file).write_text(text)
        file = str(tmp_path / file)
    answer = acme(*JOB, "-f", file, "-o", "json")
    assert (answer.code, answer.json["job"]["retry"]["max_attempts"]) == (0, 3)


# -- JSON is a contract


JOB_KEYS = {
    "tenant", "job", "state", "when", "trigger", "target", "args", "kwargs", "pool", "description", "catch_up",
    "catch_up_limit", "overlap", "max_instances", "misfire_grace_s", "time_limit_s", "retry", "revision", "next",
    "reason", "created_at", "last",
}  # fmt: skip
FIRING_KEYS = {
    "tenant", "job", "firing", "kind", "nominal", "covers", "state", "reason", "why", "attempt", "fence", "revision",
    "target", "pool", "node", "worker", "created_at", "released_at", "started_at", "finished_at", "late_s", "seconds",
    "result", "error", "attempts", "progress", "log", "log_dropped", "once",
}  # fmt: skip
ROW_KEYS = {"tenant", "job", "state", "when", "target", "pool", "next_at", "revision", "description", "reason"}
TENANT_KEYS = {
    "codec", "plan", "halt",
    "tenant", "uid", "state", "time_zone", "pool", "weight", "epoch", "revision", "database", "jobs_collection",
    "firings_collection", "prefix", "created_at", "jobs", "next_due",
}  # fmt: skip


def test_json_has_the_keys_that_programs_rely_on(acme: Cli):
    put = acme(*JOB, "--every", "1h", "--task", "a.b", "-o", "json").json
    assert set(put) == {"verdict", "job", "warnings", "notes"}
    assert set(put["job"]) == JOB_KEYS
    fired = acme("job", "trigger", "acme", "tick", "-o", "json").json
    assert set(fired) == {"created", "firing"}
    assert set(fired["firing"]) == FIRING_KEYS
    assert set(fired["firing"]["covers"]) == {"start", "through", "count", "exact"}
    got = acme("job", "get", "acme", "tick", "-o", "json").json
    assert set(got) == JOB_KEYS
    assert set(got["last"]) == FIRING_KEYS
    (row,) = acme("job", "list", "acme", "-o", "json").json["items"]
    assert set(row) == ROW_KEYS
    assert set(acme("tenant", "get", "acme", "-o", "json").json) == TENANT_KEYS
    assert [set(one) for one in acme("tenant", "list", "-o", "json").json["items"]] == [TENANT_KEYS]
    assert set(acme("tenant", "create", "acme", "-o", "json").json) == {"verdict", "tenant"}
    (listed,) = acme("firing", "list", "acme", "-o", "json").json["items"]
    assert listed == acme("firing", "get", "acme", listed["firing"], "-o", "json").json
    stopped = acme("job", "delete", "acme", "tick", "-o", "json").json
    assert stopped == {
        "verdict": "deleted", "tenant": "acme", "job": "tick", "state": "deleting", "cancelled": 1, "running": 0,
    }  # fmt: skip
    assert {"horarium", "python", "tzdata"} <= set(acme("version", "-o", "json").json)


# -- exit codes and sentences


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("tenant", "get", "nobody"), 3, "there is no tenant 'nobody'; create it: horarium tenant create nobody"),
        (("job", "get", "acme", "nothing"), 3, "has no job 'nothing'"),
        (("job", "put", "nobody", "tick", "--every", "5s", "--task", "a.b"), 3, "there is no tenant"),
        (("firing", "get", "acme", f"acme-abcdef:{'a' * 32}"), 3, "has no firing"),
        (("tenant", "create", "acme", "--tz", "Europe/Paris"), 4, "exists already, with time zone 'UTC'"),
        ((*JOB, "--every", "0s", "--task", "a.b"), 2, "longer than nothing"),
        ((*JOB, "--every", "-5s", "--task", "a.b"), 2, "is not a length of time"),
        ((*JOB, "--cron", "0 0 30 2 *", "--task", "a.b"), 2, "never fires"),
        ((*JOB, "--cron", "* * * * *", "--task", "a.b", "--tz", "Mars"), 2, "there is no time zone 'Mars'"),
        ((*JOB, "--every", "5s", "--task", "a.b", "--kwargs", "{"), 2, "--kwargs is not JSON"),
        ((*JOB, "--every", "5s", "--task", "a.b", "--kwargs", "[]"), 2, "--kwargs must be a JSON object"),
        ((*JOB, "--every", "5s", "--task", "a.b", "--args", '{"a": 1}'), 2, "--args must be a JSON list"),
        ((*JOB, "--every", "5s", "--task", "a.b", "--grace", "soon"), 2, "--grace: 'soon' is not a length of time"),
        ((*JOB, "--every", "5s", "--task", "a.b", "-f", "x.yaml"), 2, "not both"),
        ((*JOB, "-f", "/no/such/file"), 2, "/no/such/file cannot be read: No such file or directory"),
        ((*JOB,), 2, "needs one of"),
        (("job", "put", "acme", "a b", "--every", "5s", "--task", "a.b"), 2, "is not a valid job id: use"),
        (("tenant", "create", "Acme"), 2, "is not a valid tenant id: use"),
        (("jop", "list"), 2, "there is no command 'jop'; did you mean job?"),
        (("job", "lst", "acme"), 2, "No such command 'lst'"),
        (("job", "list"), 2, "Missing argument 'TENANT'; see: horarium job list --help"),
        (("job", "list", "acme", "-o", "xml"), 2, "'xml' is not one of"),
        (("firing", "list", "acme", "--state", "done"), 2, "is not a state of a firing; known: pending"),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(acme: Cli, arguments: tuple[str, ...], code: int, sentence: str):
    answer = acme(*arguments)
    assert (answer.code, answer.out) == (code, ""), answer
    assert answer.err.startswith("horarium: ")
    assert sentence in answer.err


def test_an_expected_revision_that_is_not_there_is_a_conflict(acme: Cli):
    put = (*JOB, "--every", "5s", "--task", "a.b")
    assert acme(*put, "--expected-revision", "0").code == 0
    assert acme(*put, "--expected-revision", "7").code == 4


def test_all_faults_are_told_each_on_its_line(acme: Cli):
    answer = acme(*JOB, "--every", "0s", "--task", "a b", "--max-instances", "0")
    assert answer.code == 2
    assert answer.err.splitlines()[0] == "horarium: this is refused:"
    assert len(answer.err.splitlines()) == 4


@pytest.mark.parametrize("arguments", [("tenant", "list"), ("job", "list", "acme"), ("node", "--name", "n")])
def test_a_mongodb_that_does_not_answer_is_a_sentence_within_a_bound(arguments: tuple[str, ...]):
    answer = process(*arguments, HORARIUM_MONGODB_URL=UNREACHABLE, HORARIUM_START_WITHIN="0", HORARIUM_HTTP_PORT="0")
    assert answer.code == 6
    assert answer.err.startswith("horarium: MongoDB did not answer")
    assert "Traceback" not in answer.err


def test_a_setting_that_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.setenv("HORARIUM_MONGODB_URL", "http://localhost")
    assert run(["tenant", "list"]) == 2
    assert capsys.readouterr().err.startswith("horarium: HORARIUM_MONGODB_URL: write a URL that begins with mongodb://")


def test_a_bug_is_said_to_be_one_without_a_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("cluster.operations.tenants.list_tenants", broken)
    answer = cli("tenant", "list")
    assert answer.code == 1
    assert answer.err.startswith("horarium: this is a bug in Horarium, please report it: ZeroDivisionError: by zero")


def test_a_closed_pipe_is_no_error(mongo_url: str, database_name: str):
    line = f"{sys.executable} -P -m cluster --help | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("Usage: horarium")


def test_help_and_wrong_commands_load_nothing_heavy():
    code = (
        "import sys; from cluster.cli.main import run; run(['--help']); run(['jop']); run(['job', 'put', '--help']);"
        "print([m for m in ('pymongo', 'celery', 'kombu', 'rich', 'apscheduler', 'pydantic', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# -- apply


ACME = """\
tenant: globex
time_zone: Europe/Berlin
pool: default
jobs:
  summary: {every: 5s, task: examples.summarise, kwargs: {a: 1}, description: adds up}
  nightly: {cron: "0 2 * * mon-fri", timezone: Europe/Paris, function: tidy, retry: {max_attempts: 3, delay_s: 5}}
---
tenant: initech
jobs:
  once: {at: "2020-01-01T00:00", task: a.b}
"""


def verdicts(answer: Answer) -> dict[str, str]:
    return {f"{one['tenant']}/{one['name']}": one["verdict"] for one in answer.json["items"]}


def test_a_file_is_applied_once_and_changes_nothing_the_second_time(cli: Cli, tmp_path: Path):
    file = tmp_path / "all.yaml"
    file.write_text(ACME)
    first = cli("apply", "-f", str(file), "-o", "json")
    assert first.code == 0, first.err
    assert verdicts(first) == {
        "globex/globex": "created",
        "globex/summary": "created",
        "globex/nightly": "created",
        "initech/initech": "created",
        "initech/once": "ended",
    }
    second = cli("apply", "-f", str(file), "-o", "json")
    assert set(verdicts(second).values()) == {"unchanged", "ended"}
    file.write_text(ACME.replace("{a: 1}", "{a: 2}").replace("Berlin", "Rome"))
    third = verdicts(cli("apply", "-f", str(file), "-o", "json"))
    assert (third["globex/globex"], third["globex/summary"], third["globex/nightly"]) == (
        "changed",
        "changed",
        "unchanged",
    )


def test_a_refused_job_does_not_keep_the_others_from_being_put(cli: Cli, tmp_path: Path):
    file = tmp_path / "all.yaml"
    file.write_text("tenant: globex\njobs:\n  good: {every: 5s, task: a.b}\n  bad: {every: 0s, task: a.b}\n")
    answer = cli("apply", "-f", str(file))
    assert answer.code == 2
    assert "longer than nothing" in answer.out
    (row,) = cli("job", "list", "globex", "-o", "json").json["items"]
    assert row["job"] == "good"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        ("tenant: [", "line 1, column 1"),
        ("jobs: {}", "names no tenant"),
        ("tenant: Acme", "is not a valid tenant id"),
        ("tenant: acme\ntime_zon: UTC", "did you mean time_zone?"),
        ("tenant: acme\njobs: [1]", "jobs is a mapping"),
        ("tenant: acme\njobs:\n  a: {every: 5s, task: x}\n  a: {every: 6s, task: x}", "the key 'a' is given twice"),
        ("tenant: acme\njobs:\n  17: {every: 5s, task: x}", "put it in quotes"),
        ("tenant: acme\njobs: {a: !!python/object/apply:os.system [id]}", "could not determine a constructor"),
        (
            "tenant: acme\njobs: {a: {every: 5s, task: x}}\n---\ntenant: acme\njobs: {a: {every: 5s, task: x}}",
            "2 times",
        ),
    ],
)
def test_a_malformed_file_is_refused_before_anything_is_done(cli: Cli, tmp_path: Path, text: str, fault: str):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    answer = cli("apply", "-f", str(file))
    assert answer.code == 2
    assert fault in answer.err
    assert cli("tenant", "list", "-o", "json").json == {"items": []}


def test_a_directory_is_applied_file_by_file_without_the_hidden_ones(cli: Cli, tmp_path: Path):
    (tmp_path / "b.yaml").write_text("tenant: bbb")
    (tmp_path / "a.yml").write_text("tenant: aaa")
    (tmp_path / ".hidden.yaml").write_text("tenant: [")
    (tmp_path / "notes.txt").write_text("tenant: [")
    answer = cli("apply", "-f", str(tmp_path), "-o", "json")
    assert verdicts(answer) == {"aaa/aaa": "created", "bbb/bbb": "created"}


def test_the_examples_are_accepted_as_they_are(cli: Cli):
    examples = Path(__file__).parents[2] / "examples"
    answer = cli("apply", "-f", str(examples), "-o", "json")
    assert answer.code == 0, answer.err
    assert {"acme/orders-summary", "globex/shop-health", "initech/disks"} <= set(verdicts(answer))
