"""Any pools that the values may hold render to objects that hold together."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.delivery.helm import CHART, render
from tests.delivery.kubernetes import faults

_NAMES = st.from_regex(r"\A[a-z]([-a-z0-9]{0,22}[a-z0-9])?\Z")
_SCALING = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"mode": st.just("hpa"), "minReplicas": st.integers(1, 3), "maxReplicas": st.integers(3, 9)}),
    st.fixed_dictionaries(
        {"mode": st.just("keda"), "minReplicas": st.integers(0, 3), "maxReplicas": st.integers(3, 9)}
    ),
    st.just({"mode": "external"}),
)
_POOL = st.fixed_dictionaries(
    {"autoscaling": _SCALING},
    optional={
        "concurrency": st.integers(1, 1000),
        "drainTimeoutSeconds": st.integers(1, 86400),
        "enabled": st.booleans(),
        "celeryPool": st.sampled_from(["prefork", "threads", "solo"]),
        "podDisruptionBudget": st.just({"enabled": True}),
        "serviceAccount": st.just({"create": True}),
        "podLabels": st.dictionaries(st.sampled_from(["a", "horarium/pool"]), st.just("x")),
    },
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pools=st.dictionaries(_NAMES, _POOL, max_size=5), release=st.from_regex(r"\A[a-z][a-z0-9]{0,52}\Z"))
def test_any_pools_make_valid_objects_that_select_their_own_pods(pools: dict[str, Any], release: str):
    base = CHART / "ci" / "minimal.yaml"
    rendered = render(base, {"api": {"enabled": True}, "workerPools": {"default": None} | pools}, name=release)
    workers = {
        name: one for name, one in rendered.kind("Deployment").items() if "horarium/pool" in one["metadata"]["labels"]
    }
    assert len(workers) == sum(pool.get("enabled", True) for pool in pools.values())
    assert [fault for one in rendered.objects for fault in faults(one, "v1.33.0")] == []
    assert all(len(one["metadata"]["name"]) <= 63 for one in rendered.objects)
    for name, one in workers.items():
        selector = one["spec"]["selector"]["matchLabels"]
        chosen = [
            other
            for other, two in workers.items()
            if selector.items() <= two["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert chosen == [name]
        key = one["metadata"]["labels"]["horarium/pool"]
        scaled = [kind for kind in ("HorizontalPodAutoscaler", "ScaledObject") if name in rendered.kind(kind)]
        mode = pools[key]["autoscaling"].get("mode", "none")
        assert scaled == {"hpa": ["HorizontalPodAutoscaler"], "keda": ["ScaledObject"]}.get(mode, [])
        assert ("replicas" in one["spec"]) == (mode == "none")
        grace = one["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert grace == pools[key].get("drainTimeoutSeconds", 120) + 30
