"""What Flower is told of a mail: its outcome, and no address."""

from __future__ import annotations

from typing import Any

import pytest
from kombu.exceptions import OperationalError

from mailworker.delivery.attempt import Attempt
from mailworker.outcome import Deferred, Failed, Held, Returned, Sent
from mailworker.worker.events import _end, dead_letters, deferral, summary, tell


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


ATTEMPTS = [
    Attempt("a", "default", Sent(), 250, "message", 0.1),
    Attempt("b", "default", Failed("format", "?")),
    Attempt("c", "default", Held("in_doubt", "?")),
    Attempt("d", "default", Sent(), 250, "message", 0.1),
    Attempt("e", "default", Returned()),
]


def test_of_a_batch_the_dead_letters_are_told_and_the_rest_is_a_summary() -> None:
    assert [attempt.id for attempt in dead_letters(ATTEMPTS)] == ["b", "c"]
    assert summary(ATTEMPTS) == {"sent": 2, "failed": 1, "held": 1, "returned": 1}


class Listening:
    """An app whose dispatcher keeps what it is to send, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.sent: list[tuple[str, str]] = []
        self.conf = self.events = self
        self.worker_send_task_events = True

    def default_dispatcher(self, **_: Any) -> Any:
        return self

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        """Nothing is open."""

    def send(self, kind: str, uuid: str, **_: Any) -> None:
        if self.error:
            raise self.error
        self.sent.append((kind, uuid))


def test_each_mail_is_received_begun_and_ended() -> None:
    app = Listening()
    tell(app, "w@host", ATTEMPTS[:2], 0.5)
    assert app.sent == [
        ("task-received", "a"), ("task-started", "a"), ("task-succeeded", "a"),
        ("task-received", "b"), ("task-started", "b"), ("task-failed", "b"),
    ]  # fmt: skip


@pytest.mark.parametrize("error", [OperationalError(), OSError(), KeyError("of a@b.c")])
def test_an_event_that_cannot_be_sent_fails_no_task(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tell(Listening(error), "w@host", ATTEMPTS, 0.5)
    assert len(caplog.records) == 1
    assert "a@b.c" not in caplog.text
