"""A finished message leaves as it is, or is refused at the call: all readers of what is sent see the same."""

from __future__ import annotations

import contextlib
import email.policy
import time
from email.message import EmailMessage
from email.mime.text import MIMEText
from itertools import repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworker.envelope import Dsn
from mailworker.errors import Unsendable
from mailworker.mail import senders
from mailworker.mail.address import Mailbox
from mailworker.mail.author import Author
from mailworker.mail.email import Limits, RawMail
from mailworker.mail.finished import raw
from mailworker.mail.finished.raw_arguments import raw_mail
from mailworker.mail.frame import from_frame, to_frame
from tests.dkim_peers import dkimpy, records, signatures, signers

AUTHOR = Author(Mailbox("site@example.com"))
HEAD = b"From: Ada <ada@example.com>\r\nTo: bob@example.com\r\nSubject: hello\r\n"
REST = b"\r\nHello.\r\n"


def read(message: Any, sender: Any = None, recipients: Any = None, dsn: Any = None) -> RawMail:
    return raw_mail(message, sender, recipients, dsn, Limits())


def kept(message: Any) -> bytes:
    return read(message).message


def refusal(message: Any, **arguments: Any) -> str:
    with pytest.raises(Unsendable) as caught:
        read(message, **arguments)
    assert str(caught.value).startswith(("message: ", "recipients", "sender: "))
    return str(caught.value)


def built(mail: RawMail) -> bytes:
    return raw.build(mail, AUTHOR, "id@example.com", 1_700_000_000_000).data


def test_a_message_with_all_it_needs_leaves_octet_for_octet() -> None:
    message = HEAD + b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nmessage-id:\r\n <x@example.com>\r\n" + REST
    assert built(read(message)) == message
    assert raw.message_id_of(message) == "x@example.com"


def test_a_message_id_and_a_date_are_added_where_they_are_missing_the_same_each_time() -> None:
    mail = read(HEAD + b"\r\nDate: in the body\r\nMessage-ID: <too>\r\n")
    assert built(mail) == built(mail)
    assert built(mail) == (b"Message-ID: <id@example.com>\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n" + mail.message)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (HEAD.replace(b"\r\n", b"\n") + b"\na\nb", HEAD + b"\r\na\r\nb\r\n"),
        (HEAD + b"\r\na\rb\nc\r\n", HEAD + b"\r\na\r\nb\r\nc\r\n"),
        (HEAD + b"\r\n.\r\n..\r\n", HEAD + b"\r\n.\r\n..\r\n"),
        (b"From ada Mon Jan  1 00:00:00 2024\n" + HEAD.replace(b"\r\n", b"\n") + b"\nx\n", HEAD + b"\r\nx\r\n"),
        (HEAD, HEAD + b"\r\n"),
        (HEAD.rstrip(), HEAD + b"\r\n"),
        (b"Return-Path: <bounce@example.com>\r\n" + HEAD + REST, HEAD + REST),
        (HEAD + b"Bcc: s@b.c,\r\n m@b.c\r\nresent-bcc: x\r\nX-A: b\r\n" + REST, HEAD + b"X-A: b\r\n" + REST),
        (HEAD + b"X-A: b\r\n \t\r\n c\r\n" + REST, HEAD + b"X-A: b\r\n c\r\n" + REST),
        (HEAD + b"\r\nBcc: of the body\r\n", HEAD + b"\r\nBcc: of the body\r\n"),
        (HEAD + b"\r\n" + b"x" * 998 + b"\r\n", HEAD + b"\r\n" + b"x" * 998 + b"\r\n"),
        (HEAD + "\r\nhällo\r\n".encode("latin-1"), HEAD + "\r\nhällo\r\n".encode("latin-1")),
    ],
)  # fmt: skip
def test_what_all_read_alike_is_repaired(message: bytes, expected: bytes) -> None:
    assert read(message, recipients=["bob@example.com"], sender="ada@example.com").message == expected


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b"", "is empty"),
        (b" \r\n\r\n", "is empty"),
        (b"\r\n" + HEAD + REST, "begins with an empty line"),
        (b"hello\r\n", "not `Name: value`"),
        (b"\xef\xbb\xbf" + HEAD + REST, "not `Name: value`"),
        (b" x" + HEAD + REST, "begins with a blank"),
        (HEAD + b"X A: b\r\n" + REST, "not `Name: value`"),
        (HEAD + b"X-A : b\r\n" + REST, "not `Name: value`"),
        (HEAD + b": b\r\n" + REST, "not `Name: value`"),
        (HEAD + "Ü: b\r\n".encode() + REST, "not `Name: value`"),
        (HEAD + b"X-A: b\rBcc: c@example.com\r\n" + REST, "a CR without a LF"),
        (HEAD + b"X-A: b\nBcc: c@example.com\r\n" + REST, "some lines with CRLF and some with a LF"),
        (HEAD.replace(b"\r\n", b"\n") + b"X-A: b\r\n\n" + REST, "some lines with CRLF"),
        (HEAD + b"X-A: b\0c\r\n" + REST, r"control character U\+0000"),
        (HEAD + b"X-A: b\x0bc\r\n" + REST, r"control character U\+000B"),
        (HEAD + "X-A: b\u2028c\r\n".encode() + REST, r"control character U\+2028"),
        (HEAD + "X-A: b\x85c\r\n".encode() + REST, r"control character U\+0085"),
        (HEAD + b"X-A: \xe4\r\n" + REST, "neither ASCII nor UTF-8"),
        (HEAD + b"X-A: " + b"x" * 994 + b"\r\n" + REST, "a line of more than 998"),
        (HEAD + b"from: eve@example.com\r\n" + REST, "2 headers are called From"),
        (HEAD + b"TO: eve@example.com\r\n" + REST, "2 headers are called To"),
        (HEAD + b"Content-Type: a/b\r\nContent-Type: c/d\r\n" + REST, "2 headers are called Content-Type"),
        (b"To: bob@example.com\r\n" + REST, "has no From"),
        (b"From: \r\nTo: bob@example.com\r\n" + REST, "has no From"),
        (HEAD + b"\r\na\0b\r\n", "holds a NUL"),
        (HEAD + b"\r\n" + b"x" * 999 + b"\r\n", "a line of more than 998"),
        (HEAD + b"Content-Transfer-Encoding: BINARY\r\n\r\nx", "`binary`"),
        (HEAD + b"\r\n--b\nContent-Transfer-Encoding: binary\n\n\xff\xfe\n", "`binary`"),
    ],
)  # fmt: skip
def test_what_some_read_otherwise_is_refused_with_the_place(message: bytes, problem: str) -> None:
    import re

    assert re.search(problem, refusal(message, recipients=["bob@example.com"], sender=""))


def test_a_message_above_the_limit_is_refused() -> None:
    with pytest.raises(Unsendable, match="message: 120 octets, more than the limit of 100"):
        raw_mail(HEAD + b"\r\n" + b"x" * (118 - len(HEAD)), None, None, None, Limits(mail=100))


@given(st.binary(max_size=60))
def test_no_octets_in_a_header_become_another_one(octets: bytes) -> None:
    try:
        message = kept(HEAD + b"X-A: b" + octets.replace(b"\r\n", b"").replace(b"\n", b"") + b"\r\n" + REST)
    except Unsendable:
        return
    parsed = email.message_from_bytes(message, policy=email.policy.compat32)
    assert parsed.keys() == ["From", "To", "Subject", "X-A"]
    assert parsed.get_payload() == "Hello.\r\n"


@given(st.binary(max_size=200))
def test_any_octets_are_refused_or_kept_so_that_keeping_them_again_changes_nothing(octets: bytes) -> None:
    try:
        once = read(octets, "", ["a@example.com"]).message
    except Unsendable:
        return
    assert read(once, "", ["a@example.com"]).message == once
    assert b"\n" not in once.replace(b"\r\n", b"")
    assert b"\r" not in once.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("headers", "sender", "recipients"),
    [
        (b"From: A <a@example.com>\r\nTo: b@example.com\r\n", "a@example.com", ("b@example.com",)),
        (b"From: a@x.com, b@x.com\r\nSender: S <s@x.com>\r\nTo: c@x.com\r\n", "s@x.com", ("c@x.com",)),
        (b'From: a@x.com\r\nTo: "b, c" <b@x.com>,\r\n d@x.com\r\nCc: e@x.com\r\nBcc: f@x.com, b@x.com\r\n',
         "a@x.com", ("b@x.com", "d@x.com", "e@x.com", "f@x.com")),
        (b"From: a@x.com\r\nTo: undisclosed-recipients:;\r\nBcc: b@x.com\r\n", "a@x.com", ("b@x.com",)),
        (b"From: a@x.com\r\nTo: Group: b@x.com, c@x.com;\r\n", "a@x.com", ("b@x.com", "c@x.com")),
        (b"From: a@x.com\r\nTo: =?utf-8?q?b=2C_c=40d?= <e@x.com>\r\n", "a@x.com", ("e@x.com",)),
        ("From: a@x.com\r\nTo: Zoë <zoë@münchen.de>\r\n".encode(), "a@x.com", ("zoë@xn--mnchen-3ya.de",)),
        (b"From: root\r\nTo: postmaster\r\n", "root", ("postmaster",)),
        # Of CPython's test_smtplib: testSendMessageWithAddresses, testSendMessageWithMultipleFrom.
        (b'From: foo@bar.com\r\nTo: John\r\nCC: Sally, Fred\r\n'
         b'Bcc: John Root <root@localhost>, "Dinsdale" <warped@silly.walks.com>\r\n',
         "foo@bar.com", ("John", "Sally", "Fred", "root@localhost", "warped@silly.walks.com")),
        (b"From: Bernard, Bianca\r\nSender: the_rescuers@Rescue-Aid-Society.com\r\nTo: John, Dinsdale\r\n",
         "the_rescuers@Rescue-Aid-Society.com", ("John", "Dinsdale")),
    ],
)  # fmt: skip
def test_the_envelope_is_in_the_headers_where_it_is_not_passed(
    headers: bytes, sender: str, recipients: tuple[str, ...]
) -> None:
    mail = read(headers + REST)
    assert (mail.return_path, mail.recipients) == (sender, recipients)
    assert b"bcc" not in mail.message.lower()


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        (b"From: a@x.com\r\nSubject: x\r\n", "recipients: no recipient"),
        (b"From: a@x.com, b@x.com\r\nTo: c@x.com\r\n", "2 addresses in its From, and no Sender: pass sender="),
        (b"From: a@x.com\r\nTo: b@x.com\r\nResent-To: c@x.com\r\n", "was sent again"),
        (b"From: a@x.com\r\nTo: <b@x.com> c@x.com\r\n", "its To cannot be read"),
        (b"From: a@x.com\r\nTo: alice@example.com <bob@evil.com\r\n", "its To cannot be read"),
        (b"From: a@x.com\r\nTo: a b@x.com\r\n", "its To cannot be read"),
    ],
)
def test_who_is_meant_is_never_guessed(headers: bytes, problem: str) -> None:
    """CVE-2023-27043: Python's parser made of a malformed address another one than was meant."""
    assert problem in refusal(headers + REST)


def test_an_envelope_that_is_passed_counts_alone() -> None:
    mail = read(HEAD + b"Resent-To: x@example.com\r\n" + REST, "", ["Bob <b@münchen.de>", "b@münchen.de", "django"])
    assert mail.return_path == ""
    assert mail.recipients == ("b@xn--mnchen-3ya.de", "django")
    assert read(HEAD + REST, "Ada <ada@example.org>", "c@example.com").recipients == ("c@example.com",)
    assert read(HEAD + REST, "<>").return_path == ""


@pytest.mark.parametrize(
    ("arguments", "error", "problem"),
    [
        ({"recipients": ["a@b.c", "no one"]}, Unsendable, r"recipients\[1\]: an address has no @"),
        ({"recipients": ["a@b.c\r\nRCPT TO:<x@y.z>"]}, Unsendable, r"recipients\[0\]: "),
        ({"recipients": ["a\r\nb"]}, Unsendable, r"recipients\[0\]: "),
        ({"recipients": [b"a@b.c"]}, TypeError, r"recipients\[0\]: expected an address as str, got bytes"),
        ({"recipients": 7}, TypeError, "recipients: expected a list of addresses, got int"),
        ({"recipients": []}, Unsendable, "recipients: no recipient"),
        ({"sender": "no one"}, Unsendable, "sender: an address has no @"),
        ({"sender": "a@b.c> SIZE=1"}, Unsendable, "sender: "),
        ({"sender": 7}, TypeError, "sender: expected an address as str"),
        ({"dsn": 7}, TypeError, "dsn: expected"),
    ],
)
def test_an_envelope_that_is_wrong_says_where(arguments: Any, error: type[Exception], problem: str) -> None:
    with pytest.raises(error, match=problem):
        read(HEAD + REST, **arguments)


@pytest.mark.parametrize(
    ("headers", "sender", "problem"),
    [
        (b"From: A <a@x.com>\r\n", "b@x.com", ""),
        (b"From: a@x.com\r\nReply-To: eve@y.com\r\n", "", ""),
        (b"From: eve@y.com\r\n", "a@x.com", "message: From: neither the address"),
        (b"From: a@x.com, eve@y.com\r\n", "a@x.com", "message: From: neither the address"),
        (b"From: a@x.com\r\nSender: eve@y.com\r\n", "a@x.com", "message: Sender: neither the address"),
        (b"From: a@x.com\r\n", "eve@y.com", "sender: neither the address"),
        (b"From: root\r\n", "", "message: From: neither the address"),
        (b"From: undisclosed:;\r\n", "", "message: its From has no address"),
        (b"From: <a@x.com> eve@y.com\r\n", "", "message: its From cannot be read without guessing"),
    ],
)
def test_where_a_site_says_as_whom_mail_is_sent_a_finished_message_obeys(
    headers: bytes, sender: str, problem: str
) -> None:
    limits = Limits(senders=senders.read(["x.com"], "site@example.com"))
    with pytest.raises(Unsendable, match=f"^{problem}") if problem else contextlib.nullcontext():
        raw_mail(headers + REST, sender, ["b@example.com"], None, limits)


@pytest.mark.parametrize(
    "value", [b"<", b"(c):", b"_@[", b'a"', b".b:;", b"\r\n ".join([b"(" * 900] * 8)], ids=lambda value: str(value[:9])
)
def test_an_address_at_which_python_s_parser_stumbles_is_refused_as_any_other(value: bytes) -> None:
    """cpython 148518 and 151857; and RecursionError, of many brackets."""
    assert "its To cannot be read without guessing: pass recipients=" in refusal(
        b"From: a@example.com\r\nTo: " + value + b"\r\n" + REST
    )


def test_a_long_message_takes_no_longer_than_its_length() -> None:
    begun = time.monotonic()
    folded = b"From: a@example.com\nTo: b@example.com\nX: " + b"y" * 70 + b"\n y" * 500_000 + b"\n\nx"
    assert read(folded).recipients == ("b@example.com",)
    with pytest.raises(Unsendable, match="its To cannot be read without guessing: pass recipients="):
        read(b"From: a@example.com\nTo: b@example.com" + b",\n a@b.c" * 20_000 + b"\n\nx")
    with pytest.raises(Unsendable, match=r"^recipients: more than 65536 addresses"):
        read(b"From: a@example.com\n\nx", recipients=repeat("a@example.com"))
    assert time.monotonic() - begun < 5


def test_a_message_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match=r"message: expected bytes, str or an .*EmailMessage, got dict"):
        read({})
    with pytest.raises(Unsendable, match="message: holds a lone surrogate"):
        read("From: a@b.c\n\n\ud800")


def test_python_s_messages_are_taken_as_they_are() -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Bcc"] = "Ada <ada@example.com>", "bob@example.com", "eve@example.com"
    message["Subject"] = "Grüße"
    message.set_content("hällo\nFrom here\n")
    message.add_alternative("<p>hällo", subtype="html")
    mail = read(message)
    assert mail.recipients == ("bob@example.com", "eve@example.com")
    parsed = email.message_from_bytes(mail.message, policy=email.policy.default)
    assert parsed["subject"] == "Grüße"
    assert "Bcc" not in parsed
    assert parsed.get_body(("plain",)).get_content() == "hällo\r\nFrom here\r\n"  # type: ignore[union-attr]
    old = MIMEText("From here\n")
    old["From"], old["To"] = "ada@example.com", "bob@example.com"
    assert read(old).message.endswith(b"\r\n\r\nFrom here\r\n")
    assert read(old.as_string()).recipients == ("bob@example.com",)


@pytest.mark.parametrize("subject", ["A 💩 x=?UTF-8?Q?=0D=0A?=Bcc: injected@example.com", "A 💩\n"])
def test_a_header_that_python_s_writer_makes_of_a_subject_is_refused(subject: str) -> None:
    """cpython 121650: where it is not mended, such a subject becomes a header, or the end of them."""
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"], message["To"] = "ada@example.com", "bob@example.com"
    try:
        message["Subject"] = subject
    except ValueError:
        return  # a later Python
    message.set_content("x")
    try:
        mail = read(message)
    except Unsendable:
        return
    assert "Bcc" not in email.message_from_bytes(mail.message)
    assert mail.recipients == ("bob@example.com",)


def test_addresses_and_headers_outside_ascii_want_smtputf8() -> None:
    assert not raw.build(read(HEAD + "\r\nhällo\r\n".encode()), AUTHOR, "i@x", 0).smtputf8
    assert raw.build(read(HEAD + "X-A: ä\r\n\r\nx\r\n".encode()), AUTHOR, "i@x", 0).smtputf8
    assert raw.build(read(HEAD + REST, recipients=["zoë@example.com"]), AUTHOR, "i@x", 0).smtputf8


def test_the_spool_keeps_it_as_it_is() -> None:
    mail = read(HEAD + b"\r\n\xff\xfe\r\n", "", ["zoë@example.com"], {"notify": "NEVER"})
    assert mail.dsn == Dsn(("NEVER",), "")
    assert from_frame(to_frame(mail)) == mail


def test_it_is_signed_over_its_exact_octets_where_a_key_fits_its_from() -> None:
    these = signers("example.com")
    author = Author(Mailbox("site@example.org"), these)
    mail = read(HEAD + "X-A: b\r\n\r\nhällo  \r\n\r\n\r\n".encode())
    data = author.signed(raw.build(mail, author, "id@example.org", 0), 0).data
    assert dkimpy(data, records(these)) == [True, True]
    assert data.endswith(mail.message)
    other = raw.build(read(HEAD.replace(b"ada@example.com", b"ada@example.net") + REST), author, "id@example.org", 0)
    assert signatures(author.signed(other, 0).data) == []
