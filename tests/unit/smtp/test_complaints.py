"""What a relay says about the way it is spoken to, and what it says about a mail."""

from __future__ import annotations

import pytest

from mailworker.smtp.complaints import blames_the_group, refuses_the_command, says_pipelining
from mailworker.smtp.replies import Reply


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5.5.0 Improper use of SMTP command pipelining", True),
        ("Error: improper command pipelining after DATA", True),
        ("SMTP protocol synchronization error", True),
        ("SMTP synchronisation error", True),
        ("5.5.1 command out of sequence", True),
        ("you must wait for the greeting", True),
        ("unexpected data received", True),
        ("input sent without waiting for greeting", True),
        ("5.7.1 Relay access denied", False),
        ("5.1.1 mailbox unavailable", False),
        ("4.7.1 greylisted, please wait", False),
        ("5.6.0 message has lone CR", False),
    ],
)
def test_what_a_complaint_about_pipelining_looks_like(text: str, expected: bool) -> None:
    assert says_pipelining(text) is expected


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (503, "anything", True),
        (500, "unrecognized command", True),
        (502, "command not implemented", True),
        (500, "line too long", False),
        (501, "5.6.0 bad header", False),
        (554, "5.5.1 bad command", False),
        (451, "later", False),
    ],
)
def test_a_refusal_of_a_command_is_none_of_the_mail(code: int, text: str, expected: bool) -> None:
    assert refuses_the_command(Reply(code, text)) is expected


@pytest.mark.parametrize(("code", "expected"), [(250, False), (354, False), (421, True), (450, True), (554, True)])
def test_only_a_refusal_blames_the_group(code: int, expected: bool) -> None:
    assert blames_the_group(Reply(code, "improper command pipelining")) is expected
    assert not blames_the_group(Reply(code, "no"))
