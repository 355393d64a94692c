"""How a relay words its replies tells what they answer."""

from __future__ import annotations

import pytest

from mailworker.errors import OutOfStep
from mailworker.smtp.replies import Reply
from mailworker.smtp.wording import Wording

POSTFIX = {"RSET": "2.0.0 Ok", "MAIL": "2.1.0 Ok", "RCPT": "2.1.5 Ok", "message": "2.0.0 Ok: queued as 4F2A5s"}
EXIM = {"RSET": "Reset OK", "MAIL": "OK", "RCPT": "Accepted", "message": "OK id=1abcde-000abc-XY"}


def yes(text: str) -> Reply:
    return Reply(250, text)


def learnt(words: dict[str, str]) -> Wording:
    wording = Wording()
    for step, text in words.items():
        wording.learn(step, yes(text))
    return wording


@pytest.mark.parametrize("words", [POSTFIX, EXIM], ids=["Postfix", "Exim"])
def test_a_reply_in_the_words_of_another_step_is_out_of_step(words: dict[str, str]) -> None:
    for step in words:
        for other, text in words.items():
            wording = learnt(words)
            assert wording.usual(step, yes(text)) is (step == other)
            if step == other:
                assert wording.check(step, yes(text)) is False
            else:
                with pytest.raises(OutOfStep):
                    wording.check(step, yes(text))


def test_what_changes_from_mail_to_mail_is_left_out() -> None:
    wording = learnt(POSTFIX)
    assert wording.usual("message", yes("2.0.0 Ok: queued as 9BC1D2x"))
    assert not wording.usual("message", yes("2.6.0 Ok: queued as 9BC1D2x"))
    assert not wording.usual("message", Reply(550, POSTFIX["message"]))


def test_new_words_are_new_once() -> None:
    wording = learnt(POSTFIX)
    assert wording.check("message", yes("2.0.0 Thank you")) is True
    assert wording.check("message", yes("2.0.0 Thank you")) is False


def test_the_first_words_to_a_step_are_not_new_whatever_they_are() -> None:
    wording = learnt({"MAIL": "2.1.0 Ok"})
    assert wording.check("message", yes("2.0.0 Ok: queued as 1a2b3c")) is False
    assert wording.check("RSET", yes("2.1.0 Ok")) is False
    assert wording.alike("RSET", "MAIL")
    assert not wording.alike("RSET", "message")


def test_a_refusal_says_nothing_of_the_step() -> None:
    wording = learnt(POSTFIX)
    assert wording.check("MAIL", Reply(550, POSTFIX["RCPT"])) is False
