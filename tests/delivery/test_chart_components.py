"""Nodes, pools, scaling, tenants: each value has the effect that its description promises."""

import pytest
import yaml

from tests.delivery.helm import CHART, Object, Rendered, render

CI = CHART / "ci"


def env_of(container: Object) -> dict[str, object]:
    return {env["name"]: env.get("value", env.get("valueFrom")) for env in container["env"]}


def first(deployment: Object) -> Object:
    found: Object = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


# -- nodes


def test_nodes_are_named_after_their_pods_spread_and_budgeted():
    rendered = render(CI / "production.yaml")
    node = rendered.one("Deployment", "rel-horarium-node")
    assert first(node)["args"] == ["node", "--name", "$(POD_NAME)"]
    assert env_of(first(node))["POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert node["spec"]["replicas"] == 3
    assert node["metadata"]["annotations"] == {"reloader.stakater.com/auto": "true"}
    spread = node["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert all(one["labelSelector"]["matchLabels"] == node["spec"]["selector"]["matchLabels"] for one in spread)
    assert rendered.one("PodDisruptionBudget", "rel-horarium-node")["spec"]["maxUnavailable"] == 1


def test_a_single_pod_has_no_budget_that_would_block_drains():
    assert render(CI / "quickstart.yaml").kind("PodDisruptionBudget") == {}
    assert render(CI / "ingress.yaml").kind("PodDisruptionBudget").keys() == {"rel-horarium-node"}


def test_probes_ask_the_telemetry_port_and_nothing_behind_it():
    rendered = render(CI / "keda-api.yaml", {"telemetryPort": 9999})
    for name, deployment in rendered.kind("Deployment").items():
        container = first(deployment)
        assert {"name": "telemetry", "containerPort": 9999, "protocol": "TCP"} in container["ports"], name
        assert env_of(container)["HORARIUM_HTTP_PORT"] == "9999"
        assert env_of(container)["HORARIUM_HTTP_HOST"] == "0.0.0.0"  # noqa: S104
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "telemetry"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "telemetry"}
        assert container["startupProbe"]["httpGet"] == {"path": "/healthz", "port": "telemetry"}
        assert container["command"] == ["horarium"], "exec form: PID 1 gets the signal"


# -- pools


def test_a_pool_inherits_the_defaults_and_states_what_differs():
    rendered = render(CI / "production.yaml", {"workerDefaults": {"concurrency": 8}})
    default = rendered.one("Deployment", "rel-horarium-worker-default")
    reports = rendered.one("Deployment", "rel-horarium-worker-reports")
    assert first(default)["args"] == [
        "worker", "--pool", "default", "--name", "$(POD_NAME)", "--concurrency", "8", "--celery-pool", "prefork",
    ]  # fmt: skip
    assert first(reports)["args"][:3] == ["worker", "--pool", "reports"]
    assert first(reports)["args"][5:7] == ["--concurrency", "2"]
    assert (default["spec"]["replicas"], reports["spec"]["replicas"]) == (4, 2)
    assert first(default)["resources"]["limits"] == {"memory": "1Gi"}
    assert first(reports)["resources"]["limits"] == {"memory": "2Gi"}
    assert env_of(first(reports))["HORARIUM_APP"] == "acme.celery:app"


@pytest.mark.parametrize(("drain", "given", "grace"), [(120, None, 150), (900, None, 930), (120, 500, 500)])
def test_the_grace_period_follows_from_the_drain(drain: int, given: int | None, grace: int):
    pool = {"drainTimeoutSeconds": drain, "terminationGracePeriodSeconds": given}
    deployment = render(CI / "minimal.yaml", {"workerPools": {"default": pool}}).one(
        "Deployment", "rel-horarium-worker-default"
    )
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == grace


def test_settings_reach_nodes_and_workers_and_a_node_stops_within_its_grace_period():
    rendered = render(CI / "minimal.yaml", {"settings": {"lease": 20, "sweep_every": 2.5}, "logLevel": "DEBUG"})
    for name in ("rel-horarium-node", "rel-horarium-worker-default"):
        env = env_of(first(rendered.one("Deployment", name)))
        assert (env["HORARIUM_LEASE"], env["HORARIUM_SWEEP_EVERY"], env["HORARIUM_LOGLEVEL"]) == ("20", "2.5", "DEBUG")
    node = rendered.one("Deployment", "rel-horarium-node")
    grace = node["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert int(str(env_of(first(node))["HORARIUM_STOP_WITHIN"])) == grace - 10


def test_two_deployments_may_serve_one_pool():
    rendered = render(CI / "extras.yaml")
    spot = rendered.one("Deployment", "rel-scheduler-worker-spot")
    assert first(spot)["args"][:3] == ["worker", "--pool", "default"]
    assert spot["spec"]["template"]["metadata"]["labels"]["horarium/pool"] == "spot"


def test_a_pool_is_removed_by_null_or_switched_off():
    assert "rel-horarium-worker-default" not in render(CI / "no-pools.yaml").kind("Deployment")
    assert len(render(CI / "many-pools.yaml").kind("Deployment")) == 1 + 4


def test_no_pod_is_made_anew_by_a_change_of_another_pool_or_of_a_tenant():
    before = render(CI / "production.yaml")
    after = render(
        CI / "production.yaml",
        {"workerPools": {"reports": {"concurrency": 3}, "extra": {}}, "tenants": {"globex": {"pool": "default"}}},
    )
    changed = {
        name
        for name, deployment in before.kind("Deployment").items()
        if after.one("Deployment", name)["spec"]["template"] != deployment["spec"]["template"]
    }
    assert changed == {"rel-horarium-worker-reports"}


def test_running_firings_keep_autoscalers_of_machines_away_unless_told_otherwise():
    rendered = render(CI / "extras.yaml")
    default = rendered.one("Deployment", "rel-scheduler-worker-default")["spec"]["template"]["metadata"]["annotations"]
    spot = rendered.one("Deployment", "rel-scheduler-worker-spot")["spec"]["template"]["metadata"]["annotations"]
    key = "cluster-autoscaler.kubernetes.io/safe-to-evict"
    assert (default[key], spot.get(key)) == ("false", None)


# -- scaling


def test_a_scaled_pool_never_states_its_replicas():
    for path in ("hpa.yaml", "keda-api.yaml", "keda-prometheus.yaml"):
        for name, deployment in render(CI / path).kind("Deployment").items():
            fixed = name.endswith("-node") or (name.endswith("-api") and path != "hpa.yaml")
            assert ("replicas" in deployment["spec"]) == fixed, (path, name)


def test_keda_reads_the_pools_demand_with_a_token_and_scales_to_zero_after_the_drain():
    rendered = render(CI / "keda-api.yaml")
    scaled = rendered.one("ScaledObject", "rel-horarium-worker-gpu")["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (0, 8)
    assert scaled["cooldownPeriod"] == 600 + 30 + 30
    trigger, cron = scaled["triggers"]
    assert trigger["metadata"] == {
        "url": "http://rel-horarium-api.prod.svc:80/v1/pools/gpu/demand",
        "valueLocation": "slots",
        "targetValue": "0.8",
        "authMode": "bearer",
    }
    assert trigger["authenticationRef"] == {"name": "rel-horarium-worker-gpu"}
    assert cron["type"] == "cron"
    assert scaled["fallback"] == {"failureThreshold": 3, "replicas": 1, "behavior": "currentReplicasIfHigher"}
    authentication = rendered.one("TriggerAuthentication", "rel-horarium-worker-gpu")["spec"]["secretTargetRef"]
    assert authentication == [{"parameter": "token", "name": "horarium-demand-token", "key": "token"}]
    default = rendered.one("ScaledObject", "rel-horarium-worker-default")["spec"]
    assert default["triggers"][0]["metadata"]["targetValue"] == "3.2"
    assert default["fallback"]["replicas"] == 2


def test_keda_on_prometheus_takes_a_lost_target_for_a_failure():
    scaled = render(CI / "keda-prometheus.yaml").one("ScaledObject", "rel-horarium-worker-default")["spec"]
    (trigger,) = scaled["triggers"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert 'horarium_pool_slots{namespace="prod",pool="default"}' in trigger["metadata"]["query"]
    assert trigger["authenticationRef"] == {"name": "prometheus", "kind": "ClusterTriggerAuthentication"}


def test_an_hpa_has_the_metrics_asked_for_and_scales_down_slowly():
    rendered = render(CI / "hpa.yaml")
    memory = rendered.one("HorizontalPodAutoscaler", "rel-horarium-worker-memory")["spec"]
    assert [metric["type"] for metric in memory["metrics"]] == ["Resource", "External"]
    assert memory["metrics"][0]["resource"]["name"] == "memory"
    assert memory["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert "rel-horarium-worker-outside" not in rendered.kind("HorizontalPodAutoscaler")


def test_nothing_is_scaled_twice():
    for path in sorted(CI.glob("*.yaml")):
        rendered = render(path)
        targets = [
            one["spec"]["scaleTargetRef"]["name"] for one in rendered.objects if "scaleTargetRef" in one.get("spec", {})
        ]
        assert len(targets) == len(set(targets)), path.name
        assert set(targets) <= rendered.kind("Deployment").keys()


# -- tenants


def sync_job(rendered: Rendered) -> tuple[str, Object]:
    ((name, job),) = rendered.kind("Job").items()
    return name, job


def test_tenants_are_documents_that_a_job_applies():
    rendered = render(CI / "production.yaml")
    documents = rendered.one("ConfigMap", "rel-horarium-tenants")["data"]
    assert yaml.safe_load(documents["acme.yaml"]) == {
        "tenant": "acme",
        "time_zone": "Europe/Berlin",
        "pool": "reports",
        "jobs": {
            "nightly": {"cron": "0 3 * * *", "task": "acme.reports.nightly"},
            "hourly": {"every": "1h", "task": "acme.sync", "pool": "default"},
        },
    }
    _, job = sync_job(rendered)
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["apply", "-f", "/etc/horarium/tenants/acme.yaml"]
    assert {"name": "tenants", "mountPath": "/etc/horarium/tenants", "readOnly": True} in container["volumeMounts"]
    assert "helm.sh/hook" not in job["metadata"].get("annotations", {})


def test_the_jobs_name_changes_with_all_that_it_does_and_with_nothing_else():
    name, _ = sync_job(render(CI / "production.yaml"))
    same, _ = sync_job(render(CI / "production.yaml", {"node": {"replicas": 9}, "workerPools": {"x": {}}}))
    assert same == name
    for change in (
        {"tenants": {"acme": {"time_zone": "Europe/Paris"}}},
        {"image": {"tag": "2"}},
        {"tenantSync": {"extraArgs": ["--prune"]}},
        {"mongodb": {"existingSecret": "another"}},
    ):
        other, _ = sync_job(render(CI / "production.yaml", change))
        assert other != name, change


def test_a_schedule_applies_the_same_again():
    rendered = render(CI / "sync.yaml")
    cron = rendered.one("CronJob", "rel-horarium-tenants")
    _, job = sync_job(rendered)
    assert cron["spec"]["schedule"] == "*/30 * * * *"
    assert cron["spec"]["jobTemplate"]["spec"]["template"] == job["spec"]["template"]


def test_tenants_may_come_from_a_config_map_of_the_users():
    _, job = sync_job(render(CI / "no-pools.yaml"))
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][-2:] == ["-f", "/etc/horarium/more-tenants"]


def test_no_tenants_no_job():
    assert render(CI / "minimal.yaml").kind("Job") == {}
