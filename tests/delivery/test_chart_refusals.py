"""Values that must be refused, each with a message that names the key and what to do."""

import json
from typing import Any

import jsonschema
import pytest

from tests.delivery.chart_docs import values
from tests.delivery.helm import CHART, refusal

KEDA = {"autoscaling": {"mode": "keda"}}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"node": {"replics": 3}}, "'/node': additional properties 'replics' not allowed"),
        ({"scheduler": {}}, "additional properties 'scheduler' not allowed"),
        (
            {"workerPools": {"a": {"autoscaling": {"mode": "both"}}}},
            "/workerPools/a/autoscaling/mode': value must be one of 'none', 'hpa', 'keda', 'external'",
        ),
        ({"workerPools": {"a": {"concurency": 1}}}, "/workerPools/a': additional properties 'concurency' not allowed"),
        ({"workerPools": {"Etl": {}}}, "'Etl' does not match pattern"),
        ({"workerPools": {"a": {"concurrency": 0}}}, "/workerPools/a/concurrency': minimum: got 0, want 1"),
        ({"workerPools": {"a": {"replicas": "3"}}}, "/workerPools/a/replicas': got string, want integer"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy': value must be one of"),
        ({"image": {"digest": "latest"}}, "/image/digest'"),
        ({"telemetryPort": 99999}, "/telemetryPort': maximum"),
        ({"broker": {"url": "http://x"}}, "/broker/url'"),
        ({"mongodb": {"url": "m1:27017"}}, "/mongodb/url'"),
        ({"mongodb": {"version": "8"}}, "/mongodb/version'"),
        ({"app": "acme.celery"}, "/app'"),
        ({"ingress": {"hosts": []}}, "/ingress/hosts': minItems"),
        ({"tenants": {"ACME": {}}}, "'ACME' does not match pattern"),
        ({"tenants": {"acme": {"tenant": "other"}}}, "/tenants/acme': additional properties 'tenant' not allowed"),
        ({"tenants": {"acme": {"jobs": [{"every": "5s"}]}}}, "/tenants/acme/jobs': got array, want"),
        ({"settings": {"broker_url": "redis://x"}}, "invalid propertyName 'broker_url'"),
        ({"tenantSync": {"schedule": "every hour"}}, "/tenantSync/schedule'"),
        ({"node": {"probes": {"liveness": {"periodSeconds": 0}}}}, "/node/probes/liveness/periodSeconds': minimum"),
        ({"extraEnv": {"A": "b"}}, "/extraEnv': got object, want array"),
        ({"commonAnnotations": {"a": True}}, "/commonAnnotations/a': got boolean, want string"),
    ],
)
def test_the_schema_refuses(wrong: dict[str, Any], said: str):
    assert said in refusal(wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mongodb": {"existingSecret": ""}}, "mongodb: say where it is: mongodb.existingSecret"),
        ({"broker": {"url": "redis://x"}}, "broker: url and existingSecret are given; keep one"),
        ({"workerPools": {"a": {"replicas": 3, "autoscaling": {"mode": "hpa"}}}}, "workerPools.a.replicas: the pool is scaled (autoscaling.mode hpa)"),
        ({"workerPools": {"a": {"autoscaling": {"mode": "hpa", "minReplicas": 0}}}}, "an HPA cannot scale to 0; use mode keda"),
        ({"workerPools": {"a": {"autoscaling": {"mode": "hpa", "minReplicas": 5, "maxReplicas": 2}}}}, "minReplicas (5) is more than maxReplicas (2)"),
        ({"workerPools": {"a": {"autoscaling": {"mode": "hpa"}, "resources": {"requests": {"cpu": None}}}}}, "workerPools.a.resources.requests.cpu: the HPA's CPU target is a percentage of it"),
        ({"workerPools": {"a": {"autoscaling": {"mode": "hpa", "hpa": {"targetCPUUtilizationPercentage": None}}}}}, "workerPools.a.autoscaling.hpa: no metric is left"),
        ({"workerPools": {"a": {"terminationGracePeriodSeconds": 130}}}, "130 is less than drainTimeoutSeconds + 15 (135): firings would be killed while they drain"),
        ({"workerPools": {"a": KEDA}}, "set api.enabled, keda.apiUrl, or source: prometheus"),
        ({"workerPools": {"a": {"autoscaling": {"mode": "keda", "keda": {"source": "prometheus"}}}}}, "workerPools.a.autoscaling.keda.serverAddress: where is Prometheus?"),
        ({"workerPools": {"a": {"autoscaling": {"mode": "keda", "keda": {"onlyTriggers": True}}}}}, "onlyTriggers is set, and there are none"),
        ({"api": {"enabled": True}, "workerPools": {"a": {"autoscaling": {"mode": "keda", "keda": {"cooldownPeriod": 10}}}}}, "cooldownPeriod: 10 is less than the grace period (150)"),
        ({"tenants": {"acme": {"pool": "gpu"}}}, 'tenants.acme: nothing serves the pool "gpu"; have a look at workerPools (default), or list it in externalPools'),
        ({"tenants": {"acme": {"jobs": {"x": {"pool": "gpu"}}}}}, 'tenants.acme: nothing serves the pool "gpu"'),
        ({"ingress": {"enabled": True}}, "ingress.enabled: there is nothing to route to; set api.enabled as well"),
        ({"api": {"enabled": True}, "httpRoute": {"enabled": True}}, "httpRoute.parentRefs: name the Gateway"),
        ({"metrics": {"serviceMonitor": {"enabled": True}}}, "use metrics.podMonitor for nodes and workers"),
        ({"node": {"terminationGracePeriodSeconds": 5}}, "node.terminationGracePeriodSeconds: at least 15"),
    ],
)  # fmt: skip
def test_values_that_do_not_go_together_are_refused(wrong: dict[str, Any], said: str):
    assert said in refusal(wrong)


def test_everything_that_is_wrong_is_said_at_once():
    said = refusal(
        {"mongodb": {"existingSecret": ""}, "ingress": {"enabled": True}, "node": {"terminationGracePeriodSeconds": 5}}
    )
    assert said.count(" - ") == 3


def test_the_defaults_alone_are_refused_with_a_way_out():
    said = refusal({"mongodb": {"existingSecret": ""}, "broker": {"existingSecret": ""}})
    assert "mongodb.dev.enabled to try things out" in said
    assert "broker.dev.enabled to try things out" in said


def test_a_parent_chart_may_add_globals_and_a_condition():
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.validate(values() | {"enabled": True, "global": {"somebodyElses": {"x": 1}}}, schema)


def test_every_default_is_described_and_in_the_schema():
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(values(), schema)

    def holes(content: dict[str, Any], part: dict[str, Any], path: str) -> list[str]:
        found = []
        for key, value in content.items():
            here = part.get("properties", {}).get(key)
            if here is None:
                found.append(f"{path}{key}")
            elif isinstance(value, dict) and value and "properties" in here:
                found += holes(value, here, f"{path}{key}.")
        return found

    assert holes(values(), schema, "") == []
