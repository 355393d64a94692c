"""The fault runner in its short form: real kills, outages and lies, both ledgers compared."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from trials import rows
from trials.ledger import Arrivals, compare

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.timeout(300)
def test_nothing_is_lost_in_the_short_form_of_the_trials() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "trials", "--short"], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    table = [line for line in run.stdout.splitlines() if line.startswith("| ")][2:]
    said = f"{run.stdout}\n{run.stderr[-8000:]}"
    assert run.returncode == 0, said
    assert len(table) == sum(1 for row in rows.ROWS if row.short), said
    assert all(re.search(r"\| yes \|$", line) for line in table), said


@pytest.mark.parametrize("row", rows.ROWS, ids=lambda row: row.name)
def test_no_row_but_the_control_group_holds_when_a_mail_is_lost(row: rows.Row) -> None:
    tally = rows.Tally(struck=1, pushed=10, lost=1, doubled=0, unexplained=0, in_doubt=0, seconds=[0.1])
    assert row.holds(tally) is (row.name == "control")


@pytest.mark.parametrize("row", rows.ROWS, ids=lambda row: row.name)
def test_no_row_holds_when_a_mail_is_doubled_that_was_never_in_doubt(row: rows.Row) -> None:
    tally = rows.Tally(struck=1, pushed=10, lost=0, doubled=1, unexplained=1, in_doubt=1, seconds=[0.1])
    assert not row.holds(tally)


def test_the_ledgers_tell_what_was_lost_doubled_and_never_pushed(tmp_path: Path) -> None:
    pushes, arrived = tmp_path / "pushes", tmp_path / "arrived"
    pushes.write_text("".join(f"try t{n}\nack t{n}\n" for n in range(5)) + "try t5\n")
    arrived.write_text("t0 a 1\nt1 b 2\nt1 b 3\nt2 c 4\nt2 c 5\nother d 6\n")
    comparison = compare(pushes, Arrivals(arrived), buried={"t3"}, doubts={"b"})
    assert comparison.pushed == 5
    assert comparison.lost == ["t4"]
    assert comparison.doubled == {"t1": 1, "t2": 1}
    assert comparison.unexplained == ["t2"]
    assert comparison.strange == ["other"]
