"""Every payload of the corpus: what Swiftmailer sent leaves as the same mail, what it refused is a dead letter."""

from __future__ import annotations

import base64
import json
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from mailworker.envelope import Envelope
from mailworker.errors import Unsendable
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Limits
from mailworker.mail.entry import from_entry
from mailworker.mail.wire.mime import build

CORPUS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parents[2] / "data" / "corpus.json").read_text("utf-8"))

REASONS = {
    "addr-doubledot": "bad_address",
    "addr-noat": "bad_address",
    "addr-crlf": "bad_address",
    "to-comma-string": "bad_address",
    "to-empty": "no_recipient",  # Swiftmailer sent it to nobody
    "to-missing": "missing_field",
    "body-missing": "missing_field",
    "raw-empty": "empty",
    "raw-garbage": "format",
    "raw-string": "format",
    "raw-object": "php_object",
    "raw-custom": "php_object",
    "raw-truncated": "php_syntax",
    "raw-huge-length": "php_syntax",
    "raw-deep": "too_deep",
    "raw-json-array": "missing_field",
}

# The old system could not send these; producers in other languages push JSON, and relays know SMTPUTF8 today.
ACCEPTED_BY_US = {
    "raw-json": ("someone@qq.com", "A name", "The title content", b"Here is the message itself"),
    "addr-utf8-local": ("用户@example.com", "A", "The title content", b"Here is the message itself"),
}

SENT = sorted(name for name, case in CORPUS.items() if case["swiftmailer"]["sent"] and case["swiftmailer"]["to"])


def envelope_of(name: str) -> Envelope:
    email = from_entry(base64.b64decode(CORPUS[name]["raw_b64"]), Limits())
    return build(email, Mailbox("noreply@example.com", "測試".encode()), "id@example.com", 1_700_000_000_000)


def parsed(data: bytes) -> EmailMessage:
    message = message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def lines_of(text: bytes) -> bytes:
    return re.sub(rb"\r\n|\r", b"\n", text)


def assert_well_formed(data: bytes) -> None:
    assert data.endswith(b"\r\n")
    for line in data.split(b"\r\n"):
        assert b"\r" not in line
        assert b"\n" not in line
        assert len(line) <= 998


def test_every_case_is_either_sent_or_has_a_reason() -> None:
    assert {*SENT, *REASONS, *ACCEPTED_BY_US} == set(CORPUS)


@pytest.mark.parametrize("name", SENT)
def test_what_swiftmailer_sent_leaves_as_the_same_mail(name: str) -> None:
    oracle = CORPUS[name]["swiftmailer"]
    envelope = envelope_of(name)
    assert_well_formed(envelope.data)
    ours, theirs = parsed(envelope.data), parsed(base64.b64decode(oracle["wire_b64"]))
    addresses = [address.addr_spec for address in theirs["to"].addresses]
    assert list(envelope.recipients) == addresses
    assert [address.addr_spec for address in ours["to"].addresses] == addresses
    assert [address.display_name for address in ours["to"].addresses] == [name or "" for name in oracle["to"].values()]
    assert str(ours["subject"] or "") == re.sub(r"[\r\n]+", " ", oracle["subject"])
    body = lines_of(base64.b64decode(oracle["body_b64"]))
    assert lines_of(ours.get_payload(decode=True)) == (body if body.endswith(b"\n") else body + b"\n")
    assert (ours.get_content_type(), ours.get_content_charset()) == ("text/plain", "utf-8")
    assert set(ours.keys()) <= {
        "Subject", "From", "To", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
    }  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED_BY_US)
def test_what_only_we_can_send(name: str) -> None:
    address, display_name, subject, body = ACCEPTED_BY_US[name]
    envelope = envelope_of(name)
    assert envelope.recipients == (address,)
    assert envelope.smtputf8 is not address.isascii()
    message = parsed(envelope.data)
    assert message["to"].addresses[0].display_name == display_name
    assert message["subject"] == subject
    assert message.get_payload(decode=True) == body + b"\r\n"


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
def test_what_swiftmailer_refused_or_sent_to_nobody_is_a_dead_letter(name: str, reason: str) -> None:
    with pytest.raises(Unsendable) as caught:
        envelope_of(name)
    assert caught.value.reason == reason
    assert "example" not in caught.value.detail
