"""Settings from the environment: bounds, agreement, and sentences that name the variable."""

from pathlib import Path

import pytest

from cluster.policy import NodePolicy
from cluster.settings import (
    BrokerSettings,
    CommandSettings,
    NodeSettings,
    StoreSettings,
    WorkerEnvironment,
    read_settings,
    reference,
)
from jobstore.errors import ConfigurationError


def test_the_defaults_are_those_of_the_policy():
    assert read_settings(NodeSettings).policy() == NodePolicy()


def test_the_environment_is_read_and_the_command_line_goes_before_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HORARIUM_DATABASE", "one")
    monkeypatch.setenv("HORARIUM_LEASE", "20")
    monkeypatch.setenv("HORARIUM_METRICS_TENANTS", "acme, globex,")
    settings = read_settings(NodeSettings, database=None, name="node-a")
    assert (settings.database, settings.name, settings.lease) == ("one", "node-a", 20.0)
    assert settings.metrics_tenants == ("acme", "globex")
    assert read_settings(CommandSettings, database="two").database == "two"


def test_an_empty_variable_counts_as_not_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HORARIUM_MONGODB_URL", "")
    monkeypatch.setenv("HORARIUM_LEASE", "")
    assert read_settings(NodeSettings).lease == 10.0


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"HORARIUM_LEASE": "5"}, "HORARIUM_LEASE (5 s) must be at least three times HORARIUM_NODE_HEARTBEAT (2 s)"),
        ({"HORARIUM_MARGIN": "10"}, "HORARIUM_MARGIN (10 s) must be shorter than HORARIUM_LEASE (10 s)"),
        ({"HORARIUM_WORKER_DEAD_AFTER": "10"}, "must be at least three times HORARIUM_HEARTBEAT of the workers (5 s)"),
        ({"HORARIUM_REPUBLISH_MOST": "30"}, "HORARIUM_REPUBLISH_MOST (30 s) is shorter than HORARIUM_REPUBLISH_AFTER"),
        ({"HORARIUM_LEASE": "soon"}, "HORARIUM_LEASE is 'soon': it must be a valid number"),
        ({"HORARIUM_LEASE": "nan"}, "HORARIUM_LEASE"),
        ({"HORARIUM_BUDGET": "0"}, "HORARIUM_BUDGET is '0': it must be greater than or equal to 1"),
        ({"HORARIUM_HTTP_PORT": "70000"}, "HORARIUM_HTTP_PORT is '70000'"),
        ({"HORARIUM_NAME": "a b"}, "HORARIUM_NAME is 'a b'"),
        ({"HORARIUM_BROKER_URL": "localhost"}, "HORARIUM_BROKER_URL: write a URL such as redis://"),
        ({"HORARIUM_MONGODB_URL": "localhost"}, "HORARIUM_MONGODB_URL: write a URL that begins with mongodb://"),
        ({"HORARIUM_DATABASE": "a.b"}, "HORARIUM_DATABASE is 'a.b'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        read_settings(NodeSettings)
    assert sentence in str(caught.value)


def test_every_fault_is_told_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HORARIUM_BUDGET", "0")
    monkeypatch.setenv("HORARIUM_POLL", "x")
    with pytest.raises(ConfigurationError, match=r"HORARIUM_POLL.*HORARIUM_BUDGET"):
        read_settings(NodeSettings)


def test_a_password_in_a_url_is_not_repeated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HORARIUM_MONGODB_URL", "http://me:secret@host")
    with pytest.raises(ConfigurationError) as caught:
        read_settings(CommandSettings)
    assert "secret" not in str(caught.value)


def test_a_workers_settings_are_checked_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HORARIUM_POOL", "No")
    monkeypatch.setenv("HORARIUM_CELERY_POOL", "gevent")
    with pytest.raises(ConfigurationError, match=r"HORARIUM_POOL is 'No'.*HORARIUM_CELERY_POOL is 'gevent'"):
        read_settings(WorkerEnvironment)


def test_every_setting_stands_in_the_reference():
    page = (Path(__file__).parents[3] / "docs" / "commands.md").read_text()
    for kind in (StoreSettings, CommandSettings, BrokerSettings, NodeSettings, WorkerEnvironment):
        rows = reference(kind)
        assert rows
        for variable, default, bounds, meaning in rows:
            assert f"| `{variable}` | {default} | {bounds} | {meaning} |" in page, variable
