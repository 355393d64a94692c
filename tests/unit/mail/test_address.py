"""What is one mail address, and how does it stand on the wire?"""

from __future__ import annotations

import contextlib
import time
from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworker.errors import Unsendable
from mailworker.mail.address import MAX_OCTETS, Mailbox, check, parse


@pytest.mark.parametrize(
    "address",
    [
        "a@b.c", "user+tag@example.com", "a@localhost", "a@b", "a.b-c_d@sub.example.co.uk", "a@my_host.example",
        "a@_host.example", "A@EXAMPLE.COM", "1@2.3", "a@1.2.3.4", "a@xn--bcher-kva.example", "o'brien@example.com",
        "!#$%&'*+/=?^_`{|}~-@example.com", "john@[192.0.2.1]", "john@[IPv6:2001:db8::1]", '"a b"@example.com',
        '"a>b"@example.com', '"a@b"@example.com', r'"a\"b\\c"@example.com', '"a,b"@example.com', "用户@example.com",
        "用户@localhost", '"ü ö"@example.com', "reply+" + "x" * 100 + "@example.com",
        "a@" + ".".join(["b" * 63] * 3) + ".com", "a" * 64 + "@" + ".".join(["b" * 62] * 4) + ".de",
    ],
)  # fmt: skip
def test_an_address_goes_on_the_wire_unchanged(address: str) -> None:
    assert check(address) == address


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("user@bücher.example", "user@xn--bcher-kva.example"),
        ("user@BÜCHER.example", "user@xn--bcher-kva.example"),
        ("user@bücher.test", "user@xn--bcher-kva.test"),
        ("user@bücher", "user@xn--bcher-kva"),
        ("user@straße.example", "user@xn--strae-oqa.example"),
        ("User@例子。公司", "User@xn--fsqu00a.xn--55qx5d"),
        ("用户@例子.公司", "用户@xn--fsqu00a.xn--55qx5d"),
        ('"a b"@bücher.example', '"a b"@xn--bcher-kva.example'),
    ],
)
def test_an_international_domain_goes_on_the_wire_in_punycode(address: str, wire: str) -> None:
    assert check(address) == wire


@pytest.mark.parametrize(
    "address",
    [
        "", "@", "a@", "@b.c", "nobody", "a@@b.c", "a@b@c.d", "a@b.c, c@d.e", "a@b.c,", "a@b.c; c@d.e", "a@b.c c@d.e",
        "<a@b.c>", "Name <a@b.c>", '"Name" <a@b.c>', "a@b.c>", "a@b.c>\r\nRCPT TO:<v@d.e", "a@b.c\r\n", "a@b.c\n",
        " a@b.c", "a@b.c ", "a @b.c", "a@ b.c", "a b@c.d", "a..b@c.d", ".a@c.d", "a.@c.d", "a@.b", "a@b..c", "a@b.c.",
        "a@-b.c", "a@b-.c", "a@b!c.d", "a(comment)@b.c", "a@b.c(comment)", "(c)a@b.c", "a@b.c\0", "a\0@b.c", "\0",
        "a@b\tc.d", "a@b.c\x7f", "a\x85@b.c", "a@b\u200d.c", "a\u200b@b.c", "a\u2028@b.c", "\ud800@b.c", "a@\ud800.c",
        "a@[1.2.3]", "a@[1.2.3.4", "a@[::1]", "a@[IPv6:1.2.3.4]", "a@[IPv6:fe80::1%eth0]", "a@[tag:x]", "a@[]",
        '"a"b"@c.d', '"a\\"@b.c', '""@b.c', '"a@b.c', '"a\nb"@c.d', "a@bü cher.de", "a@ü..de", "a@ü>.de", "a@ü_.de",
        "=?utf-8?q?=0d=0abcc=3ax?=@example.com", '"=?utf-8?q?x?="@b.c', "a@" + "b" * 64 + ".c",
        "x" * MAX_OCTETS + "@example.com", "a@" + "b." * 200 + "c", "ü" * 200 + "@b.c", "a@" + "ü." * 150 + "de",
        "x" * 10_000, "mailto:a@b.c ", "a\\@b@c.d", "a@b/c",
    ],
)  # fmt: skip
def test_what_is_not_one_address_is_refused(address: str) -> None:
    with pytest.raises(Unsendable) as caught:
        check(address)
    assert caught.value.reason == "bad_address"
    assert caught.value.detail.startswith("to: ")


@pytest.mark.parametrize(
    "address", ["secretperson", "secret person@x.y", "secretperson@secret domain.x", "secret..person@secret.x",
                "a@secret-.x", "a@[secret]", "a@sécret\u200d.x", "secret@sécret_x.y", "\ud800secret@x"],
)  # fmt: skip
def test_the_detail_of_a_refusal_never_holds_the_address(address: str) -> None:
    with pytest.raises(Unsendable) as caught:
        check(address)
    assert "secret" not in caught.value.detail
    assert "sécret" not in caught.value.detail


@pytest.mark.parametrize(
    ("address", "needed"), [("a@b.c", False), ("ü@b.c", True), ('"ü"@b.c', True), ("a@bücher.example", False)]
)
def test_smtputf8_is_needed_for_a_local_part_outside_ascii(address: str, needed: bool) -> None:
    assert Mailbox(check(address)).smtputf8 is needed


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("a@b.c", Mailbox("a@b.c")),
        ("Name <a@b.c>", Mailbox("a@b.c", b"Name")),
        ("<a@b.c>", Mailbox("a@b.c")),
        (" A  name<a@b.c> ", Mailbox("a@b.c", b"A  name")),
        ('"Doe, John" <a@b.c>', Mailbox("a@b.c", b"Doe, John")),
        (r'"a \"b\" \\" <a@b.c>', Mailbox("a@b.c", b'a "b" \\')),
        ("Ünal <a@bücher.example>", Mailbox("a@xn--bcher-kva.example", "Ünal".encode())),
        ("O'Brien (work) <a@b.c>", Mailbox("a@b.c", b"O'Brien (work)")),
        ('"a b"@c.d', Mailbox('"a b"@c.d')),
    ],
)
def test_a_name_and_an_address(text: str, mailbox: Mailbox) -> None:
    assert parse(text, "to") == mailbox


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "bad_address"),
        ("Name", "bad_address"),
        ("Name <>", "bad_address"),
        ("Name < a@b.c>", "bad_address"),
        ("Name <a@b.c", "bad_address"),
        ("Name <a@b.c> x", "bad_address"),
        ("Doe, John <a@b.c>", "bad_address"),
        ("a@b.c <d@e.f>", "bad_address"),
        ("<a@b.c>, <d@e.f>", "bad_address"),
        ('"a" b <a@b.c>', "bad_address"),
        ('"a <a@b.c>', "bad_address"),
        ('a" <a@b.c>', "bad_address"),
        (" a@b.c", "bad_address"),
        ("N\ud800 <a@b.c>", "bad_text"),
    ],
)
def test_what_is_neither_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Unsendable) as caught:
        parse(text, "to")
    assert caught.value.reason == reason


@pytest.mark.timed
@pytest.mark.parametrize(
    "piece", [" ", "a ", "<", ">", '"', '\\"', '"\\', "a.", "é.", "@", "a@", "-", "a-", "[", "1.", ",", "\t", '"a\\" ']
)
@pytest.mark.parametrize(
    "frame", ["{}", "{}!", "{} <a@b.c>", '"{}" <a@b.c>', "a@{}", "{}@b.c", '"{}"@b.c', "a@[{}]", "<{}"]
)
def test_no_text_takes_longer_than_its_length(piece: str, frame: str) -> None:
    text = frame.format(piece * 100_000)
    begun = time.process_time()
    with contextlib.suppress(Unsendable):
        parse(text, "to")
    assert time.process_time() - begun < 0.1


@given(st.text() | st.text('ab.@"\\<> ,()[]:ü=?\r\n\0-_', max_size=30))
def test_an_accepted_address_is_one_address_to_a_parser_too(text: str) -> None:
    try:
        address = check(text)
    except Unsendable:
        return
    assert address.isprintable()
    header = b"To: " + address.encode() + b"\r\n\r\n"
    [parsed] = message_from_bytes(header, policy=default)["to"].addresses
    assert parsed.domain == address.rpartition("@")[2]
    assert not parsed.display_name


@given(st.text(), st.text())
def test_an_injected_line_break_is_never_accepted(before: str, after: str) -> None:
    for hostile in ("\r", "\n", "\0", "\r\n"):
        with pytest.raises(Unsendable):
            check(f"{before}{hostile}{after}@b.c")
