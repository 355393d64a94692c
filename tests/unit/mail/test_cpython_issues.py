"""What Python's own `email` writes wrongly, or wrote: the reasons why nothing that leaves is written by it."""

from __future__ import annotations

import re

import pytest

from mailworker.mail.address import Mailbox, check
from mailworker.mail.email import Email
from mailworker.mail.file import File
from mailworker.mail.wire.mime import build

from .reader import files, read
from .test_mime import AT, SENDER
from .test_multipart import TO


@pytest.mark.parametrize(
    "subject",
    [
        "A 💩 x=?UTF-8?Q?=0D=0A?=Bcc: injected@example.com",  # cpython 121650
        "A 💩\n",
        "A 💩\nBcc: injected@example.com",
        "ä\r\n\r\nBcc: injected@example.com",
    ],
)
def test_no_subject_becomes_a_header_or_ends_the_head(subject: str) -> None:
    message = read(build(Email(TO, subject.encode(), b"text"), SENDER, "id@example.com", AT))
    assert "bcc" not in message
    assert message.get_payload() == "text\r\n"
    assert message["subject"] == subject.replace("\r\n\r\n", " ").replace("\n", " ")


@pytest.mark.parametrize(
    "name",
    [
        "A very long name of somebody at a company with a very long name, and a comma, too, Jr.",  # cpython 80222
        "=?utf-8?q?one=2C_two?= of a company with a very long name that must be folded somewhere",  # cpython 121284
        "ä, " * 40,  # cpython 100884
        "name (a comment (in it))" * 5,
        "a:b;",
    ],
)
def test_a_name_is_no_second_address_however_long_it_is(name: str) -> None:
    everybody = tuple(Mailbox(f"a{number}@example.com", name.encode()) for number in range(5))
    message = read(build(Email(everybody, b"s", b"t", cc=TO, reply_to=everybody), SENDER, "id@example.com", AT))
    for header in ("to", "reply-to"):
        assert [box.addr_spec for box in message[header].addresses] == [box.address for box in everybody]


@pytest.mark.parametrize("address", ["zoë@example.org", "a@münchen.de"])
def test_an_address_is_never_an_encoded_word(address: str) -> None:
    """cpython 122476 and 83938."""
    box = Mailbox(check(address), "Zoë".encode())
    envelope = build(Email((box,), b"s", b"t"), SENDER, "id@example.com", AT)
    assert f"<{box.address}>\r\n".encode() in envelope.data
    assert read(envelope)["to"].addresses[0].display_name == "Zoë"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("References", b"<" + b"x" * 120 + b"@example.com> <b@example.com>"),
        ("In-Reply-To", b"<" + b"x" * 120 + b"@example.com>"),  # cpython 79986, 100991
        ("List-Help", b"<https://example.com/" + b"x" * 120 + b">"),
    ],
)
def test_an_id_or_a_url_is_never_encoded(name: str, value: bytes) -> None:
    email = Email(TO, b"s", b"t", headers=((name, value),), list_unsubscribe=("https://example.com/" + "x" * 120,))
    data = build(email, SENDER, "y" * 200 + "@example.com", AT).data.replace(b"\r\n ", b" ")
    assert b"\r\n%b: %b\r\n" % (name.encode(), value) in data
    assert b"\r\nList-Unsubscribe: <https://example.com/" + b"x" * 120 + b">\r\n" in data
    assert b"\r\nMessage-ID: <" + b"y" * 200 + b"@example.com>\r\n" in data


def test_a_line_that_looks_like_a_boundary_is_text() -> None:
    body = b"--=_0_\r\n--\r\n--=_0_" + b"0" * 24 + b"--\r\n"
    email = Email(TO, b"s", body, html=b"<p>", attachments=(File("a", "a/b", b"x"),))
    message = read(build(email, SENDER, "id@example.com", AT))
    assert [file.content for file in files(message)] == [b"x"]
    assert re.sub(b"\n", b"", body) in re.sub(
        b"\n", b"", b"".join(p.get_payload(decode=True) or b"" for p in message.walk())
    )
