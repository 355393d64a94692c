"""What was measured, and how it is shown: medians, spread, ratios within a run."""

# ruff: noqa: RUF001 - signs of arithmetic, and dashes between numbers, for people to read

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Line:
    """One contestant in one row of the benchmark. `values` has one number a run; None is a run that failed."""

    name: str
    values: Sequence[float | None]
    note: str = ""

    @property
    def good(self) -> list[float]:
        return [value for value in self.values if value is not None]

    @property
    def median(self) -> float | None:
        return median(self.good) if self.good else None


@dataclass(frozen=True)
class Table:
    name: str
    title: str
    unit: str
    lines: Sequence[Line]
    against: Sequence[str] = ()
    """Contestants to whom every other is compared, run by run."""
    notes: Sequence[str] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


def ratio(line: Line, other: Line) -> float | None:
    """The median of the ratios within each run."""
    pairs = zip(line.values, other.values, strict=True)
    ratios = [mine / theirs for mine, theirs in pairs if mine is not None and theirs]
    return median(ratios) if ratios else None


def markdown(table: Table) -> str:
    others = {line.name: line for line in table.lines}
    against = [name for name in table.against if name in others]
    head = ["", f"{table.unit}, median", "min–max", *[f"÷ {name}" for name in against], "runs"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for line in table.lines:
        ratios = [_text(ratio(line, others[name]), "×") for name in against]
        spread = f"{number(min(line.good))}–{number(max(line.good))}" if line.good else "–"
        runs = f"{len(line.values)}" if len(line.good) == len(line.values) else _failed(line)
        label = line.name + (f" ({line.note})" if line.note else "")
        rows.append([label, _text(line.median) if line.good else "**FAILED**", spread, *ratios, runs])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([f"### {table.title}", "", *lines, "", *[f"- {note}" for note in table.notes]]).rstrip() + "\n"


def number(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def _text(value: float | None, after: str = "") -> str:
    return "–" if value is None else number(value) + after


def _failed(line: Line) -> str:
    return f"{len(line.values)}, **{len(line.values) - len(line.good)} FAILED**"
