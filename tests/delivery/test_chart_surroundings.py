"""Secrets, images, extras, routes, monitors, policies and notes: each value has the effect that it promises."""

import json

import pytest
import yaml

from tests.delivery.helm import CHART, render
from tests.delivery.test_chart_components import CI, env_of, first

# -- secrets, images, extras


def test_an_inline_url_is_in_one_secret_and_nowhere_else():
    rendered = render(CI / "inline-urls.yaml")
    secret = rendered.one("Secret", "rel-horarium-connections")["stringData"]
    assert secret == {
        "mongodb-url": "mongodb://horarium:SENTINEL-one%40%3A%2F@m1:27017,m2:27017/?replicaSet=rs0&authSource=admin",
        "broker-url": "redis://:SENTINEL-two%23%22@valkey:6379/0",
    }
    others = [one for one in rendered.objects if one["kind"] != "Secret"]
    assert "SENTINEL" not in json.dumps(others)
    assert "SENTINEL" not in render(CI / "inline-urls.yaml", notes=True).text


def test_a_new_password_makes_new_pods():
    before = render(CI / "inline-urls.yaml")
    after = render(CI / "inline-urls.yaml", {"broker": {"url": "redis://:other@valkey:6379/0"}})
    for name, deployment in before.kind("Deployment").items():
        assert after.one("Deployment", name)["spec"]["template"] != deployment["spec"]["template"]


def test_existing_secrets_are_referred_to_by_name_and_key_and_none_is_made():
    rendered = render(CI / "extras.yaml")
    assert rendered.kind("Secret") == {}
    env = env_of(first(rendered.one("Deployment", "rel-scheduler-node")))
    assert env["HORARIUM_MONGODB_URL"] == {"secretKeyRef": {"name": "horarium-mongodb", "key": "connectionString"}}
    assert env["HORARIUM_BROKER_URL"] == {"secretKeyRef": {"name": "horarium-broker", "key": "url"}}


def test_every_image_comes_from_the_global_registry_with_all_pull_secrets():
    rendered = render(CI / "airgap.yaml")
    for what, pod in rendered.pods():
        assert pod["spec"]["imagePullSecrets"] == [{"name": "internal"}, {"name": "second"}], what
        for container in pod["spec"]["containers"]:
            assert container["image"].startswith("registry.internal:5000/"), what
    node = first(rendered.one("Deployment", "rel-horarium-node"))
    assert node["image"] == f"registry.internal:5000/platform/horarium@sha256:{'0123456789abcdef' * 4}"
    special = first(rendered.one("Deployment", "rel-horarium-worker-special"))
    assert special["image"] == "registry.internal:5000/platform/acme-tasks:7"


def test_the_default_image_is_the_version_of_the_program():
    from importlib.metadata import version

    node = first(render(CI / "minimal.yaml").one("Deployment", "rel-horarium-node"))
    assert node["image"] == f"horarium:{version('horarium')}"


def test_extras_are_ours_then_global_then_the_components():
    rendered = render(CI / "extras.yaml")
    node = rendered.one("Deployment", "rel-scheduler-node")["spec"]["template"]
    container = node["spec"]["containers"][0]
    names = [env["name"] for env in container["env"]]
    assert names.index("HORARIUM_DATABASE") < names.index("RELEASE") < names.index("NODE_ONLY")
    assert env_of(container)["RELEASE"] == "rel"
    assert container["args"][-1] == "--verbose"
    assert {"name": "shared", "configMap": {"name": "rel-shared"}} in node["spec"]["volumes"]
    assert node["metadata"]["annotations"] == {"a": "global", "b": "node", "example.com/owner": "platform"}
    assert node["metadata"]["labels"]["app.kubernetes.io/name"] == "scheduler", "a common label must not win"
    worker = rendered.one("Deployment", "rel-scheduler-worker-default")["spec"]["template"]["spec"]
    assert worker["nodeSelector"] == {"pool": "workers"}
    assert worker["tolerations"] == [{"key": "workers", "operator": "Exists"}]
    assert [one["name"] for one in worker["containers"]] == ["worker", "side"]
    assert worker["serviceAccountName"] == "rel-scheduler-worker-default"
    assert (worker["schedulerName"], worker["runtimeClassName"]) == ("custom", "gvisor")


def test_tls_certificates_are_mounted_where_the_urls_can_name_them():
    container = first(render(CI / "production.yaml").one("Deployment", "rel-horarium-worker-default"))
    assert {"name": "tls-mongodb", "mountPath": "/etc/horarium/tls/mongodb", "readOnly": True} in container[
        "volumeMounts"
    ]
    assert {"name": "tls-broker", "mountPath": "/etc/horarium/tls/broker", "readOnly": True} in container[
        "volumeMounts"
    ]


# -- routes, monitors, policies


def test_ingress_and_route_lead_to_the_api():
    ingress = render(CI / "ingress.yaml").one("Ingress", "rel-horarium-api")["spec"]
    assert [rule["host"] for rule in ingress["rules"]] == ["rel.example.com", "two.example.com"]
    assert ingress["tls"] == [{"secretName": "horarium-tls", "hosts": ["rel.example.com"]}]
    env = env_of(first(render(CI / "ingress.yaml").one("Deployment", "rel-horarium-api")))
    assert env["HORARIUM_EXTERNAL_URL"] == "https://rel.example.com"
    route = render(CI / "gateway.yaml").one("HTTPRoute", "rel-horarium-api")["spec"]
    assert route["rules"][0]["backendRefs"] == [{"name": "rel-horarium-api", "port": 80}]


def test_each_component_is_scraped_once():
    both = render(CI / "gateway.yaml").one("PodMonitor", "rel-horarium")["spec"]["selector"]["matchExpressions"]
    assert both[0]["values"] == ["node", "worker"]
    alone = render(CI / "production.yaml").one("PodMonitor", "rel-horarium")
    assert alone["spec"]["selector"]["matchExpressions"][0]["values"] == ["node", "worker", "api"]
    assert alone["metadata"]["labels"]["release"] == "prometheus"


def test_alerts_carry_the_runbook_of_the_installation():
    rule = render(CI / "production.yaml").one("PrometheusRule", "rel-horarium")["spec"]
    source = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    assert len(rule["groups"][0]["rules"]) == len(source["groups"][0]["rules"]) > 10
    for alert in rule["groups"][0]["rules"]:
        assert alert["annotations"]["runbook_url"].startswith("https://wiki.example.com/horarium#")


def test_the_dashboard_is_the_file_as_it_is():
    config = render(CI / "production.yaml").one("ConfigMap", "rel-horarium-dashboard")
    assert json.loads(config["data"]["horarium.json"]) == json.loads((CHART / "files" / "dashboard.json").read_text())
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["annotations"]["grafana_folder"] == "Horarium"


def test_network_policies_close_everything_but_what_is_listed():
    rendered = render(CI / "keda-api.yaml")
    node = rendered.one("NetworkPolicy", "rel-horarium-node")["spec"]
    assert node["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["ports"][0]["port"] for rule in node["ingress"]] == ["telemetry"]
    assert [[port["port"] for port in rule["ports"]] for rule in node["egress"]] == [[53, 53], [27017], [6379]]
    worker = rendered.one("NetworkPolicy", "rel-horarium-worker")["spec"]
    assert worker["egress"] == [{}]
    api = rendered.one("NetworkPolicy", "rel-horarium-api")["spec"]["ingress"][1]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}} in api["from"]
    closed = render(CI / "keda-api.yaml", {"networkPolicy": {"workerEgressAnywhere": False}})
    assert len(closed.one("NetworkPolicy", "rel-horarium-worker")["spec"]["egress"]) == 3


# -- the try-out servers


def test_the_dev_mongodb_makes_itself_a_replica_set_that_the_url_finds():
    rendered = render(CI / "quickstart.yaml")
    probe = rendered.one("StatefulSet", "rel-horarium-mongodb")["spec"]["template"]["spec"]["containers"][0][
        "startupProbe"
    ]
    assert 'host: "rel-horarium-mongodb-0.rel-horarium-mongodb:27017"' in probe["exec"]["command"][-1]
    url = rendered.one("Secret", "rel-horarium-connections")["stringData"]["mongodb-url"]
    assert url == "mongodb://rel-horarium-mongodb-0.rel-horarium-mongodb:27017/?replicaSet=rs0"
    assert rendered.one("Service", "rel-horarium-mongodb")["spec"]["publishNotReadyAddresses"] is True


@pytest.mark.parametrize(
    ("version", "warned"),
    [("6.0.26", "6.0.27"), ("6.0.27", ""), ("7.0.5", "7.0.28"), ("8.0.17", ""), ("8.2.1", "8.2.3")],
)
def test_notes_warn_of_a_mongodb_below_the_safe_patch_releases(version: str, warned: str):
    said = render(CI / "minimal.yaml", {"mongodb": {"version": version}}, notes=True).text
    assert ("CVE-2025-14847" in said) == bool(warned)
    assert f"Use at least {warned}" in said or not warned


def test_notes_say_what_was_made_and_what_is_missing_for_production():
    said = render(CI / "quickstart.yaml", notes=True).text
    for part in (
        "pool default",
        "helm test rel -n prod",
        "mongodb.dev",
        "broker.dev",
        "node.replicas",
        "networkPolicy",
    ):
        assert part in said, part
    quiet = render(CI / "production.yaml", notes=True).text
    assert "Before production" not in quiet
