"""No Redis, no relay: `pytest examples/flask`."""

from __future__ import annotations

from app import app

from mailworker.testing import Message


def test_an_order_is_confirmed_once(mailworker_outbox: list[Message]) -> None:
    client = app.test_client()
    for _ in range(2):  # the browser repeats it
        assert client.post("/orders", data={"address": "Ada <ada@example.com>", "number": "7"}).status_code == 202
    [mail] = mailworker_outbox
    assert mail.recipients == ("ada@example.com",)
    assert mail.message["subject"] == "Your order 7"
    assert "<b>7</b>" in mail.message.get_body(("html",)).get_content()
    assert [part.get_filename() for part in mail.message.iter_attachments()] == ["order-7.txt"]


def test_a_wrong_address_is_told(mailworker_outbox: list[Message]) -> None:
    answer = app.test_client().post("/orders", data={"address": "ada"})
    assert (answer.status_code, answer.json) == (400, {"error": "to: an address has no @"})
    assert mailworker_outbox == []
