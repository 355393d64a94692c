"""What a mail's transaction begins with, and what the answers to that mean."""

from __future__ import annotations

import pytest

from mailworker.smtp.replies import Reply
from mailworker.smtp.transaction import Answers, Commands

YES, LATER, NO, GO = Reply(250, "ok"), Reply(450, "later"), Reply(550, "no"), Reply(354, "go")
TWO = ["RCPT TO:<b@c.d>", "RCPT TO:<e@f.g>"]


@pytest.mark.parametrize(
    ("reset", "behind", "octets"),
    [
        (False, (), b"MAIL FROM:<>\r\nRCPT TO:<b@c.d>\r\nRCPT TO:<e@f.g>\r\n"),
        (True, ("DATA",), b"RSET\r\nMAIL FROM:<>\r\nRCPT TO:<b@c.d>\r\nRCPT TO:<e@f.g>\r\nDATA\r\n"),
    ],
)
def test_commands_leave_together(reset: bool, behind: tuple[str, ...], octets: bytes) -> None:
    assert Commands(reset, "MAIL FROM:<>", TWO).together(*behind) == octets


@pytest.mark.parametrize(
    ("answers", "accepted", "ready"),
    [
        (Answers(YES, (YES, NO), GO), True, True),
        (Answers(YES, (NO, LATER), GO), False, False),
        (Answers(NO, (YES, YES), GO), False, False),
        (Answers(YES, (YES,), NO), True, False),
        (Answers(YES, (YES,)), True, False),
        (Answers(YES, ()), False, False),
    ],
)
def test_a_mail_goes_on_where_somebody_is_left_to_get_it(answers: Answers, accepted: bool, ready: bool) -> None:
    assert (answers.accepted, answers.ready) == (accepted, ready)


@pytest.mark.parametrize(
    ("answers", "phase", "final"),
    [
        (Answers(NO, ()), "MAIL", NO),
        (Answers(NO, (LATER,), NO), "MAIL", NO),
        (Answers(YES, (NO, LATER)), "RCPT", LATER),
        (Answers(YES, (NO, NO), GO), "RCPT", NO),
        (Answers(YES, (YES, NO), LATER), "DATA", LATER),
    ],
)
def test_a_mail_that_gets_no_further_has_the_verdict_of_what_stopped_it(
    answers: Answers, phase: str, final: Reply
) -> None:
    verdict = answers.refusal()
    assert (verdict.phase, verdict.final) == (phase, final)
    assert verdict.recipients == (() if phase == "MAIL" else answers.recipients)


def test_the_refusals_are_those_to_recipients_and_data() -> None:
    assert Answers(NO, (YES, LATER, NO), GO).refusals() == [LATER, NO]
    assert Answers(YES, (YES,), NO).refusals() == [NO]
