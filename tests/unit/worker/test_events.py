"""What Flower is told of a mail: its outcome, and no address."""

from __future__ import annotations

from typing import Any

import pytest

from mailworker.outcome import Deferred, Failed, Held, Returned, Sent
from mailworker.worker.events import _end, deferral


@pytest.mark.parametrize(
    ("outcome", "kind", "exception"),
    [
        (Sent(), "task-succeeded", None),
        (Failed("recipient_refused", "550 <a@b.c>"), "task-failed", "MailFailed('recipient_refused')"),
        (Held("in_doubt", "a@b.c"), "task-failed", "MailFailed('in_doubt')"),
        (Deferred(60.4, 450, "RCPT", "450 a@b.c"), "task-retried", "MailDeferred('450 at RCPT; next attempt in 60 s')"),
        (Returned(), "task-retried", "MailDeferred('waits for the relay')"),
    ],
)
def test_the_end_of_a_mail_is_one_of_three(outcome: Any, kind: str, exception: str | None) -> None:
    event, fields = _end(outcome, 0.5)
    assert (event, fields.get("exception")) == (kind, exception)


def test_a_mail_whose_reply_was_lost_says_so() -> None:
    outcome = Deferred(10, 0, "message", "no reply after the message was sent", in_doubt=True)
    assert str(deferral(outcome)) == "message: no reply; next attempt in 10 s"
