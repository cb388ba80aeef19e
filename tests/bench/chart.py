"""A bar chart as SVG, drawn from results: no figure is typed by hand."""

from typing import Any
from xml.sax.saxutils import escape

_ROW, _LEFT, _WIDTH = 26, 300, 560


def bars(results: list[dict[str, Any]]) -> str:
    """Return the medians of ``per_s`` as horizontal bars."""
    shown = [(one["name"], one["figures"]["per_s"]["median"]) for one in results if "per_s" in one["figures"]]
    most = max((value for _, value in shown), default=1.0)
    parts = []
    for number, (name, value) in enumerate(shown):
        y = 34 + number * _ROW
        length = max(1.0, value / most * _WIDTH)
        own = "node" in name
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="17" fill="{"#2563eb" if own else "#94a3b8"}"/>'
            f'<text x="{_LEFT + length + 6:.1f}" y="{y + 13}">{value:,.0f}</text>'
        )
    height = 44 + len(shown) * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 90}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#0f172a">'
        '<rect width="100%" height="100%" fill="#ffffff"/>'
        '<text x="8" y="20" font-weight="600">Due jobs handed over or run, per second (median; more is better)</text>'
        f"{''.join(parts)}</svg>\n"
    )
