"""The fault runner in its short form: real kills, outages and lies, both ledgers compared."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mailworker.mail.address import Mailbox
from mailworker.mail.arguments import from_arguments
from mailworker.mail.email import Email, Limits
from mailworker.mail.wire.mime import build
from trials import rows
from trials.files import mail_with_files, whole
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


def test_a_file_that_is_lost_left_over_or_wrongly_counted_fails_its_row_and_is_what_the_control_shows() -> None:
    tally = rows.Tally(struck=1, pushed=10, lost=0, doubled=0, unexplained=0, in_doubt=0, seconds=[0.1], files=1)
    assert {row.name: row.holds(tally) for row in rows.ROWS if "files" in row.name} == {
        "files": False, "files-control": True,
    }  # fmt: skip


@pytest.mark.parametrize("damage", [b"", b"QUJD"])
def test_the_relay_sees_whether_a_mail_has_all_its_files(damage: bytes) -> None:
    passed = mail_with_files("tokf1", "tokf1@example.com")
    call = from_arguments((), passed, Limits())
    assert isinstance(call.mail, Email)
    message = build(call.mail, Mailbox("sender@example.com"), "m@example.com", 0).data
    before, _, rest = message.rpartition(b"\r\n\r\n")
    assert whole(before + b"\r\n\r\n" + damage + rest) is (damage == b"")


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
