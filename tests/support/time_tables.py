"""The tables of docs/time.md, made by running the code: ``python -m tests.support.time_tables`` writes them."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jobstore.errors import InvalidTrigger
from jobstore.timetable import DIALECTS, Timetable, convert, preview, spread
from tests.support.conformance import CASES, PEERS, answer

PAGE = Path(__file__).parents[2] / "docs" / "time.md"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BERLIN, CAIRO, LORD_HOWE = "Europe/Berlin", "Africa/Cairo", "Australia/Lord_Howe"
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def written(page: str) -> str:
    """Return the page with all its tables made anew."""
    return _TABLE.sub(lambda match: match[1] + TABLES[match[2]]() + match[3], page)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown; a bar in a cell would end it."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def local(instant: datetime, zone: str, form: str = "%a %d %b %H:%M %z") -> str:
    """Return an instant as its zone shows it."""
    return instant.astimezone(ZoneInfo(zone)).strftime(form)


def listed(spec: dict[str, Any], start: str, count: int, form: str = "%d %b %H:%M") -> str:
    """Return the first instants of a specification, as its zone shows them."""
    timetable = Timetable.from_spec(spec, now=NOW)
    found, instant = [], timetable.first(datetime.fromisoformat(start).replace(tzinfo=UTC))
    while instant is not None and len(found) < count:
        found.append(local(instant, str(spec.get("timezone", "UTC")), form))
        instant = timetable.after(instant)
    return ", ".join(found) or "nothing"


def code(spec: object) -> str:
    """Return a specification as people write it."""
    if isinstance(spec, dict):
        return "`{" + ", ".join(f"{key}: {_plain(value)}" for key, value in spec.items()) + "}`"
    return f"`{spec}`"


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_plain(each) for each in value) + "]"
    if isinstance(value, str):
        return f"'{value}'" if re.search(r"[*:,#?]", value) else value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _dialects() -> str:
    texts = ["0 9 * * 1-5", "0 9 * * 0", "0 9 * * 7", "0 9 13 * 5", "0 0 L * *", "0 0 15W * *", "0 0 * * FRI#2"]
    texts += ["0 22-2 * * *", "5/10 * * * *", "0 0 9 ? * 2", "0 0 31 2 *", "*/90 * * * *"]
    return table(
        ["text", *DIALECTS], [[code(text), *(_meaning(text, dialect) for dialect in DIALECTS)] for text in texts]
    )


def _meaning(text: str, dialect: str) -> str:
    try:
        return Timetable.from_spec({"cron": text, "dialect": dialect}, now=NOW).describe().removesuffix(", UTC")
    except InvalidTrigger as refusal:
        reason = refusal.faults[0].removeprefix("cron: ").split("; allowed")[0]
        return "refused: " + re.sub(r"^.* has (. fields): .*$", r"has \1", reason)


def _conversions() -> str:
    rows = []
    for text, source, target in [
        ("0 9 * * 1-5", "apscheduler", "unix"),
        ("0 9 * * 1-5", "celery", "unix"),
        ("0 0/20 8-17 ? * MON-FRI", "quartz", "unix"),
        ("0 0 * * 5L", "unix", "quartz"),
        ("0 0 L * *", "unix", "apscheduler"),
        ("0 9 13 * 5", "unix", "celery"),
    ]:
        try:
            found = convert(text, source, target)
            rows.append([code(text), source, target, code(found.expression), "; ".join(found.changes) or "nothing"])
        except InvalidTrigger as refusal:
            rows.append([code(text), source, target, "refused", refusal.faults[0]])
    return table(["text", "from", "to", "becomes", "what changes"], rows)


def _clocks() -> str:
    specs: list[tuple[dict[str, Any], str, str, int]] = [
        ({"cron": "30 2 * * *"}, BERLIN, "2026-03-28T00:00", 3),
        ({"cron": "30 2 * * *", "dst": {"gap": "skip"}}, BERLIN, "2026-03-28T00:00", 3),
        ({"cron": "0,30 2,3 * * *"}, BERLIN, "2026-03-29T00:00", 3),
        ({"cron": "0 0 * * *"}, CAIRO, "2026-04-22T12:00", 3),
        ({"cron": "15 2 * * *"}, LORD_HOWE, "2026-10-02T12:00", 3),
        ({"cron": "30 2 * * *"}, BERLIN, "2026-10-24T12:00", 2),
        ({"cron": "30 2 * * *", "dst": {"overlap": "second"}}, BERLIN, "2026-10-24T12:00", 2),
        ({"cron": "30 2 * * *", "dst": {"overlap": "both"}}, BERLIN, "2026-10-24T12:00", 3),
        ({"cron": "45 1 * * *"}, LORD_HOWE, "2026-04-04T12:00", 2),
        ({"cron": "*/30 * * * *"}, BERLIN, "2026-03-29T00:30", 3),
        ({"cron": "*/30 2 * * *"}, BERLIN, "2026-10-25T00:00", 5),
        ({"cron": "0 * * * *"}, BERLIN, "2026-10-25T00:00", 3),
        ({"every": "1d", "start": "2026-03-28T09:00"}, BERLIN, "2026-03-28T00:00", 2),
        ({"calendar": {"days": 1, "hour": 9}, "start_date": "2026-03-28"}, BERLIN, "2026-03-28T00:00", 2),
    ]
    rows = [
        [code(spec), zone, listed({**spec, "timezone": zone}, start, count, "%d %b %H:%M %z")]
        for spec, zone, start, count in specs
    ]
    return table(["timetable", "zone", "comes at"], rows)


def _months() -> str:
    specs: list[dict[str, Any]] = [
        {"calendar": {"months": 1}, "start_date": "2026-01-31"},
        {"calendar": {"months": 1, "clamp": True}, "start_date": "2026-01-31"},
        {"calendar": {"years": 1}, "start_date": "2024-02-29"},
        {"calendar": {"years": 1, "clamp": True}, "start_date": "2024-02-29"},
        {"cron": "0 0 31 * *"},
        {"cron": "0 0 L * *"},
        {"cron": "0 0 29 2 *"},
    ]
    return table(["timetable", "comes on"], [[code(spec), listed(spec, "2026-01-01", 5, "%d %b %Y")] for spec in specs])


def _exclusions() -> str:
    specs: list[tuple[dict[str, Any], str, int]] = [
        ({"cron": "0 9 * * *", "except": ["2026-12-24", {"from": "2026-12-27", "to": "2027-01-01"}]}, "2026-12-23", 4),
        ({"cron": "0 9 * * *", "except": ["holidays:DE"]}, "2026-12-24", 3),
        ({"cron": "0 9 * * *", "except": ["weekends", {"country": "DE", "subdivision": "BY"}]}, "2026-12-31", 3),
        ({"every": "6h", "start": "2026-01-02T00:00", "except": [{"weekly": {"days": ["sat"], "from": "22:00", "to": "10:00"}}]}, "2026-01-03T12:00", 4),
        ({"cron": "0 9 15 * *", "shift": "next"}, "2026-08-01", 4),
        ({"cron": "0 9 15 * *", "shift": "previous"}, "2026-08-01", 4),
        ({"cron": "0 9 15 * *", "shift": "nearest"}, "2026-08-01", 4),
        ({"cron": "0 9 1 * *", "shift": {"to": "next", "holidays": ["holidays:DE"]}}, "2027-01-01", 3),
        ({"any": [{"cron": "0 9 * * MON"}, {"cron": "0 9 1 * *"}]}, "2026-01-26", 3),
        ({"cron": "0 9 * * *", "start": "2026-01-10", "max_firings": 2}, "2026-01-01", 5),
    ]  # fmt: skip
    return table(
        ["timetable", "comes at"],
        [[code(spec), listed(spec, start, count, "%a %d %b %H:%M")] for spec, start, count in specs],
    )


def _rules() -> str:
    texts = [
        "FREQ=MONTHLY;BYDAY=-1FR",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO",
    ]
    texts += ["FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH", "FREQ=DAILY;COUNT=2", "FREQ=HOURLY;INTERVAL=6"]
    rows = [[code(text), listed({"rrule": text, "start": "2026-01-30T09:00"}, "2026-01-01", 4)] for text in texts]
    return table(["rule, from 30 January 2026 09:00", "comes at"], rows)


def _spreads() -> str:
    minute = timedelta(minutes=1)
    rows = []
    for job, window, following in [
        ("report", minute, None),
        ("cleanup", minute, None),
        ("report", 60 * minute, 5 * minute),
    ]:
        offset = spread("acme-k3x9q2", job, NOW, window, None if following is None else NOW + following)
        rows.append([job, window, following or "never", offset])
    return table(["job", "window", "next nominal after", "starts later by"], rows)


def _previews() -> str:
    spec = {"cron": "30 2 24-31 3,10,12 *", "timezone": BERLIN, "except": ["holidays:DE"], "dst": {"gap": "skip"}}
    timetable = Timetable.from_spec(spec, now=NOW)
    rows = [
        [row.at.strftime("%Y-%m-%dT%H:%MZ"), row.local, ", ".join(row.marks), "skipped" if row.skipped else ""]
        for row in preview(timetable, datetime(2026, 3, 28, tzinfo=UTC), 6)
    ]
    return table(["UTC", "local", "marks", ""], rows)


def _conformance() -> str:
    rows = []
    for number, (expression, zone, start) in enumerate(CASES, 1):
        ours = answer("horarium", expression, zone, start)
        theirs = [answer(peer, expression, zone, start) for peer in PEERS]
        rows.append(
            [number, code(expression), zone, start, ours, *("same" if each == ours else each for each in theirs)]
        )
    return table(["", "expression", "zone", "asked at (UTC)", "Horarium", *PEERS.values()], rows)


def _agreement() -> str:
    rows = []
    for peer, name in PEERS.items():
        same = [answer(peer, *case) == answer("horarium", *case) for case in CASES]
        rows.append([name, sum(same), len(same) - sum(same)])
    return table(["", "same", "different"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "dialects": _dialects,
    "conversions": _conversions,
    "clocks": _clocks,
    "months": _months,
    "exclusions": _exclusions,
    "rules": _rules,
    "spreads": _spreads,
    "previews": _previews,
    "agreement": _agreement,
    "conformance": _conformance,
}

if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
