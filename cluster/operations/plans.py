"""Choices for tenants in three tiers: the cluster's, plans, and a tenant's own; each change whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cluster.operations.common import NotAllowed, open_room, until_won
from cluster.operations.views import TierView
from jobstore.audit import Note
from jobstore.choices import Choices, read_choices, together
from jobstore.errors import InvalidInput, NotFound
from jobstore.plans import Tier, check_plan
from jobstore.store import Store
from jobstore.tenant import Tenant, own_choices, with_tiers

CLUSTER = "cluster"


def put(
    store: Store,
    name: str | None,
    fields: Mapping[str, Any],
    *,
    who: str,
    unset: Sequence[str] = (),
    whole: bool = False,
) -> TierView:
    """Change the plan ``name``, or the cluster's own tier for None; it counts on every node within two seconds.

    Args:
        store: The store.
        name: The plan; one that is not there is made.
        fields: What is chosen.
        who: For the audit.
        unset: Choices to take back.
        whole: Whether ``fields`` are all there shall be; otherwise what they do not name stays.

    Raises:
        InvalidInput: With a sentence for every fault; nothing is changed.
    """
    if name is not None:
        check_plan(name)

    def attempt() -> TierView | None:
        tiers = store.tenants.plans.read()
        tier = tiers.cluster if name is None else tiers.plans.get(name, Tier())
        choices = _changed(tier.choices, fields, unset, whole)
        if choices == tier.choices and tier.revision:
            return _view(name, tier, "unchanged", {})
        at = store.time.now()
        if not store.tenants.plans.put(name, choices, revision=tier.revision, author=who, at=at):
            return None
        store.tenants.changed()
        changes = _diff(tier.choices, choices)
        store.audit.write(Note(at=at, who=who, what="plan.put", details={"plan": name or CLUSTER, "changes": changes}))
        written = Tier(choices=choices, revision=tier.revision + 1, author=who, at=at)
        return _view(name, written, "changed" if tier.revision else "created", changes)

    return until_won(attempt, f"plan {name!r}")


def list_plans(store: Store) -> list[TierView]:
    """Return the cluster's tier and every plan."""
    tiers = store.tenants.plans.read()
    return [_view(None, tiers.cluster, "unchanged", {})] + [
        _view(name, tier, "unchanged", {}) for name, tier in tiers.plans.items()
    ]


def get(store: Store, name: str | None) -> TierView:
    """Return a plan, or the cluster's tier for None (raises NotFound)."""
    tiers = store.tenants.plans.read()
    if name is None:
        return _view(None, tiers.cluster, "unchanged", {})
    return _view(name, _existing(tiers.plans, name), "unchanged", {})


def delete(store: Store, name: str, *, who: str) -> None:
    """Take a plan away that no tenant has.

    Raises:
        NotFound: There is none.
        NotAllowed: Tenants have it.
    """
    check_plan(name)
    tier = _existing(store.tenants.plans.read().plans, name)
    having = [tenant.id for tenant in store.tenants.all()[0] if tenant.plan == name]
    if having:
        shown = ", ".join(having[:5]) + (" and others" if len(having) > 5 else "")
        raise NotAllowed(f"the plan {name!r} is that of {shown}; give them another first: horarium tenant update")
    if not store.tenants.plans.remove(name, revision=tier.revision):
        raise NotAllowed(f"the plan {name!r} was changed meanwhile; try again")
    store.tenants.changed()
    store.audit.write(Note(at=store.time.now(), who=who, what="plan.delete", details={"plan": name}))


def update(
    store: Store,
    tenant_id: str,
    fields: Mapping[str, Any],
    *,
    who: str,
    plan: str | None = None,
    unset: Sequence[str] = (),
    dry_run: bool = False,
) -> TierView:
    """Change what is chosen for one tenant, and its plan; it counts on every node within two seconds.

    ``plan`` "" takes the plan away.  With ``dry_run`` nothing is changed, and the answer says what would be.

    Raises:
        InvalidInput: With a sentence for every fault; nothing is changed.
        NotFound: There is no such tenant or plan.
    """

    def attempt() -> TierView | None:
        tenant = open_room(store, tenant_id).tenant
        tiers = store.tenants.plans.read()
        wanted = tenant.plan if plan is None else plan or None
        wider = () if wanted is None else (_existing(tiers.plans, wanted).choices,)
        own = _changed(own_choices(tenant), fields, unset, whole=False)
        changed = with_tiers(replace(tenant, plan=wanted, own=own), tiers.cluster.choices, *wider)
        before, after = {"plan": tenant.plan}, {"plan": wanted}
        changes = _diff(own_choices(tenant), own) | ({"plan": [tenant.plan, wanted]} if before != after else {})
        if not changes or dry_run:
            return _of_tenant(changed, "unchanged" if not changes else "changed", changes)
        changed = replace(changed, revision=tenant.revision + 1)
        if not store.tenants.replace(changed, revision=tenant.revision):
            return None
        note = Note(
            at=store.time.now(), who=who, what="tenant.update", tenant=tenant.id, uid=tenant.uid,
            details={"changes": changes, "revision": changed.revision},
        )  # fmt: skip
        store.audit.write(note)
        return _of_tenant(changed, "changed", changes)

    return until_won(attempt, f"tenant {tenant_id!r}")


def _changed(tier: Choices, fields: Mapping[str, Any], unset: Sequence[str], whole: bool) -> Choices:
    known = set(Choices.model_fields)
    faults = [f"{name!r:.60} cannot be taken back: it is not a choice" for name in unset if name not in known]
    said = {} if whole else {name: value for name, value in tier.said().items() if name not in unset}
    try:
        found = read_choices(said | {str(name): value for name, value in fields.items()})
    except InvalidInput as error:
        raise InvalidInput(*faults, *error.faults) from error
    if faults:
        raise InvalidInput(*faults)
    return found


def _existing(plans: Mapping[str, Tier], name: str) -> Tier:
    check_plan(name)
    tier = plans.get(name)
    if tier is None:
        raise NotFound(f"there is no plan {name!r}; put one: horarium plan put {name} --set max_jobs=100")
    return tier


def _diff(old: Choices, new: Choices) -> dict[str, list[Any]]:
    one, other = old.said(), new.said()
    names = sorted(one.keys() | other.keys())
    return {name: [one.get(name), other.get(name)] for name in names if one.get(name) != other.get(name)}


def _view(name: str | None, tier: Tier, verdict: str, changes: Mapping[str, Any]) -> TierView:
    return TierView(
        verdict=verdict, name=name or CLUSTER, revision=tier.revision, author=tier.author, at=tier.at,
        choices=tier.choices.said(), changes=changes, counts=None,
    )  # fmt: skip


def _of_tenant(tenant: Tenant, verdict: str, changes: Mapping[str, Any]) -> TierView:
    return TierView(
        verdict=verdict, name=tenant.id, revision=tenant.revision, author="", at=None,
        choices=own_choices(tenant).said(), changes=changes, counts=together(tenant.choices).said(), plan=tenant.plan,
    )  # fmt: skip
