"""Notes and markers of running firings in a real ledger."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from jobstore.firing import Firing
from jobstore.ids import once_marker
from jobstore.noted import Line, Noted
from jobstore.runs import Outcome
from jobstore.tenant import Tenant
from jobstore.traces import Traces
from tests.support.manual import START, ManualCluster

SAID = Noted(lines=(Line(at=START, attempt=1, text="one"),))


def begun(cluster: ManualCluster) -> tuple[Tenant, Firing]:
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "60s", "start": START.isoformat()}, retry={"max_attempts": 2})
    cluster.claim()
    firing = cluster.begin(cluster.broker.messages[0])
    assert firing is not None
    return acme, firing


def test_only_the_run_that_holds_the_record_writes_notes_into_it(cluster: ManualCluster):
    acme, firing = begun(cluster)
    runs = cluster.store.runs(acme.place)
    runs.note([(firing.id, "another token", Noted(dropped=9)), (firing.id, str(firing.run_token), SAID)])
    assert cluster.firings(acme)[0].noted == SAID
    cluster.finish(firing)
    assert cluster.firings(acme)[0].noted == SAID, "a run that said nothing more leaves what was written"
    runs.note([(firing.id, str(firing.run_token), Noted(dropped=9))])
    assert cluster.firings(acme)[0].noted == SAID


def test_notes_go_with_the_outcome_and_over_to_the_next_attempt(cluster: ManualCluster):
    acme, firing = begun(cluster)
    cluster.finish(firing, Outcome(state="failed", reason="raised", retry_at=START, noted=SAID))
    cluster.release()
    second = cluster.begin(cluster.broker.messages[-1])
    assert second is not None
    assert (second.attempt, second.noted) == (2, SAID)
    last = Noted(lines=(*SAID.lines, Line(at=START, attempt=2, text="two")))
    cluster.finish(second, Outcome(state="succeeded", noted=last))
    assert cluster.firings(acme)[0].noted == last


def test_of_many_that_set_a_marker_at_once_one_did(cluster: ManualCluster):
    acme, firing = begun(cluster)
    runs = cluster.store.runs(acme.place)

    def mark(nonce: int) -> bool:
        return runs.mark_once(firing, once_marker("job", "k"), key="k", nonce=str(nonce), expire_at=None)

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(mark, range(64)))
    assert found.count(True) == 1
    winner = found.index(True)
    assert mark(winner), "the winner's repetition after a lost reply is told the same"
    assert not mark(64)


def test_markers_of_other_keys_scopes_and_tenants_are_others_and_no_list_of_firings_shows_them(cluster: ManualCluster):
    acme, firing = begun(cluster)
    runs = cluster.store.runs(acme.place)
    names = {once_marker(scope, key) for scope in ("job|a", "job|b", "tenant|") for key in ("k", "l")}
    assert len(names) == 6
    for name in names:
        assert runs.mark_once(firing, name, key="k", nonce="n", expire_at=START + timedelta(days=1))
    assert [one.id for one in cluster.firings(acme)] == [firing.id]
    assert cluster.store.ledger(acme.place).running()[0]["_id"] == firing.id
    ledger = cluster.store.collections.firings(acme.place)
    assert ledger.count_documents({}) == 7
    Traces(cluster.store.collections, acme.place).purge(START)
    assert ledger.count_documents({}) == 0, "they go with their tenant"
