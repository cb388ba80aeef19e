"""A summary as text for people and as JSON for programs.  Pure."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, tzinfo
from typing import Any

from cluster.dev.scene import takeover_text
from cluster.dev.signs import Signs
from cluster.dev.summary import Summary, TenantSummary
from cluster.dev.tally import OUTCOMES, Lateness, Totals

VERSION = 1
_MOST_FINDINGS = 20
_MOST_CAUGHT_UP = 10


def text(summary: Summary, signs: Signs, zone: tzinfo | None = None) -> str:
    """Return the summary as lines of at most 80 characters, as far as names allow."""
    totals = summary.totals
    lines = [
        "",
        f"Summary of {_span(summary.seconds)}",
        "",
        f"  fired      {totals.fired}",
        *_outcomes(totals),
        *_lateness("released", summary.released),
        *_lateness("begun", summary.begun),
        "",
        *_tenants(summary.tenants),
    ]
    lines += [f"  {line}".rstrip() for line in _story(summary, signs, zone)]
    lines += ["", f"  lost {summary.lost}, twice {summary.twice}{_said(summary)}"]
    return "\n".join(lines)


def document(summary: Summary) -> dict[str, Any]:
    """Return the summary as JSON can say it; fields may be added, none is renamed within a version."""
    return {
        "v": VERSION,
        "exit_code": summary.exit_code,
        "seconds": round(summary.seconds, 3),
        "lost": summary.lost,
        "twice": summary.twice,
        **_counts(summary.totals),
        "late_ms": {"released": _numbers(summary.released), "begun": _numbers(summary.begun)},
        "lines": summary.lines,
        "tenants": {
            tenant.name: {
                **_counts(tenant.totals),
                "late_ms": _numbers(tenant.begun),
                "lost": tenant.lost,
                "twice": tenant.twice,
            }
            for tenant in summary.tenants
        },
        "deaths": [
            {
                "process": takeover.death.name,
                "how": takeover.death.how,
                "at": takeover.death.at.isoformat(),
                "taken_over_by": takeover.by,
                "after_s": takeover.after_s,
                "latest_s": takeover.latest_s,
            }
            for takeover in summary.takeovers
        ],
        "caught_up": [asdict(one) | {"since": one.since.isoformat()} for one in summary.caught_up],
        "findings": [asdict(finding) for finding in summary.findings],
        "start": {step.name: round(step.seconds, 3) for step in summary.steps},
        "killed_at_the_end": list(summary.killed),
    }


def _counts(totals: Totals) -> dict[str, Any]:
    reasons: dict[str, dict[str, int]] = {}
    for state in OUTCOMES:
        if found := dict(totals.reasons_of(state)):
            reasons[state] = found
    return {
        "fired": totals.fired,
        "open": totals.open,
        "outcomes": {state: totals.outcomes[state] for state in OUTCOMES if totals.outcomes.get(state)},
        "reasons": reasons,
    }


def _numbers(lateness: Lateness | None) -> dict[str, float] | None:
    return None if lateness is None else {"count": lateness.count, "p50": lateness.p50, "p99": lateness.p99}


def _outcomes(totals: Totals) -> Iterable[str]:
    for state in OUTCOMES:
        number = totals.outcomes.get(state, 0)
        if not number and state not in {"succeeded", "failed"}:
            continue
        reasons = ", ".join(f"{reason} {many}" for reason, many in totals.reasons_of(state))
        yield f"  {state:<10} {number}{f'  ({reasons})' if reasons else ''}"
    if totals.open:
        yield f"  {'open':<10} {totals.open}  (recorded, and would have gone on)"


def _lateness(what: str, lateness: Lateness | None) -> Iterable[str]:
    if lateness is not None:
        yield f"  {what:<10} p50 {lateness.p50:.0f} ms, p99 {lateness.p99:.0f} ms late"


def _tenants(tenants: Iterable[TenantSummary]) -> list[str]:
    rows = list(tenants)
    if not rows:
        return []
    width = max(6, *(len(row.name) for row in rows))
    head = f"  {'tenant':<{width}}  {'fired':>6}  {'ok':>6}  {'failed':>6}  {'skipped':>7}"
    lines = [f"{head}  {'p50 ms':>7}  {'p99 ms':>7}  {'lost':>4}  {'twice':>5}"]
    for row in rows:
        outcomes = row.totals.outcomes
        failed = outcomes.get("failed", 0) + outcomes.get("lost", 0)
        passed = sum(outcomes.values()) - failed - outcomes.get("succeeded", 0)
        line = f"  {row.name:<{width}}  {row.totals.fired:>6}  {outcomes.get('succeeded', 0):>6}"
        line += f"  {failed:>6}  {passed:>7}"
        line += "  {:>7}  {:>7}".format(*(("", "") if row.begun is None else _rounded(row.begun)))
        lines.append(f"{line}  {row.lost:>4}  {row.twice:>5}")
    return lines


def _rounded(lateness: Lateness) -> tuple[str, str]:
    return f"{lateness.p50:.0f}", f"{lateness.p99:.0f}"


def _story(summary: Summary, signs: Signs, zone: tzinfo | None) -> list[str]:
    lines = []
    for takeover in summary.takeovers:
        said, _ = takeover_text(takeover, summary.lost, summary.twice)
        lines.append(f"{_clock(takeover.death.at, zone)} {said}")
    caught_up = list(summary.caught_up)
    for one in caught_up[:_MOST_CAUGHT_UP]:
        instants = "1 instant" if one.count == 1 else f"{one.count} instants"
        lines.append(
            f"caught up {one.tenant}/{one.job}: {instants} since {_clock(one.since, zone)} in one firing ({one.state})"
        )
    if len(caught_up) > _MOST_CAUGHT_UP:
        lines.append(f"and {len(caught_up) - _MOST_CAUGHT_UP} more jobs caught up")
    for finding in summary.findings[:_MOST_FINDINGS]:
        lines.append(f"{signs.of['failed']} {finding.kind}: {finding.job}: {finding.detail}")
    if len(summary.findings) > _MOST_FINDINGS:
        lines.append(f"and {len(summary.findings) - _MOST_FINDINGS} more findings")
    if summary.killed:
        lines.append(f"did not stop in time and was killed: {', '.join(summary.killed)}")
    return ["", *lines] if lines else []


def _said(summary: Summary) -> str:
    if not summary.totals.fired:
        return "; nothing fired"
    told = f" and {summary.lines} lines that the tasks wrote" if summary.lines else ""
    return f"  (from the jobs, the ledger{told})" if told else "  (from the jobs and the ledger)"


def _clock(at: datetime, zone: tzinfo | None) -> str:
    return f"{at.astimezone(zone):%H:%M:%S}"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
