"""Headers of the caller's own arrive as they were meant, and nothing of a mail becomes a header that nobody meant."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailworker.errors import Unsendable
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.file import File
from mailworker.mail.wire.mime import build

from .reader import heads, read
from .test_mime import AT, PLAIN_TEXTS, SENDER, is_utf8, octets_of, one_line
from .test_multipart import TO


def built(*own: tuple[str, bytes], **more: object) -> bytes:
    return build(Email(TO, b"s", b"t", headers=own, **more), SENDER, "id@example.com", AT).data  # type: ignore[arg-type]


def line_of(name: str, data: bytes) -> bytes:
    """The header's lines as they are."""
    match = re.search(rb"^%b: .*?\r\n(?! )" % re.escape(name.encode()), data, re.DOTALL | re.MULTILINE)
    assert match
    return match[0]


IDS = b" ".join(b"<%020d.%d@mail.example.com>" % (number, number) for number in range(40))
URL = b"https://example.com/u?" + b"a" * 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("In-Reply-To", b"<" + b"x" * 200 + b"@example.com>"),
        ("References", IDS),
        ("List-Id", b"News of the day <news.example.com>"),
        ("List-Help", b"<" + URL + b">, <mailto:help@example.com>"),
        ("List-Archive", b"<" + URL + b">"),
        ("Auto-Submitted", b"auto-generated"),
        ("Feedback-ID", b"campaign:customer:mail:sender"),
        ("X-Entity-Ref-ID", b"0" * 120),
        ("Precedence", b"bulk"),
        ("X-Priority", b"1 (Highest)"),
        ("X-SES-MESSAGE-TAGS", b"a=b, c=d"),
        ("X-SMTPAPI", b'{"category": "' + b"x" * 300 + b'"}'),
    ],
)
def test_a_header_that_programs_read_is_never_encoded_and_is_folded_at_blanks(name: str, value: bytes) -> None:
    """`List-Unsubscribe` in encoded words is what kills one click in Python's own library."""
    line = line_of(name, built((name, value)))
    assert line.replace(b"\r\n ", b" ") == b"%b: %b\r\n" % (name.encode(), value)
    assert max(map(len, line.split(b"\r\n"))) <= 998


def test_ids_stand_on_lines_of_a_readable_length() -> None:
    assert max(map(len, line_of("References", built(("References", IDS))).split(b"\r\n"))) <= 78


@given(PLAIN_TEXTS.filter(lambda text: text.strip() and not re.search(rb"[\x00-\x08\n-\x1f\x7f]", text)))
def test_any_other_header_arrives_as_it_was(value: bytes) -> None:
    data = built(("X-Own", value))
    if is_utf8(value):
        email = Email(TO, b"s", b"t", headers=(("X-Own", value),))
        assert str(read(build(email, SENDER, "id@b.c", AT))["X-Own"]).encode() == one_line(value)
    else:
        assert octets_of(line_of("X-Own", data).decode()[7:].rstrip("\r\n").replace("\r\n", "")) == one_line(value)


def test_a_header_may_stand_there_several_times_in_its_order() -> None:
    message = read(
        build(Email(TO, b"s", b"t", headers=(("X-A", b"1"), ("X-B", b"2"), ("X-A", b"3"))), SENDER, "i@b.c", AT)
    )
    assert message.get_all("X-A") == ["1", "3"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Subject", b"x"), ("subject", b"x"), ("From", b"x@y.z"), ("Sender", b"x@y.z"), ("To", b"x@y.z"),
        ("Cc", b"x@y.z"), ("Bcc", b"x@y.z"), ("bcc", b"x@y.z"), ("Reply-To", b"x@y.z"), ("Date", b"x"),
        ("Message-ID", b"<a@b>"), ("MIME-Version", b"1.0"), ("Content-Type", b"text/html"), ("content-foo", b"x"),
        ("Content-Transfer-Encoding", b"8bit"), ("Return-Path", b"<>"), ("Received", b"x"), ("Resent-To", b"x@y.z"),
        ("DKIM-Signature", b"v=1"), ("List-Unsubscribe", b"<https://x.y/>"),
        ("X-A: x\r\nBcc", b"x@y.z"), ("X A", b"x"), ("X-A:", b"x"), ("", b"x"), ("X-Ü", b"x"), ("X-A\r\n", b"x"),
        ("X-A\0", b"x"), ("\ud800", b"x"), ("X" * 77, b"x"), ("X-A\n", b"x"),
        ("X-A", b"x\r\nBcc: x@y.z"), ("X-A", b"x\nBcc: x@y.z"), ("X-A", b"x\r Bcc: x@y.z"), ("X-A", b"\0"),
        ("X-A", b""),
        ("References", "<ü@b>".encode()), ("References", b"x" * 999), ("List-Id", b"a\r\n b"),
        ("Auto-Submitted", b"=?utf-8?q?a=0d=0aBcc:_x@y?="), ("Delivered-To", b"x@y.z"),
    ],
)  # fmt: skip
def test_a_header_that_is_not_the_callers_is_never_written(name: str, value: bytes) -> None:
    """The call refuses it; and should something come past that, it is a dead letter and no mail."""
    with pytest.raises(Unsendable) as caught:
        built((name, value))
    assert caught.value.reason == "unbuildable"


@pytest.mark.parametrize("name", ["References", "In-Reply-To", "Auto-Submitted", "List-Id", "Precedence"])
def test_a_header_of_which_a_mail_has_one_is_refused_a_second_time(name: str) -> None:
    """Gmail answers 550 5.7.1 to a mail with two (RFC 5322, 3.6)."""
    with pytest.raises(Unsendable, match="once"):
        built((name, b"<a@b>"), (name, b"<c@d>"))


# List-Unsubscribe


@pytest.mark.parametrize(
    ("links", "one_click"),
    [
        (("https://example.com/u?" + "a" * 300,), True),
        (("mailto:u@example.com?subject=off", "https://example.com/u"), True),
        (("HTTPS://example.com/u",), True),
        (("mailto:u@example.com",), False),
    ],
)
def test_a_reader_takes_itself_off_a_list_with_one_click_where_there_is_an_https_link(
    links: tuple[str, ...], one_click: bool
) -> None:
    """RFC 8058, 3.1; RFC 2369, 2: in angles, commas between them."""
    data = built(list_unsubscribe=links)
    line = line_of("List-Unsubscribe", data).replace(b"\r\n ", b" ")
    assert line == b"List-Unsubscribe: %b\r\n" % ", ".join(f"<{link}>" for link in links).encode()
    assert (b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in data) is one_click


def test_no_reader_finds_an_encoded_word_in_a_link() -> None:
    data = built(list_unsubscribe=("https://example.com/?a=?utf-8?q?=0d=0aBcc:_x?=",))
    assert b"<https://example.com/?a=%3Futf-8?q?=0d=0aBcc:_x?=>" in data


@pytest.mark.parametrize("link", ["https://a b", "https://a\r\nBcc: x@y.z", "https://a>", "https://ü", "", "x" * 901])
def test_a_link_that_no_header_may_hold_is_never_written(link: str) -> None:
    with pytest.raises(Unsendable) as caught:
        built(list_unsubscribe=(link,))
    assert caught.value.reason == "unbuildable"


# Whatever anybody wrote, and wherever

EVIL = st.sampled_from(
    ["\r\nBcc: evil@example.com", "\nX-Evil: 1", "\r\n\r\nevil", "\rX-Evil: 1", "\0", "=?utf-8?q?=0d=0aX-Evil:_1?=",
     '"', "\\", ";\r\n x=", "\r\n--=_0_", "\u2028X-Evil: 1", "ü", " ", "<", ">", ",", "a"]
)  # fmt: skip
TEXT = st.lists(EVIL, min_size=1, max_size=5).map("".join)
OCTETS = TEXT.map(str.encode)
EVIL_FILES = st.builds(File, TEXT, TEXT | st.just("text/html"), OCTETS, cid=st.just("") | TEXT)


@settings(max_examples=300)
@given(
    st.builds(
        Email,
        st.just(TO),
        OCTETS,
        OCTETS,
        st.none() | OCTETS,
        cc=st.lists(st.builds(Mailbox, st.just("cc@b.c"), OCTETS), max_size=1).map(tuple),
        reply_to=st.lists(st.builds(Mailbox, st.just("r@b.c"), OCTETS), max_size=1).map(tuple),
        sender=st.none() | st.builds(Mailbox, st.just("own@b.c"), OCTETS),
        headers=st.lists(st.tuples(st.just("X-Own") | TEXT, st.just(b"x") | OCTETS), max_size=1).map(tuple),
        attachments=st.lists(EVIL_FILES, max_size=1).map(tuple),
        inline=st.lists(EVIL_FILES, max_size=1).map(tuple),
        list_unsubscribe=st.lists(TEXT, max_size=1).map(tuple),
    ),
    st.sampled_from(["id@example.com"]) | TEXT.map("{}@example.com".format),
)
def test_nothing_of_any_field_becomes_a_header_of_its_own(email: Email, message_id: str) -> None:
    try:
        envelope = build(email, SENDER, message_id, AT)
    except Unsendable:
        return
    message = read(envelope)
    own = {name.lower() for name, _ in email.headers}
    assert {name.lower() for name in message} <= {*ALLOWED, *own}
    assert len(message.keys()) == len({*message.keys()})
    for head in heads(envelope.data):
        assert not re.search(rb"^(?:X-Evil|Bcc)", head, re.MULTILINE | re.IGNORECASE)


ALLOWED = {
    "subject", "from", "to", "cc", "reply-to", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post",
    "mime-version", "content-type", "content-transfer-encoding",
}  # fmt: skip
