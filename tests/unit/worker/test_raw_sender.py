"""`send_raw`: a finished message goes the way of every mail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from mailworker import IdempotencyError, Unsendable, send_raw
from mailworker.testing import Message, keeping

MESSAGE = b"From: Ada <ada@example.com>\nTo: bob@example.com\nBcc: eve@example.com\nSubject: hi\n\nHello.\n"


@pytest.fixture
def kept() -> Iterator[list[Message]]:
    with keeping() as kept:
        yield kept


def test_it_is_kept_with_its_own_headers_and_its_envelope(kept: list[Message]) -> None:
    result = send_raw.delay(MESSAGE)
    [mail] = kept
    assert (mail.id, mail.sender) == (result.id, "ada@example.com")
    assert mail.recipients == ("bob@example.com", "eve@example.com")
    assert mail.message["message-id"] == f"<{result.id}@localhost>"
    assert mail.message["from"] == "Ada <ada@example.com>"
    assert b"eve" not in mail.data


def test_called_directly_it_returns_the_message_id(kept: list[Message]) -> None:
    send_raw(MESSAGE, "", ["carol@example.com"])
    assert (kept[0].sender, kept[0].recipients) == ("", ("carol@example.com",))


def test_a_key_is_one_mail_and_another_under_it_an_error(kept: list[Message]) -> None:
    first, second = (send_raw.delay(MESSAGE, idempotency_key="order-7") for _ in range(2))
    assert first.id == second.id
    assert len(kept) == 1
    with pytest.raises(IdempotencyError):
        send_raw.delay(MESSAGE + b"more\n", idempotency_key="order-7")


def test_it_may_wait_and_expire(kept: list[Message]) -> None:
    now = datetime.now(UTC)
    send_raw.delay(MESSAGE, send_at=now + timedelta(hours=1), expires=timedelta(hours=2))
    assert kept[0].send_at is not None
    assert kept[0].expires is not None
    assert abs(kept[0].send_at - now - timedelta(hours=1)) < timedelta(seconds=10)
    assert abs(kept[0].expires - now - timedelta(hours=2)) < timedelta(seconds=10)


def test_what_is_wrong_is_told_at_the_call(kept: list[Message]) -> None:
    with pytest.raises(Unsendable, match="message: has no From"):
        send_raw.delay(b"To: bob@example.com\n\nx")
    with pytest.raises(TypeError, match="send_at: has no time zone"):
        send_raw.delay(MESSAGE, send_at=datetime(2030, 1, 1))  # noqa: DTZ001 - that is what is refused
    with pytest.raises(Unsendable, match="expires: is before the mail may go"):
        send_raw.delay(MESSAGE, send_at=timedelta(hours=2), expires=60)
    with pytest.raises(Unsendable, match="expires: is over already"):
        send_raw.delay(MESSAGE, expires=-1)
    with pytest.raises(TypeError, match="idempotency_key: "):
        send_raw.delay(MESSAGE, idempotency_key=7)  # type: ignore[arg-type]
    assert kept == []
