"""What the demo's inbox shows of a mail, and that no mail can do more than be text there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mailworker.demo import demo, page
from mailworker.demo.inbox import Mail
from mailworker.demo.web import Pages


def mail(raw: bytes, number: int = 1, recipient: str = "ada@example.com") -> Mail:
    return Mail(number, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "site@example.com", (recipient,), raw)


class Box:
    def __init__(self, *mails: Mail) -> None:
        self._mails = list(mails)

    def mails(self) -> list[Mail]:
        return self._mails


def test_subject_and_body_are_decoded() -> None:
    raw = (
        b"Subject: =?utf-8?q?caf=C3=A9?=\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nzpXOu867zqzOtM6x\r\n"
    )

    assert mail(raw).subject == "café"
    assert mail(raw).body == "Ελλάδα"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"\r\nno header at all", "no header at all"),
        (b"", ""),
        (b"Content-Type: text/plain; charset=no-such\r\n\r\ncaf\xc3\xa9", "café"),
        (b"Content-Type: text/plain; charset=\x00\r\n\r\nx", "x"),
        (b"Content-Type: text/plain; charset=us-ascii\r\n\r\ncaf\xc3\xa9", "caf��"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno part", ""),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n--b\r\n\r\nsecond\r\n--b--", "first"),
    ],
)  # fmt: skip
def test_a_body_that_is_not_what_it_says_is_shown_all_the_same(raw: bytes, body: str) -> None:
    assert mail(raw).body == body
    assert page.one_mail(mail(raw))


@pytest.mark.parametrize(
    "header",
    [b"To: \xff\xfe", b"To: (", b"From: @", b"To: =?utf-8?b?\xff?=", b"Message-ID: <[", b"Subject: =?x?q?=00?="],
)
def test_a_header_that_is_none_is_shown_all_the_same(header: bytes) -> None:
    assert page.one_mail(mail(header + b"\r\n\r\nbody"))
    assert page.mail_list([mail(header + b"\r\n\r\nbody")])


def test_nothing_in_a_mail_is_ever_html() -> None:
    evil = "<script>alert(1)</script>\"'&"
    hostile = mail(
        "".join(f"{name}: {evil}\r\n" for name in ("Subject", "From", "To", "Message-ID", "X-Other")).encode()
        + f"Content-Type: text/html\r\n\r\n{evil}<img src=x>".encode(),
        recipient=evil,
    )

    for text in (page.mail_list([hostile]), page.one_mail(hostile)):
        assert "<script" not in text
        assert "<img" not in text
        assert "&lt;script&gt;" in text


def test_the_list_shows_the_newest_first_and_each_mail_has_a_page() -> None:
    pages = Pages(Box(mail(b"Subject: older\r\n\r\n", 1), mail(b"Subject: newer\r\n\r\n", 2)))  # type: ignore[arg-type]

    status, text = pages.get("/")

    assert status == 200
    assert "2 mails" in text
    assert text.index("newer") < text.index("older")
    assert "older" in pages.get("/mails/1")[1]
    assert pages.get("/mails/3")[0] == 404
    assert pages.get("/mails/1/../../etc/passwd")[0] == 404


def test_the_demos_entry_is_what_php_writes() -> None:
    text = "Hello Ada,\n\nan entry of the legacy list is a mail like any other: café, naïve, Ελλάδα.\n"

    assert (
        demo.legacy_entry()
        == (
            'a:3:{s:2:"to";a:1:{s:15:"ada@example.com";s:12:"Ada Lovelace";}s:4:"body";s:95:"' + text + '";'
            's:7:"subject";s:34:"Pushed by PHP onto the legacy list";}'
        ).encode()
    )
