"""What must hold of every object that any of the example values lead to."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.helm import CASES, CHART, Object, Rendered, nodes_of, render
from tests.delivery.kubernetes import VERSIONS, faults

case = pytest.mark.parametrize("case", CASES, ids=[path.stem for path in CASES])
_DNS = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_SELECTING = {"Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor", "ServiceMonitor", "Deployment"}
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|Ki|Mi|Gi)?")


def containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def test_there_are_fifteen_sets_of_values():
    assert len(CASES) >= 15


@case
def test_objects_are_valid_in_every_supported_kubernetes(case: Path):
    objects = render(case).objects
    assert objects
    assert [fault for version in VERSIONS for one in objects for fault in faults(one, version)] == []


@case
@pytest.mark.parametrize("kube", ["v1.29.0-eks-123", "v1.37.1"])
def test_the_oldest_and_the_newest_cluster_get_the_same(case: Path, kube: str):
    assert render(case, kube=kube).objects == render(case).objects


@case
def test_pods_are_restricted_read_only_and_without_a_token(case: Path):
    rendered = render(case)
    for what, pod in rendered.pods():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, what
        assert spec["enableServiceLinks"] is False, what
        assert spec["securityContext"]["runAsNonRoot"] is True, what
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, what
        user = spec["securityContext"].get("runAsUser")
        assert (user is None) == (case.stem == "openshift"), what
        assert user is None or user > 0, what
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), what
        for volume in spec.get("volumes", []):
            assert volume.keys() & {"emptyDir", "configMap", "secret"}, (what, volume)
            assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"], (what, volume)
        for one in containers(pod):
            context = one["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, (what, one["name"])
            assert context["readOnlyRootFilesystem"] is True, (what, one["name"])
            assert context["capabilities"] == {"drop": ["ALL"]}, (what, one["name"])


@case
def test_every_container_asks_for_resources_and_only_memory_is_limited(case: Path):
    for what, pod in render(case).pods():
        for one in containers(pod):
            resources = one["resources"]
            assert resources["requests"].keys() >= {"cpu", "memory"}, (what, one["name"])
            assert "cpu" not in resources.get("limits", {}), (what, one["name"])
            for _, quantity in nodes_of(resources):
                assert isinstance(quantity, dict) or _QUANTITY.fullmatch(str(quantity)), quantity


@case
def test_selectors_choose_the_own_pods_and_no_others(case: Path):
    rendered = render(case)
    chosen: list[tuple[str, dict[str, str]]] = []
    for one in rendered.objects:
        if one["kind"] in ("Deployment", "StatefulSet"):
            selector = one["spec"]["selector"]["matchLabels"]
            labels = one["spec"]["template"]["metadata"]["labels"]
            assert selector.items() <= labels.items()
            assert not any("version" in key or "chart" in key for key in selector)
            chosen.append((one["metadata"]["name"], selector))
    for name, selector in chosen:
        for other, pods in [
            (o["metadata"]["name"], o["spec"]["template"]["metadata"]["labels"])
            for o in rendered.objects
            if o["kind"] in ("Deployment", "StatefulSet")
        ]:
            assert (selector.items() <= pods.items()) == (name == other), (name, other)


@case
def test_everything_that_selects_pods_finds_some(case: Path):
    rendered = render(case)
    pods = [pod["metadata"]["labels"] for _, pod in rendered.pods()]
    for one in rendered.objects:
        spec = one.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector") or {}
        selector = selector.get("matchLabels", selector)
        if one["kind"] not in _SELECTING:
            continue
        if selector:
            assert any(selector.items() <= labels.items() for labels in pods), one["metadata"]["name"]


@case
def test_what_a_pod_refers_to_is_there_or_is_the_users(case: Path):
    rendered = render(case)
    ours = {(one["kind"], one["metadata"]["name"]) for one in rendered.objects}
    prefix = re.compile(r"(rel-horarium|a-name-that-is).*")
    for what, pod in rendered.pods():
        spec = pod["spec"]
        names = [("ServiceAccount", spec["serviceAccountName"])]
        names += [("ConfigMap", v["configMap"]["name"]) for v in spec.get("volumes", []) if "configMap" in v]
        names += [
            ("Secret", env["valueFrom"]["secretKeyRef"]["name"])
            for one in containers(pod)
            for env in one.get("env", [])
            if "secretKeyRef" in env.get("valueFrom", {})
        ]
        mounted = {mount["name"] for one in containers(pod) for mount in one.get("volumeMounts", [])}
        claimed = {c["metadata"]["name"] for c in _claims(rendered, what)}
        assert mounted <= {v["name"] for v in spec.get("volumes", [])} | claimed, what
        for kind, name in names:
            assert not prefix.fullmatch(name) or (kind, name) in ours, (what, kind, name)


def _claims(rendered: Rendered, what: str) -> list[Object]:
    kind, _, name = what.partition("/")
    found: list[Object] = (
        rendered.one(kind, name)["spec"].get("volumeClaimTemplates", []) if kind == "StatefulSet" else []
    )
    return found


@case
def test_names_and_labels_fit_and_are_distinct(case: Path):
    for release in ("rel", "r" * 53):
        objects = render(case, name=release).objects
        names = [
            (one["apiVersion"], one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
            for one in objects
        ]
        assert len(names) == len(set(names))
        for one in objects:
            assert len(one["metadata"]["name"]) <= (52 if one["kind"] in ("StatefulSet", "CronJob") else 63)
            assert _DNS.fullmatch(one["metadata"]["name"])
            for value in one["metadata"].get("labels", {}).values():
                assert len(value) <= 63


@case
def test_objects_of_ours_have_the_standard_labels_and_the_releases_namespace(case: Path):
    for one in render(case).objects:
        if one["metadata"]["name"] in ("rel-more", "rel-text"):
            continue  # the user's own
        labels = one["metadata"]["labels"]
        expected = "scheduler" if case.stem == "extras" else "horarium"
        assert (labels["app.kubernetes.io/name"], labels["app.kubernetes.io/instance"]) == (expected, "rel")
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert one["metadata"]["namespace"] == ("elsewhere" if case.stem == "sync" else "prod")


@case
def test_nothing_is_null_or_left_over_from_a_template(case: Path):
    for one in render(case).objects:
        if one["kind"] in ("PrometheusRule", "ConfigMap"):
            continue  # alerts and dashboards have braces of their own
        for path, value in nodes_of(one):
            assert value is not None, f"{one['kind']}{path}"
            assert "<no value>" not in str(value)
            assert not (isinstance(value, str) and "{{" in value), f"{one['kind']}{path}: {value}"


@case
def test_rendering_again_gives_the_same_bytes(case: Path):
    from tests.delivery import helm

    first = render(case).text
    helm._render.cache_clear()
    assert render(case).text == first


@case
def test_nothing_is_scoped_to_the_cluster_and_nobody_gets_rights(case: Path):
    kinds = {one["kind"] for one in render(case).objects}
    assert not kinds & {
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "CustomResourceDefinition",
        "Namespace",
    }


def test_hooks_are_the_test_only():
    for path in CASES:
        hooked = [one for one in render(path).objects if "helm.sh/hook" in one["metadata"].get("annotations", {})]
        assert {one["metadata"]["annotations"]["helm.sh/hook"] for one in hooked} <= {"test"}
        assert all(one["metadata"]["name"].endswith("-test") for one in hooked)


def test_two_releases_in_one_namespace_share_no_name_and_no_pod():
    one, two = (
        render(CHART / "ci" / "quickstart.yaml", name="one"),
        render(CHART / "ci" / "quickstart.yaml", name="two"),
    )
    names: Any = [{(o["kind"], o["metadata"]["name"]) for o in r.objects} for r in (one, two)]
    assert not names[0] & names[1]
    for deployment in one.kind("Deployment").values():
        for _, pod in two.pods():
            assert not deployment["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize("word", ["n", "y", "on", "off", "yes", "no", "null", "true", "1e3", "123"])
def test_words_that_yaml_takes_for_something_else_stay_words(word: str):
    pools = {word: {}} if word[0].isalpha() else {}
    values = {"workerPools": pools, "mongodb": {"existingSecret": word}, "priorityClassName": word}
    objects = render(CHART / "ci" / "minimal.yaml", values, name=word).objects
    assert [fault for one in objects for fault in faults(one, "v1.33.0")] == []
    labels = [pod["metadata"]["labels"] for _, pod in render(CHART / "ci" / "minimal.yaml", values, name=word).pods()]
    assert {one["app.kubernetes.io/instance"] for one in labels} == {word}


def test_two_long_names_stay_distinct_when_they_are_cut():
    first = render(CHART / "ci" / "minimal.yaml", name="a" * 52 + "x").kind("Deployment")
    second = render(CHART / "ci" / "minimal.yaml", name="a" * 52 + "y").kind("Deployment")
    assert not first.keys() & second.keys()
