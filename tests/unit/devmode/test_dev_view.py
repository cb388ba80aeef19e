"""The screen as text: what is on it, that it fits, that it reads without colour."""

import io
from datetime import UTC

import pytest
from rich.console import Console

from cluster.dev.scene import Note, Scene, TenantRow
from cluster.dev.signs import ASCII, UNICODE
from cluster.dev.stack import Step
from cluster.dev.strip import Cell
from cluster.dev.tally import Totals
from cluster.dev.view import Canvas, draw
from tests.unit.devmode.scenes import at, node, row, scene, worker

SIZES = [(80, 24), (100, 30), (120, 40), (60, 20), (40, 12), (20, 5), (250, 70)]


def lines(shown: Scene, width: int = 80, height: int = 24, *, ascii_only: bool = False) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, height=height, color_system=None, force_terminal=False)
    console.print(draw(shown, Canvas(width, height, ASCII if ascii_only else UNICODE, UTC)))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits_every_terminal(width: int, height: int) -> None:
    shown = lines(scene(notes=[Note(at=at(33), text="node-a killed; " * 20)]), width, height)
    assert len(shown) <= height
    assert max(len(line) for line in shown) <= width


def test_a_usual_terminal_shows_all_parts_in_their_places() -> None:
    note = Note(at=at(33), text="node-a killed; node-b took over after 2.1 s; lost 0, twice 0")
    assert lines(scene(notes=[note])) == [
        " horarium dev   mongodb :27117   valkey :16379               up 00:42  12:00:41",
        "",
        " ○ node-a    killed                 released 40       holds 2",
        " ● node-b    ready     pid 4242     released 42       holds 0",
        " ● worker-1  ready     pid 4242     ran 79            runs 0",
        " ── last instants, each by the letter of the node that released it ─────────────",
        " acme     aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb                     82 fired",
        " globex   aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb                     82 fired",
        " initech  aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb                     82 fired",
        "",
        " time      tenant   job                  late  node   worker   outcome",
        *[
            f" 12:00:{number}  acme     orders-summary      12 ms  node-b worker-1 ✓ succeeded"
            for number in range(12, 20)
        ],
        "",
        " fired 82 · running 1 · ✓ 76 · ✗ 2 (raised 2) · – 3 (overlap 3)",  # noqa: RUF001
        " ✓ 12:00:33 node-a killed; node-b took over after 2.1 s; lost 0, twice 0",
        "",
        " [k] kill node-b  [r] restart it  [w] kill worker-1  [p] pause acme  [q] quit",
    ]


def test_a_tall_terminal_shows_fifteen_firings_and_no_more() -> None:
    shown = lines(scene(), 100, 60)
    assert sum("✓ succeeded" in line and "worker-1" in line for line in shown) == 15


@pytest.mark.parametrize(
    ("row_fields", "shown"),
    [
        ({"kind": "failed", "outcome": "failed", "reason": "raised"}, "✗ failed raised"),
        ({"kind": "passed", "outcome": "skipped", "reason": "overlap", "worker": ""}, "– skipped overlap"),  # noqa: RUF001
        ({"kind": "running", "outcome": "running"}, "▸ running"),
        ({"kind": "waiting", "outcome": "pending", "attempt": 2}, "· pending #2"),
        ({"count": 17}, "✓ succeeded x17"),
    ],
)
def test_every_outcome_has_a_sign_and_a_word(row_fields: dict[str, object], shown: str) -> None:
    assert any(line.endswith(shown) for line in lines(scene(firings=[row(1, **row_fields)])))


def test_without_unicode_the_signs_are_others_and_as_many() -> None:
    kinds = ("failed", "passed", "running", "late", "hole")
    cells = tuple(Cell(number, kind) for number, kind in enumerate(kinds))  # type: ignore[arg-type]
    strip = scene(tenants=[TenantRow(name="acme", cells=cells, totals=Totals())], firings=[])
    assert any("acme  ✗–▸░?" in line for line in lines(strip))  # noqa: RUF001
    plain = lines(strip, ascii_only=True)
    assert any("acme  x->~?" in line for line in plain)
    assert all(line.isascii() for line in plain)


def test_lateness_is_told_in_milliseconds_until_that_says_nothing() -> None:
    late = {12.4: "12 ms", 2_100.0: "2100 ms", 90_000.0: "90 s", 7_200_000.0: "2 h", None: "         node-b"}
    for value, text in late.items():
        assert any(text in line for line in lines(scene(firings=[row(1, late_ms=value)])))


def test_many_processes_and_tenants_leave_room_for_the_firings() -> None:
    many = scene(
        processes=[*[node(f"node-{letter}") for letter in "abcdef"], *[worker(f"worker-{n}") for n in range(1, 9)]],
        tenants=[TenantRow(name=f"tenant-{n}", cells=(), totals=Totals()) for n in range(40)],
    )
    shown = lines(many)
    assert sum("✓ succeeded" in line for line in shown) >= 8
    assert any("and 37 more tenants" in line for line in shown)
    assert shown[-1].startswith(" [k]")


def test_while_it_starts_it_says_what_is_up_and_what_is_not() -> None:
    starting = scene(
        up_s=None,
        steps=[Step("valkey", "redis://127.0.0.1:16379/0", 0.11), Step("mongod", "mongodb://127.0.0.1:27117", 2.64)],
        processes=[node("node-a", "starting")],
    )
    assert lines(starting)[:5] == [
        " horarium dev  starting                                                12:00:41",
        "",
        " ✓ valkey      0.1 s  redis://127.0.0.1:16379/0",
        " ✓ mongod      2.6 s  mongodb://127.0.0.1:27117",
        " · node-a    starting",
    ]


def test_a_run_of_limited_length_says_how_long_it_is() -> None:
    assert "up 00:42 of 01:00" in lines(scene(left_s=18.0))[0]


def test_what_it_waits_for_at_the_end_stands_in_the_first_line() -> None:
    assert lines(scene(stopping="stopping the nodes", keys={}))[0].startswith(" horarium dev  stopping the nodes")


def test_a_tenant_that_does_not_fire_says_why() -> None:
    suspended = scene(tenants=[TenantRow(name="acme", cells=(), totals=Totals(fired=3), state="suspended")])
    assert any(line.endswith("suspended 3 fired") for line in lines(suspended))


def test_no_tenants_is_no_mistake() -> None:
    assert any("horarium tenant create" in line for line in lines(scene(tenants=[], firings=[])))
