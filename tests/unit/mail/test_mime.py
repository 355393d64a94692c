"""What is built means what its author meant, and nothing that anybody wrote becomes a header of its own."""

from __future__ import annotations

import re
import time
import tracemalloc
import unicodedata
from dataclasses import replace
from email import message_from_bytes
from email.header import decode_header
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailworker.envelope import Envelope
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.encoding import base64
from mailworker.mail.file import File
from mailworker.mail.wire.mime import build
from tests.unit.mail.reader import check_lines

SENDER = Mailbox("site@example.com", "A sité".encode())
HEADERS = {
    "Subject", "From", "To", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}  # fmt: skip
AT = 1_700_000_000_123


def built(
    subject: bytes = b"s", body: bytes = b"b", name: bytes = b"", address: str = "a@b.c", sender: Mailbox = SENDER
) -> Envelope:
    return build(Email((Mailbox(address, name),), subject, body), sender, "id@example.com", AT)


def parsed(envelope: Envelope) -> EmailMessage:
    """The message as a receiver reads it, after the checks that hold for every mail."""
    data = envelope.data
    check_lines(data)
    message = message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    assert len(message.keys()) == len(set(message.keys()))
    assert set(message.keys()) <= HEADERS
    for value in message.values():
        assert "\r" not in str(value)
        assert "\n" not in str(value)
    return message


def name_of(envelope: Envelope, header: str, address: str) -> bytes:
    """The display name as RFC 2047 wants it read: Python 3.11 keeps the space between two encoded words of a name."""
    [parsed_address] = parsed(envelope)[header].addresses
    raw = message_from_bytes(envelope.data).get_all(header)[0].replace("\r\n", "").replace("\n", "")
    if not raw.startswith("=?") or text_of(parsed_address.addr_spec) != address.encode():
        return text_of(parsed_address.display_name)
    return octets_of(raw.removesuffix(f" <{address}>"))


def octets_of(encoded_words: str) -> bytes:
    pieces = decode_header(encoded_words)
    return b"".join(piece if isinstance(piece, bytes) else piece.encode() for piece, _ in pieces)


def is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def text_of(value: object) -> bytes:
    return str(value).encode("utf-8", "surrogateescape")


def one_line(text: bytes) -> bytes:
    """With a blank for what no header may hold, as `str.isprintable` and `unicodedata` would have it."""
    if not is_utf8(text):
        return re.sub(rb"[\x00-\x08\n-\x1f\x7f]+", b" ", text)
    letters = ["\0" if is_control(letter) else letter for letter in text.decode()]
    return re.sub("\0+", " ", "".join(letters)).encode()


def is_control(letter: str) -> bool:
    return letter != "\t" and unicodedata.category(letter) in {"Cc", "Zl", "Zp"}


def lines_of(text: bytes) -> bytes:
    text = re.sub(rb"\r\n|\r", b"\n", text)
    return text if text.endswith(b"\n") else text + b"\n"


PIECES = [b"word", b" ", b"  ", b"x" * 80, b" " * 90, b"\xff", "ü".encode(), b"."]
TEXTS = (
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.text("ab \"\\,()<>@:;.[]=?\r\n\t\0é😀", max_size=120).map(str.encode)
    | st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
)  # fmt: skip
PLAIN_TEXTS = TEXTS.filter(lambda text: not re.search(rb"=\?.*\?=", one_line(text)))
"""Without what may be an encoded word: those pass undecoded where they are correct, and have tests of their own."""


@given(PLAIN_TEXTS)
@example(b"")
@example(b" ")
@example(b"\r\n")
@example(b"x" * 5000)
@example(b" " * 5000)
@example(b"x" + b" " * 5000 + b"x")
@example(b"\x80" * 1000)
@example("😀".encode() * 1000)
@example(b"a" * 44 + "😀".encode() * 20)
@example(b"Hi\r\nBcc: victim@example.com\r\n\r\ninjected")
@example(b"Hi\nBcc: victim@example.com")
@example(b"Hi\rBcc: victim@example.com")
@example(b"=?")
@example(b"a =? b ?= c")
@example(b"\xed\xa0\x80")
def test_any_subject_arrives_as_it_was_on_one_line(subject: bytes) -> None:
    envelope = built(subject=subject)
    message = parsed(envelope)
    if not subject:
        assert "subject" not in message
    elif is_utf8(subject):
        assert text_of(message["subject"]) == one_line(subject)
    else:  # the library shows a replacement character; what was sent are the octets
        assert octets_of(message_from_bytes(envelope.data)["subject"]) == one_line(subject)


@given(PLAIN_TEXTS)
@example(b"Doe, John")
@example(b"John (work)")
@example(b'He said "hi" \\ bye')
@example(b"a@b.c")
@example(b"<x@y.z>")
@example(b"undisclosed: recipients;")
@example(b" lead and trail ")
@example(b'"')
@example(b"\\")
@example(b"x" * 2000)
@example(b'"' * 70)
@example(b"A\r\nBcc: victim@example.com")
@example(b"\0")
@example(b"\xff\xfe")
def test_any_name_arrives_as_it_was_with_its_address(name: bytes) -> None:
    envelope = built(name=name, sender=Mailbox("site@example.com", name))
    assert name_of(envelope, "to", "a@b.c") == name_of(envelope, "from", "site@example.com") == one_line(name)
    message = parsed(envelope)
    assert message["to"].addresses[0].addr_spec == "a@b.c"
    assert message["from"].addresses[0].addr_spec == "site@example.com"


@given(TEXTS)
@example(b"")
@example(b"\r")
@example(b"\n")
@example(b"x\n.\r\nMAIL FROM:<evil@example.com>\r\n.\r\n")
@example(b".\n..\r.\r\n.")
@example(b"0" * 5000)
@example(b" \t \n\t")
@example(b"trailing \nand tab\t\nend ")
@example(b"=\r=\n=0D=0A")
@example(b"From me\n>From you\n")
@example(b"\n\r\n\r\r\n")
def test_any_body_arrives_octet_by_octet(body: bytes) -> None:
    payload = parsed(built(body=body)).get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert lines_of(payload) == lines_of(body)


@pytest.mark.parametrize(
    "word",
    [
        b"=?utf-8?q?a=0d=0aBcc:_x@y?=", b"=?UTF-8?Q?a=0Ab?=", b"=?utf-8?b?YQ0KQmNjOiB4QHk=?=",
        b"=?utf-8?b?YQ0KQmNjOiB4QHk?=",
        b"=?us-ascii?q?=0d?=", b"=?utf-8?q?a b=0d=0aBcc: x@y?=", b"=?utf-7?q?+AA0ACg-Bcc:_x@y?=", b"=?utf-8?q?=00?=",
        b"=?utf-16?b?DQAKAA==?=", b"=?unicode_escape?q?=5cr=5cn?=", b"=?utf-8*en?q?a=0d=0a?=", b"=?utf-8?q?=c2=85?=",
        b"=?utf-8?q?=e2=80=a8?=", b"=?utf-8?x?a?=", b"=?utf-8?q?=0?=", b"=?utf-8?b?!?=", b"=?utf-8?q?a=0d?b?=",
        b"=?iso-8859-99?q?a?=", b"=?utf-8?b?YQ=?=", b"x=?utf-8?q?=0d=0a?=x", b"=?utf-8?q??==?utf-8?q?=0a?=",
        b"=?iso-8859-1?q?a=0a?=", b"=?utf-8?B?YQBi?=", b"=?utf-8?b?AA==?=", b"=?iso-8859-1?q?=85?=", b"=?utf-8?q?=7f?=",
        b"=?utf-8?q?=1b[31m?=", b"=?utf-8?q?=e2=80?= =?utf-8?q?=a9?=", b"=?utf-8?b?wg==?==?UTF-8?q?=85?=",
        b"=?utf-8?q?=c2?=  =?utf-8?b?hQ==?=", b"=?gb18030?q?=810=831?=", b"=?gbk?q?=81=0a?=", b"=?big5?q?=a4=00?=",
        b"=?shift_jis?q?=83=0d?=", b"=?iso-2022-jp?q?=1b$B=0d=0a=1b(B?=", b"=?iso-2022-jp?q?=1b[31m?=",
        b"=?iso-2022-jp?q?=1b$B?= =?iso-2022-jp?q?!!=1b?=",
        b"=?gb18030?q?=0d=0a?=", b"=?rot13?q?a?=", b"=?utf-8?q?a?= =?utf-8?q?=0d=0a?=",
    ],
)  # fmt: skip
@pytest.mark.parametrize("frame", [b"%b", b"Hello %b", b"%b%b", b"a, %b", b"<%b>", b"x" * 100 + b" %b", b'"%b"'])
def test_an_encoded_word_that_hides_a_line_break_or_is_not_correct_means_its_own_characters(
    word: bytes, frame: bytes
) -> None:
    text = frame.replace(b"%b", word)
    envelope = built(subject=text, name=text, sender=Mailbox("a@b.c", text))
    assert text_of(parsed(envelope)["subject"]) == text
    assert name_of(envelope, "to", "a@b.c") == name_of(envelope, "from", "a@b.c") == text


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (b"=?utf-8?B?R3LDvMOfZQ==?=", "Grüße"),
        (b"=?UTF-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?iso-8859-1?Q?Gr=FC=DFe_da?=", "Grüße da"),
        (b"=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?gb2312?B?1tDOxA==?=", "中文"),
        (b"Re: =?utf-8?q?=C3=BC?= and =?utf-8?q?=C3=A4?=", "Re: ü and ä"),
    ],
)
def test_a_correct_encoded_word_passes_as_producers_wrote_it(word: bytes, text: str) -> None:
    assert parsed(built(subject=word))["subject"] == text
    if b" " not in word:
        assert parsed(built(name=word))["to"].addresses[0].display_name == text


@pytest.mark.parametrize("control", [*map(chr, (*range(32), *range(127, 160))), "\u2028", "\u2029", "\0\r\n\x1b"])
@pytest.mark.parametrize("frame", ["a%sb", "%s", "ü%sx", "%sü", "Grüße%s", "ü" * 80 + "%s b", "<%s>", "=?%s?="])
def test_no_control_character_is_in_a_header_or_in_its_encoded_words(control: str, frame: str) -> None:
    """`docs/security.md` promises it for CR, LF and NUL; some readers end a header at any of Unicode's line breaks."""
    text = frame.replace("%s", control)
    meant = text if control == "\t" else text.replace(control, " ")
    envelope = built(subject=text.encode(), name=text.encode(), sender=Mailbox("a@b.c", text.encode()))
    assert octets_of(message_from_bytes(envelope.data)["subject"]) == meant.encode()
    assert name_of(envelope, "to", "a@b.c") == name_of(envelope, "from", "a@b.c") == meant.encode()


@pytest.mark.parametrize("text", ["標題".encode("gbk"), "é".encode("latin-1"), b"\xc2\x85\xff", "ａ".encode("big5")])
def test_octets_that_are_not_utf8_stay_as_they_are(text: bytes) -> None:
    """What looks like a control character of Unicode may be half of a letter there."""
    assert octets_of(message_from_bytes(built(subject=text).data)["subject"]) == text


def test_a_letter_that_is_cut_between_two_encoded_words_still_passes() -> None:
    """Producers that cut at octets are common, and readers that join the octets show the letter."""
    subject = b"=?utf-8?q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe?="
    assert b"Subject: " + subject + b"\r\n" in built(subject=subject).data


@pytest.mark.parametrize("control", [b"\0", b"\x1b", b"\x7f", b"\xc2\x85", "\u2028".encode()])
def test_a_control_character_of_a_body_arrives_and_is_never_there_as_itself(control: bytes) -> None:
    envelope = built(body=b"a" + control + b"b")
    assert parsed(envelope).get_payload(decode=True) == b"a" + control + b"b\r\n"
    assert b"\0" not in envelope.data


@given(st.lists(TEXTS, max_size=4), st.sampled_from([b"=?utf-8?q?=0d=0aBcc:_x?=", b"=?", b"?=", b"=?utf-8?b?DQo=?="]))
def test_no_reader_finds_a_line_break_in_any_header(parts: list[bytes], joint: bytes) -> None:
    envelope = built(subject=joint.join(parts) + joint, name=joint.join(parts) + joint)
    parsed(envelope)  # fails for a line break that the library decodes
    unfolded = message_from_bytes(envelope.data.replace(b"\r\n ", b" "))
    for header in ("subject", "to"):
        assert not {*b"\r\n"} & {*octets_of(unfolded[header])}


@pytest.mark.parametrize(
    "address", ['"a b"@example.com', '"a>b"@c.d', r'"a\"b"@c.d', "用户@example.com", "a@[192.0.2.1]",
                "x" * 300 + "@example.com"],
)  # fmt: skip
@pytest.mark.parametrize("name", [b"", b"Name", b"x" * 70, "Ünal, Ömer".encode()])
def test_any_address_stands_in_the_header_as_on_the_wire(address: str, name: bytes) -> None:
    envelope = built(address=address, name=name)
    assert envelope.recipients == (address,)
    [written] = parsed(envelope)["to"].addresses
    plain = re.sub(r"\\(.)", r"\1", address.replace('"', "", 1).replace('"@', "@"))
    assert text_of(written.username + "@" + written.domain) == plain.encode()
    assert text_of(written.display_name) == name
    assert envelope.smtputf8 is not address.isascii()


def test_a_sender_outside_ascii_needs_smtputf8_too() -> None:
    assert built(sender=Mailbox("ü@b.c")).smtputf8


def test_many_recipients_stand_in_one_folded_header() -> None:
    to = tuple(Mailbox(f"user{number}@example.com", b"Name, %d" % number) for number in range(2000))
    envelope = build(Email(to, b"s", b"b"), SENDER, "id@example.com", AT)
    assert envelope.recipients == tuple(mailbox.address for mailbox in to)
    addresses = parsed(envelope)["to"].addresses
    assert [address.addr_spec for address in addresses] == list(envelope.recipients)
    assert addresses[1999].display_name == "Name, 1999"


def test_message_id_and_date_come_from_the_arguments_and_every_call_gives_the_same_octets() -> None:
    envelope = built(subject="ü".encode(), name=b"N", body=b"x")
    message = parsed(envelope)
    assert message["message-id"] == "<id@example.com>"
    assert parsedate_to_datetime(message["date"]).timestamp() == AT // 1000
    assert envelope == built(subject="ü".encode(), name=b"N", body=b"x")


def test_the_same_message_goes_to_those_who_do_not_have_it_yet() -> None:
    to = (Mailbox("a@b.c"), Mailbox("d@e.f"))
    envelope = build(Email(to, b"s", b"b"), SENDER, "id@example.com", AT)
    rest = envelope.only(("d@e.f",))
    assert (rest.recipients, rest.data) == (("d@e.f",), envelope.data)


IDS = ["order 17", "ü", "ö", "?", "a>\r\nBcc: x@y.z", "a\nb", "a\rb", "a\0b", "a@b", "a%40b", "a..b", "a.b", "<a>",
       "\ud800", "x" * 2000, "x" * 2001]  # fmt: skip


def test_any_id_of_a_mail_becomes_a_message_id_of_its_own() -> None:
    email = Email((Mailbox("a@b.c"),), b"s", b"b")
    written = {str(parsed(build(email, SENDER, f"{one}@example.com", AT))["message-id"]) for one in IDS}
    assert len(written) == len(IDS)
    for one in written:
        assert re.fullmatch(r"<[A-Za-z0-9_.%-]*@example\.com>", one)


def test_a_common_mail_is_built_far_faster_than_the_library_does() -> None:
    email = Email(
        (Mailbox("someone@example.com", b"A name"),), b"The title content", b"Here is the message itself\n" * 26
    )

    def ours() -> None:
        build(email, SENDER, "id@example.com", AT)

    def library() -> None:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = "The title content", "Site <a@b.c>", "A name <a@b.c>"
        message.set_content("Here is the message itself\n" * 26)
        message.as_bytes()

    assert _seconds(ours) * 10 < _seconds(library)


def test_a_mail_with_html_and_one_with_a_file_are_built_far_faster_than_the_library_does() -> None:
    html, octets = "<p>Here is the message itself</p>\n" * 26, bytes(2**20)
    shared = File("a.pdf", "application/pdf", None, "0" * 64)
    rich = Email((Mailbox("a@b.c"),), b"s", b"text\n", html=html.encode())
    large = replace(rich, attachments=(replace(shared, content=octets),))
    part = {"0" * 64: base64(octets)}

    def library(*files: bytes) -> None:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = "s", "a@b.c", "a@b.c"
        message.set_content("text\n")
        message.add_alternative(html, subtype="html")
        for content in files:
            message.add_attachment(content, maintype="application", subtype="pdf", filename="a.pdf")
        message.as_bytes()

    assert _seconds(lambda: build(rich, SENDER, "i@b.c", AT)) * 10 < _seconds(library)
    with_file = _seconds(lambda: build(large, SENDER, "i@b.c", AT), 2)
    assert with_file * 3 < _seconds(lambda: library(octets), 1) * 2
    shared_file = replace(rich, attachments=(shared,))
    assert _seconds(lambda: build(shared_file, SENDER, "i@b.c", AT, part), 20) / 20 * 3 < with_file / 2


def _seconds(build_one: object, times: int = 50) -> float:
    assert callable(build_one)
    best = float("inf")
    for _ in range(5):
        begun = time.process_time()
        for _ in range(times):
            build_one()
        best = min(best, time.process_time() - begun)
    return best


@pytest.mark.parametrize("line", [b"Here is the message itself\n", b"Here is the message itself\r\n", b"0123456789"])
def test_a_large_body_is_held_at_most_three_times_more(line: bytes) -> None:
    email = Email((Mailbox("a@b.c"),), b"s", line * (2**20 // len(line)))
    tracemalloc.start()
    try:
        envelope = build(email, SENDER, "id@example.com", AT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3.1 * len(envelope.data)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"plain\r\ntext", b"7bit"),
        (b"x" * 998, b"7bit"),
        (b"x" * 999, b"quoted-printable"),
        (b"short\n" + b"x" * 999 + b"\nshort", b"quoted-printable"),
        ((b"x" * 998 + b"\n") * 5, b"7bit"),
        ("grün".encode(), b"quoted-printable"),
        (b"nul\0", b"quoted-printable"),
        (b"", b"7bit"),
    ],
)
def test_a_body_goes_as_it_is_where_every_relay_takes_it_so(body: bytes, encoding: bytes) -> None:
    data = build(Email((Mailbox("a@example.com"),), b"s", body), Mailbox("s@example.com"), "id@example.com", 0).data
    assert b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" in data
    assert max(map(len, data.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("html", [None, b"<p>x"])
@pytest.mark.parametrize("line", ["Большой текст\r\n", "=" * 1500 + "\r\n"])
def test_a_large_text_is_not_three_times_as_large_on_its_way(html: bytes | None, line: str) -> None:
    text = line.encode() * (1_500_000 // len(line))
    data = build(Email((Mailbox("you@example.com"),), b"s", text, html), SENDER, "id@example.com", AT).data
    assert len(data) < 1.4 * len(text)
    plain = [
        part for part in message_from_bytes(data, policy=default).walk() if part.get_content_type() == "text/plain"
    ]
    assert [part.get_payload(decode=True) for part in plain] == [text]
