"""``horarium pool`` and ``firing cancel`` as commands: answers, exit codes, JSON."""

import json
from typing import Any

import pytest

from cluster.cli.main import run
from jobstore.runtime import Runtime
from jobstore.store import open_store

Answer = tuple[int, str, str]


@pytest.fixture
def cli(mongo_url: str, database_name: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    monkeypatch.setenv("HORARIUM_MONGODB_URL", mongo_url)
    monkeypatch.setenv("HORARIUM_DATABASE", database_name)

    def call(*arguments: str) -> Answer:
        capsys.readouterr()
        code = run(arguments)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    assert call("tenant", "create", "acme")[0] == 0
    return call


def test_a_pool_is_put_shown_assigned_to_and_deleted(cli: Any):
    assert cli("pool", "put", "etl", "concurrency=8", "queues=a,b")[1] == "created: pool etl, revision 1\n"
    assert cli("pool", "put", "etl", "queues=")[1] == "changed: pool etl, revision 2\n"
    code, out, _ = cli("pool", "get", "etl", "-o", "json")
    assert (code, json.loads(out)["settings"]["concurrency"]) == (0, 8)
    assert cli("pool", "put", "etl", "concurrency=many") == (2, "", "horarium: concurrency is a number, not 'many'\n")
    assert "celery_pool" in cli("pool", "put", "etl", "celery=x")[2]
    code, out, _ = cli("pool", "assign", "etl", "acme")
    assert out == "changed: firings of acme for pool default go into etl; 0 queued ones are handed over anew\n"
    code, _, err = cli("pool", "delete", "etl")
    assert (code, "used by acme" in err) == (4, True)
    assert cli("pool", "assign", "default", "acme")[0] == 0
    assert cli("pool", "delete", "etl")[1] == "deleted: pool etl\n"
    assert cli("pool", "get", "etl")[0] == 3


def test_stats_and_demand_tell_what_waits_and_who_serves(cli: Any, mongo_url: str, database_name: str):
    assert cli("pool", "stats")[1] == "no worker lives, and nothing runs, waits or is due\n"
    assert cli("job", "put", "acme", "tick", "--every", "1m", "--task", "proj.report")[0] == 0
    store = open_store(mongo_url, control=database_name, runtime=Runtime(), name="test")
    details = {"pools": ["default"], "host": "w1", "pid": 7, "celery_pool": "threads", "runs": ["x"]}
    store.workers.beat("w-7", boot="b", counter=1, at=store.time.now(), details=details)
    store.close()
    (pool,) = json.loads(cli("pool", "stats", "-o", "json")[1])["items"]
    assert (pool["pool"], pool["processes"], pool["runs"], pool["due_soon"], pool["slots"]) == ("default", 1, 1, 1, 1)
    assert "w-7" in cli("pool", "stats", "default")[1]
    _, out, _ = cli("pool", "demand", "--explain")
    assert "tick" in out
    assert "unknown" in out
    assert cli("pool", "demand", "--within", "-1")[0] == 2


def test_a_firing_is_cancelled_once_and_a_malformed_one_refused(cli: Any):
    assert cli("job", "put", "acme", "tick", "--every", "1h", "--task", "proj.report")[0] == 0
    fired = json.loads(cli("job", "trigger", "acme", "tick", "-o", "json")[1])["firing"]["firing"]
    code, out, _ = cli("firing", "cancel", "acme", fired, "--reason", "wrong month")
    assert (code, out.split(":")[0]) == (0, "cancelled")
    assert "it was cancelled by hand" in out
    assert cli("firing", "cancel", "acme", fired)[1].startswith("unchanged")
    assert cli("firing", "cancel", "acme", "nonsense")[0] == 2
