"""The chart for docs/performance.md, drawn by hand: one bar a contestant, on a scale of powers of ten."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from .table import Line, Table, number

_WIDTH: Final = 760
_LEFT: Final = 150
_RIGHT: Final = 90
_BAR: Final = 20
_STYLE: Final = (
    "text{font:13px sans-serif;fill:#24292f}.h{font-weight:bold;font-size:15px}.n{fill:#57606a;font-size:12px}"
    ".o{fill:#1f6feb}.p{fill:#8c959f}.s{stroke:#24292f;stroke-width:1.5}.g{stroke:#d0d7de}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.n{fill:#9198a1}.s{stroke:#e6edf3}.g{stroke:#3d444d}}"
)


def svg(tables: Sequence[Table]) -> str:
    """One panel a table, one under the other."""
    parts: list[str] = []
    top = 10
    for table in tables:
        lines = [line for line in table.lines if line.good]
        if lines:
            parts += _panel(table, lines, top)
            top += 60 + len(lines) * (_BAR + 8) + 26
    title = "; ".join(table.title for table in tables)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title><style>{_STYLE}</style>", *parts, "</svg>", ""])


def _panel(table: Table, lines: Sequence[Line], top: int) -> list[str]:
    low = 10 ** math.floor(math.log10(min(min(line.good) for line in lines)))
    high = 10 ** math.ceil(math.log10(max(max(line.good) for line in lines) * 1.0001))
    bottom = top + 44 + len(lines) * (_BAR + 8)

    def place(value: float) -> float:
        share = math.log10(max(value, low) / low) / math.log10(high / low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = [f'<text class="h" x="10" y="{top + 16}">{escape(table.title)}, {escape(table.unit)}</text>']
    step = low
    while step <= high:
        parts.append(f'<line class="g" x1="{place(step)}" x2="{place(step)}" y1="{top + 32}" y2="{bottom}"/>')
        parts.append(f'<text class="n" x="{place(step)}" y="{bottom + 15}" text-anchor="middle">{step:,g}</text>')
        step *= 10
    for index, line in enumerate(lines):
        parts += _bar(line, top + 40 + index * (_BAR + 8), place)
    return parts


def _bar(line: Line, y: int, place: Callable[[float], float]) -> list[str]:
    assert line.median is not None
    kind = "o" if line.name.startswith("mailworker") else "p"
    middle = y + _BAR / 2
    end, low, high = place(line.median), place(min(line.good)), place(max(line.good))
    return [
        f'<text x="{_LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(line.name)}</text>',
        f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{max(1, end - _LEFT):.1f}" height="{_BAR}"/>',
        f'<line class="s" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>',
        f'<text x="{high + 8}" y="{middle + 4}">{number(line.median)}</text>',
    ]
