"""The table, for the terminal and for docs/reliability.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from .processes import ROOT
from .rows import Row, Tally

DOCUMENT: Final = ROOT / "docs" / "reliability.md"
_PLACE = re.compile(r"(<!-- table -->\n).*?(<!-- /table -->)", re.DOTALL)
_COLUMNS: Final = (
    "fault", "strikes", "mails", "lost", "doubled", "doubled and never in doubt", "in doubt",
    "went on after (median, worst)", "must hold", "holds?",
)  # fmt: skip


def passed(row: Row, tally: Tally) -> bool:
    return row.holds(tally) and not tally.notes


def render(played: Iterable[tuple[Row, Tally]]) -> str:
    rows: list[tuple[object, ...]] = [_COLUMNS, ("---",) * len(_COLUMNS)]
    for row, tally in played:
        holds = "; ".join(["yes" if row.holds(tally) else "NO", *tally.notes])
        numbers = (tally.struck, tally.pushed, tally.lost, tally.doubled, tally.unexplained, tally.in_doubt)
        rows.append((row.fault, *numbers, tally.recovery(), row.must, holds))
    return "\n".join("| " + " | ".join(str(cell) for cell in cells) + " |" for cells in rows)


def write(text: str, seed: int) -> None:
    """Raises `ValueError` where the document has no place for a table."""
    document = DOCUMENT.read_text("utf-8")
    day = datetime.now(UTC).date().isoformat()
    said = f"`python -m trials --seed {seed}`, {day}:\n\n{text}\n"
    changed, places = _PLACE.subn(lambda match: match[1] + said + match[2], document)
    if places != 1:
        raise ValueError(f"{DOCUMENT.name}: there is no place for the table")
    DOCUMENT.write_text(changed, "utf-8")
