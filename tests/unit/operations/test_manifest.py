"""Tenants and jobs as YAML."""

import pytest

from cluster.operations.manifest import read_manifests, read_yaml
from jobstore.errors import InvalidInput


def test_a_file_may_hold_several_tenants():
    one, two = read_manifests(
        "tenant: acme\ntime_zone: Europe/Berlin\njobs: {a: {every: 5s}}\n---\ntenant: globex\n---\n", "f.yaml"
    )
    assert (one.tenant, one.settings, one.jobs) == ("acme", {"zone": "Europe/Berlin"}, {"a": {"every": "5s"}})
    assert (two.tenant, two.settings, two.jobs) == ("globex", {}, {})


def test_every_fault_names_the_file_and_the_document():
    with pytest.raises(InvalidInput) as caught:
        read_manifests("tenant: acme\nweigth: 2\n---\njobs: {}\n---\ntenant: X\n", "f.yaml")
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "f.yaml, document 1",
        "f.yaml, document 2 names no tenant; write a document such as {tenant",
        "f.yaml, document 3",
    ]


def test_a_key_that_is_given_twice_is_refused_wherever_it_stands():
    with pytest.raises(InvalidInput, match="line 3, column 7: the key 'a' is given twice"):
        read_yaml("x:\n  y: {b: 1,\n      a: 1, c: 2}\n".replace("b: 1", "a: 0"), "f.yaml")


def test_merge_keys_and_anchors_work():
    text = "base: &base {every: 5s, pool: p}\njob: {<<: *base, pool: q}\n"
    (document,) = read_yaml(text, "f.yaml")
    assert document["job"] == {"every": "5s", "pool": "q"}


@pytest.mark.parametrize(
    "text", ["a: [", "\t- x", "a: b: c", "!!python/name:os.system", "? [a]\n: b\n? {c: d}\n: e", "\x00"]
)
def test_what_is_no_yaml_is_a_sentence(text: str):
    with pytest.raises(InvalidInput) as caught:
        read_yaml(text, "f.yaml")
    assert str(caught.value).startswith("f.yaml")


def test_deep_nesting_is_refused_and_does_not_end_the_process():
    with pytest.raises(InvalidInput):
        read_yaml("[" * 100_000, "f.yaml")
