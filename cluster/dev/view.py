"""Draws a scene for a terminal of a given size.  Pure: values in, lines of text out.

Every line is cut to the width, and the whole to the height: nothing scrolls and nothing jumps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from rich.cells import cell_len
from rich.console import Group
from rich.text import Text

from cluster.dev.scene import FiringRow, Note, ProcessRow, Scene, TenantRow
from cluster.dev.signs import STYLES, Kind, Signs, letter_of
from cluster.dev.tally import OUTCOMES, Totals

_DIM: Final = "bright_black"
_NODE_STYLES: Final = ("cyan", "magenta", "blue", "bright_cyan", "bright_magenta")
_MOST_ROWS: Final = 15
_LATE_MS: Final = 1_000
_KINDS: Final[dict[str, Kind]] = {"succeeded": "succeeded", "failed": "failed", "lost": "failed"}


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where it is drawn: the size in cells, the signs it can show, the zone of its clock (None: this machine's)."""

    width: int
    height: int
    signs: Signs
    zone: tzinfo | None = None

    def clock(self, at: datetime, *, fine: bool = False) -> str:
        """Return the time of day, with tenths of a second if ``fine``."""
        local = at.astimezone(self.zone)
        return f"{local:%H:%M:%S}.{local.microsecond // 100_000}" if fine else f"{local:%H:%M:%S}"


def draw(scene: Scene, canvas: Canvas) -> Group:
    """Return the picture of ``scene``: at most ``canvas.height`` lines of at most ``canvas.width`` cells."""
    lines = _starting(scene, canvas) if scene.up_s is None else _running(scene, canvas)
    return Group(*[_fit(line, canvas.width) for line in lines[: canvas.height]])


# -- the two pictures


def _starting(scene: Scene, canvas: Canvas) -> list[Text]:
    signs, width = canvas.signs, max((len(step.name) for step in scene.steps), default=0)
    lines = [_header(scene, canvas), Text()]
    for step in scene.steps:
        line = _text(f" {signs.of['succeeded']} ", STYLES["succeeded"])
        line.append(f"{step.name:<{max(8, width)}}  ", "bold").append(f"{step.seconds:5.1f} s  ", _DIM)
        lines.append(line.append(step.detail, _DIM))
    up = {step.name for step in scene.steps}
    for row in scene.processes:
        if row.view.name not in up:
            lines.append(_text(f" {signs.of['waiting']} {row.view.name:<8}  {row.view.state}", _DIM))
    return [*lines, *_notes(scene, canvas, 3)]


def _running(scene: Scene, canvas: Canvas) -> list[Text]:
    head = [_header(scene, canvas), Text(), *_processes(scene, canvas), _caption(canvas)]
    strips = _strips(scene, canvas)
    foot = [_totals(scene.totals, canvas), *_notes(scene, canvas, 2), Text(), _keys(scene)]
    room = canvas.height - len(head) - len(strips) - len(foot) - 3
    rows = _firings(scene, canvas, min(_MOST_ROWS, max(1, room)))
    return [*head, *strips, Text(), *rows, Text(), *foot]


# -- the parts


def _header(scene: Scene, canvas: Canvas) -> Text:
    left = _text(" horarium dev", "bold")
    if scene.stopping:
        left.append(f"  {scene.stopping}", "yellow")
    elif scene.up_s is None:
        left.append("  starting", "yellow")
    else:
        left.append_text(_servers(scene, canvas))
    right = Text()
    if scene.up_s is not None:
        ends = "" if scene.left_s is None else f" of {_span(scene.up_s + scene.left_s)}"
        right.append(f"up {_span(scene.up_s)}{ends}  ", _DIM)
    right.append(f"{canvas.clock(scene.now)} ", "bold")
    return _ends(left, right, canvas.width)


def _servers(scene: Scene, canvas: Canvas) -> Text:
    line = Text()
    for name, where in scene.servers.items():
        shown = where if canvas.width >= 96 else f":{where.rpartition(':')[2]}"
        line.append(f"   {name} ", _DIM).append(shown)
    return line


def _caption(canvas: Canvas) -> Text:
    """Return the line that says how to read the strips."""
    said = " last instants, each by the letter of the node that released it "
    return _text(f" {canvas.signs.rule * 2}{said}", _DIM).append(canvas.signs.rule * canvas.width, _DIM)


def _processes(scene: Scene, canvas: Canvas) -> list[Text]:
    """One line each; when they are many, the room goes to the firings and they share lines."""
    rows = list(scene.processes)
    if len(rows) > max(4, canvas.height // 5):
        return _packed(rows, canvas)
    return [_process(row, canvas) for row in rows]


def _process(row: ProcessRow, canvas: Canvas) -> Text:
    view, line = row.view, _lamp(row, canvas)
    line.append(f"{view.name:<10}", _node_style(view.name) if row.is_node else "bold")
    line.append(f"{_state(row):<10}", _state_style(row))
    pid = f"pid {view.pid}" if view.pid is not None else ""
    line.append(f"{pid:<13}", _DIM)
    did, doing = ("released", "holds") if row.is_node else ("ran", "runs")
    line.append(f"{f'{did} {row.done}':<18}")
    return line.append(f"{doing} {row.now}", "yellow" if row.now and not _alive(row) else _DIM)


def _packed(rows: Sequence[ProcessRow], canvas: Canvas) -> list[Text]:
    lines = [Text()]
    for row in rows:
        part = _lamp(row, canvas).append(f"{row.view.name} ", _node_style(row.view.name) if row.is_node else "bold")
        part.append(f"{row.done}  " if _alive(row) else f"{_state(row)}  ", _state_style(row))
        if lines[-1].cell_len + part.cell_len > canvas.width:
            lines.append(Text())
        lines[-1].append_text(part)
    return lines


def _lamp(row: ProcessRow, canvas: Canvas) -> Text:
    return _text(f" {canvas.signs.up if _alive(row) else canvas.signs.down} ", _state_style(row))


def _strips(scene: Scene, canvas: Canvas) -> list[Text]:
    shown = list(scene.tenants)[: max(3, canvas.height // 6)]
    name_width = min(16, max((cell_len(tenant.name) for tenant in shown), default=0))
    lines = [_strip(tenant, name_width, canvas) for tenant in shown]
    more = len(scene.tenants) - len(shown)
    if more > 0:
        lines[-1] = _text(f" and {more + 1} more tenants", _DIM)
    return lines or [_text(" no tenants yet: horarium tenant create NAME", _DIM)]


def _strip(tenant: TenantRow, name_width: int, canvas: Canvas) -> Text:
    right = _text(f" {tenant.totals.fired} fired ", _DIM)
    if tenant.state:
        right = _text(f" {tenant.state}", "yellow") + right
    line = _text(f" {_clip(tenant.name, name_width):<{name_width}}  ", "bold")
    room = canvas.width - line.cell_len - right.cell_len - 1
    for cell in tenant.cells[-max(0, room) :]:
        letter = letter_of(cell.node) if cell.kind == "succeeded" else ""
        line.append(letter or canvas.signs.of[cell.kind], _node_style(cell.node or "") if letter else STYLES[cell.kind])
    return _ends(line, right, canvas.width)


def _firings(scene: Scene, canvas: Canvas, room: int) -> list[Text]:
    """A table whose columns keep their places, whatever comes and goes."""
    shown = scene.firings[-room:]
    wide = canvas.width >= 92
    tenant = min(14 if wide else 9, max([6, *(cell_len(tenant.name) for tenant in scene.tenants)]))
    job = 24 if wide else 16
    head = f" {'time':<{10 if wide else 8}}  {'tenant':<{tenant}}  {'job':<{job}}"
    head += f"  {'nominal':<8}" if wide else ""
    lines = [_text(f"{head}  {'late':>7}  {'node':<6} {'worker':<8} outcome", _DIM)]
    for row in shown:
        line = _text(f" {canvas.clock(row.at, fine=wide)}  ", _DIM)
        line.append(f"{_clip(row.tenant, tenant):<{tenant}}  ").append(f"{_clip(row.job, job):<{job}}")
        if wide:
            line.append(f"  {canvas.clock(row.nominal)}", _DIM)
        line.append(f"  {_late(row.late_ms):>7}  ", "yellow" if (row.late_ms or 0) >= _LATE_MS else "default")
        line.append(f"{_clip(row.node, 6):<6} ", _node_style(row.node))
        line.append(f"{_clip(row.worker, 8):<8} ", _DIM)
        line.append(f"{canvas.signs.of[row.kind]} {row.outcome}", STYLES[row.kind])
        lines.append(line.append(_why(row), _DIM))
    return lines + [Text()] * (room - len(shown))


def _totals(totals: Totals, canvas: Canvas) -> Text:
    """Return the longest form that fits: with words and reasons, without words, without either."""
    forms = [
        _counted(totals, canvas, words=True, reasons=True),
        _counted(totals, canvas, words=False, reasons=True),
        _counted(totals, canvas, words=False, reasons=False),
    ]
    return next((form for form in forms if form.cell_len <= canvas.width), forms[-1])


def _counted(totals: Totals, canvas: Canvas, *, words: bool, reasons: bool) -> Text:
    between = (f" {canvas.signs.between} ", _DIM)
    line = _text(f" fired {totals.fired}", "bold").append(*between)
    line.append(f"running {totals.running}", STYLES["running"] if totals.running else _DIM)
    if totals.queued:
        line.append(*between).append(f"queued {totals.queued}", STYLES["running"])
    if totals.waiting:
        line.append(*between).append(f"waiting {totals.waiting}", _DIM)
    for state in OUTCOMES:
        number = totals.outcomes.get(state, 0)
        if not number and state not in {"succeeded", "failed", "skipped"}:
            continue
        kind = _KINDS.get(state, "passed")
        word = f"{state} " if words or state not in {"succeeded", "failed", "skipped"} else ""
        line.append(*between)
        line.append(f"{canvas.signs.of[kind]} {word}{number}", STYLES[kind] if number else _DIM)
        why = [f"{reason} {many}" for reason, many in totals.reasons_of(state)[:2] if state != "succeeded"]
        line.append(f" ({', '.join(why)})" if why and reasons else "", _DIM)
    return line


def _notes(scene: Scene, canvas: Canvas, most: int) -> list[Text]:
    lines = []
    for note in list(scene.notes)[-most:]:
        sign = canvas.signs.of[_note_kind(note)]
        line = _text(f" {sign} ", STYLES[_note_kind(note)]).append(f"{canvas.clock(note.at)} ", _DIM)
        lines.append(line.append(note.text))
    return lines


def _keys(scene: Scene) -> Text:
    line = _text(" ")
    for key, does in scene.keys.items():
        line.append(f"[{key}]", "bold").append(f" {does}  ", _DIM)
    return line


# -- words


def _note_kind(note: Note) -> Kind:
    if note.good is None:
        return "running"
    return "succeeded" if note.good else "failed"


def _state(row: ProcessRow) -> str:
    return row.view.state


def _alive(row: ProcessRow) -> bool:
    return row.view.state in {"starting", "ready", "frozen", "stopping"}


def _state_style(row: ProcessRow) -> str:
    if row.view.state == "ready":
        return "green"
    return "yellow" if _alive(row) else "bold red"


def _why(row: FiringRow) -> str:
    more = f" #{row.attempt}" if row.attempt > 1 else f" x{row.count}" if row.count > 1 else ""
    return more + (f" {row.reason}" if row.reason else "")


def _node_style(name: str) -> str:
    letter = letter_of(name)
    return _NODE_STYLES[(ord(letter) - ord("a")) % len(_NODE_STYLES)] if letter else "default"


def _late(milliseconds: float | None) -> str:
    if milliseconds is None:
        return ""
    if abs(milliseconds) < 9_999.5:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.0f} s" if milliseconds < 5_999_500 else f"{milliseconds / 3_600_000:.0f} h"


def _span(seconds: float) -> str:
    whole = timedelta(seconds=int(seconds))
    text = str(whole)
    return text.removeprefix("0:") if whole < timedelta(hours=1) else text


def _clip(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "~"


def _ends(left: Text, right: Text, width: int) -> Text:
    """Return a line with one text at each end; the right one stays whole."""
    room = max(0, width - right.cell_len)
    if left.cell_len > room:
        left.truncate(room)
    return left.append(" " * (room - left.cell_len)).append_text(right)


def _text(text: str, style: str = "") -> Text:
    """Return a text whose style ends with it: that of a ``Text`` itself would colour all that is appended."""
    return Text().append(text, style)


def _fit(line: Text, width: int) -> Text:
    line.no_wrap, line.overflow = True, "crop"
    if line.cell_len > width:
        line.truncate(width)
    return line


def plain(lines: Iterable[Text]) -> str:
    """Return lines without their colours."""
    return "\n".join(line.plain.rstrip() for line in lines)
