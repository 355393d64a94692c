"""A mail should be shown so that a person sees whom it is for, what it says and what goes with it."""

from __future__ import annotations

from mailworker.delivery.readable import SHOWN, lines
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email, RawMail
from mailworker.mail.file import File

ANNA, BEN = Mailbox("anna@example.com", "Anna Ä".encode()), Mailbox("ben@example.com")
LARGE = "a" * 64


def test_a_mail_with_everything() -> None:
    email = Email(
        (ANNA, BEN), "Grüße".encode(), b"first\nsecond", html=b"<p>", cc=(BEN,), bcc=(ANNA,), reply_to=(BEN,),
        sender=ANNA, return_path="", headers=(("X-Tag", b"one"),), list_unsubscribe=("https://example.com/u",),
        attachments=(File("a.pdf", "application/pdf", None, LARGE), File("b.pdf", "application/pdf", None, "b" * 64)),
        inline=(File("l.png", "image/png", b"12345", cid="logo"),),
    )  # fmt: skip
    assert list(lines(email, {LARGE: b"%" * 9000})) == [
        ("sender", "Anna Ä <anna@example.com>"),
        ("to", "Anna Ä <anna@example.com>"),
        ("to", "ben@example.com"),
        ("cc", "ben@example.com"),
        ("bcc", "Anna Ä <anna@example.com>"),
        ("reply_to", "ben@example.com"),
        ("return_path", "<>"),
        ("subject", "Grüße"),
        ("header", "X-Tag: one"),
        ("unsubscribe", "https://example.com/u"),
        ("body", "first"),
        ("", "second"),
        ("html", "<p>"),
        ("inline", "l.png  image/png  5 octets  cid:logo"),
        ("attachment", "a.pdf  application/pdf  9000 octets"),
        ("attachment", "b.pdf  application/pdf  gone from Redis"),
    ]


def test_octets_that_are_no_text_and_a_text_without_end_are_shown_too() -> None:
    shown = list(lines(Email((BEN,), b"\xff", b"x" * (SHOWN + 1)), {}))
    assert shown[1:] == [("subject", "\\xff"), ("body", "x" * SHOWN), ("", f"… {SHOWN + 1} octets in all")]
    assert ("body", "") in list(lines(Email((BEN,), b"s", b""), {}))


def test_a_finished_message_is_shown_with_its_envelope() -> None:
    mail = RawMail(("anna@example.com",), "", b"Subject: s\r\n\r\nbody\r\n")
    assert list(lines(mail, {})) == [
        ("MAIL FROM", "<>"), ("RCPT TO", "<anna@example.com>"), ("message", "Subject: s"), ("", ""), ("", "body"),
    ]  # fmt: skip
