"""A signature verifies elsewhere, breaks with anything that matters, and is of the author's domain."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworker.errors import Unsendable
from mailworker.mail.signing import dkim_keys, relaxed
from mailworker.mail.signing.dkim import Signers
from mailworker.mail.signing.dkim_keys import Source, sources

from ...dkim_peers import ALGORITHMS, dkimpy, ed25519_key, pem, records, rsa_key, setting, signatures, signers, write

DATA = Path(__file__).parents[2] / "data" / "dkim"
AT = 1_700_000_000
HEAD = (
    b"Subject: Is dinner ready?\r\n"
    b"From: Joe <joe@example.com>\r\n"
    b"To: suzie@example.net\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"Message-ID: <m1@example.com>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n"
)
MAIL = HEAD + b"\r\nWe lost the game.  Are you hungry yet?\r\n"
ADDED = (
    b"From", b"Subject", b"To", b"Cc", b"Reply-To", b"Date", b"Message-ID", b"In-Reply-To", b"References",
    b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding", b"List-Unsubscribe", b"List-Unsubscribe-Post",
)  # fmt: skip
BASE64 = (b"QUJD" * 19 + b"\r\n") * 68_985


def vector(name: str) -> bytes:
    return (DATA / name).read_bytes().replace(b"\n", b"\r\n")


def signed_octets(message: bytes, index: int) -> tuple[bytes, bytes]:
    """Of a vector: what its signature covers, in relaxed form, with the signature itself."""
    head, _ = relaxed.head_and_body(message)
    fields = relaxed.fields(head)
    value = fields[b"dkim-signature"][index]
    names = re.search(rb"h=([^;]*);", value)[1].replace(b" ", b"").split(b":")  # type: ignore[index]
    lines = b""
    for name in names:
        if fields.get(name):
            lines += b"%b:%b\r\n" % (name, fields[name].pop())
    unsigned, _, b = value.rpartition(b"b=")
    return lines + b"dkim-signature:" + unsigned + b"b=", b64decode(b)


@pytest.mark.parametrize(("file", "index"), [("rfc8463.seed", 0), ("rfc8463.pem", 1)])
def test_the_vectors_of_rfc_8463_octet_for_octet(file: str, index: int) -> None:
    message = vector("rfc8463.eml")
    octets, signature = signed_octets(message, index)
    key = dkim_keys.read(Source("football.example.com", "test", str(DATA / file)))
    assert key.sign(octets) == signature
    _, begin = relaxed.head_and_body(message)
    assert relaxed.body_hash(message, begin) == b64decode("2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=")


def test_the_keys_of_rfc_8463_have_its_records() -> None:
    these = Signers(
        sources(
            f"football.example.com:brisbane:{DATA / 'rfc8463.seed'},football.example.com:test:{DATA / 'rfc8463.pem'}"
        )
    )
    assert records(these) == {
        "brisbane._domainkey.football.example.com": (
            "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
        ),
        "test._domainkey.football.example.com": (
            "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi"
            "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kr"
            "yOTIKT+l/K4w3QIDAQAB"
        ),
    }
    assert dkimpy(vector("rfc8463.eml"), records(these)) == [True, True]


def test_the_vector_of_rfc_6376_octet_for_octet() -> None:
    """Its A.2 is in simple form, which is the headers as they stand: the key and the algorithm are what is tried."""
    message = vector("rfc6376.eml")
    these = Signers(sources(f"example.com:brisbane:{DATA / 'rfc6376.pem'}"))
    assert dkimpy(message, records(these)) == [True]
    header, _, rest = message.partition(b"\r\nReceived:")
    octets = b"Received:" + rest.partition(b"\r\n\r\n")[0] + b"\r\n" + re.sub(rb"b=AuUo[^;]*", b"b=", header)
    (key,) = these.keys["example.com"]
    b = re.search(rb"b=(AuUo[^;]*)", header)
    assert b is not None
    assert key.sign(octets) == b64decode(b[1])


BODIES = {
    "empty": b"",
    "no line": b"\r\n\r\n",
    "no line break": b"text",
    "1 KB": b"A line of text that is long enough.\r\n" * 28,
    "50 KB": b"Zeile f\xc3\xbcr Zeile, 76 Zeichen und mehr, mit  zwei Leerzeichen\tund Tabs. \r\n" * 700,
    "blanks": b" a  b \t c\t\r\n\t\tx\r\n   \r\n \t \r\ny   \r\n",
    "trailing lines": b"text\r\n" + b"\r\n \r\n\t\r\n" * 40,
    "8 bit": b"\xe9\xff\x80\r\n\xc2\xa0\r\n",
    "dots": b".\r\n..\r\n.x\r\n",
    "5 MiB": BASE64,
}
HEADS = {
    "plain": HEAD,
    "folded": HEAD.replace(b"Subject: Is dinner ", b"Subject:\r\n\tIs   dinner\r\n \t  ").replace(
        b"Joe <", b"Joe\r\n  <"
    ),
    "other languages": HEAD.replace(b"Joe", "Jürgen Müller, Ж 文件 🎉".encode()).replace(
        b"Is", "Ösd=?utf-8?B?w7w=?=".encode()
    ),
    "any case": HEAD.replace(b"From: ", b"FROM:\t").replace(b"To", b"tO"),
    "several of a name": HEAD + b"To: a@example.org\r\nList-Unsubscribe: <https://x.org>\r\nTo: b@example.org\r\n",
    "tabs and blanks": HEAD.replace(b": ", b":  \t ").replace(b"\r\n", b" \t\r\n"),
    "From alone": b"From: joe@example.com\r\n",
    "all that is covered": HEAD
    + b"".join(
        b"%b: x\r\n" % name for name in (b"Sender", b"Cc", b"Reply-To", b"References", b"List-Id", b"Feedback-ID")
    ),
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_dkimpy_verifies_every_body(algorithm: str, body: str) -> None:
    these = signers("example.com", algorithms=(algorithm,))
    message = HEAD + b"\r\n" + BODIES[body]
    assert dkimpy(these.sign(message, AT) + message, records(these)) == [True]


@pytest.mark.parametrize("head", HEADS)
def test_dkimpy_verifies_all_headers(head: str) -> None:
    these = signers("example.com")
    message = HEADS[head] + b"\r\ntext\r\n"
    assert dkimpy(these.sign(message, AT) + message, records(these)) == [True, True]


OCTETS = [b" ", b"\t", b"a", b"b c", b"\xc3\xbc", b"\xff", b":", b";", b"=", b"<", b"x" * 80]


@given(
    st.lists(
        st.tuples(st.sampled_from((*ADDED[1:], b"X-Own", b"Sender")), st.lists(st.sampled_from([*OCTETS, b"\r\n "])))
    ),
    st.lists(st.sampled_from([*OCTETS, b"\r\n", b" \r\n", b"\r\n\r\n", b"."])),
)
def test_dkimpy_verifies_whatever_is_signed(headers: list[tuple[bytes, list[bytes]]], body: list[bytes]) -> None:
    lines = b"".join(name + b":" + b"".join(value) + b"\r\n" for name, value in headers)
    message = lines + b"From: joe@example.com\r\n\r\n" + b"".join(body) + b"\r\n"
    these = signers("example.com", algorithms=("ed25519-sha256",))
    assert dkimpy(these.sign(message, AT) + message, records(these)) == [True]


def test_a_header_that_comes_many_times_is_covered_each_time() -> None:
    these = signers("example.com", algorithms=("ed25519-sha256",))
    message = b"To: a@example.org\r\n" * 300 + MAIL
    signed = these.sign(message, AT) + message
    assert dkimpy(signed, records(these)) == [True]
    assert dkimpy(signed.replace(b"To: a@", b"To: b@", 1), records(these)) == [False]


def test_the_header_is_rsa_first_without_a_length_or_an_end() -> None:
    lines = signers("example.com").sign(MAIL, AT)
    rsa, ed25519 = signatures(lines + MAIL)
    tags = [dict(tag.split("=", 1) for tag in re.sub(r"\s", "", value).split(";")) for value in (rsa, ed25519)]
    assert [(tag.pop("a"), tag.pop("s"), bool(tag.pop("b"))) for tag in tags] == [
        ("rsa-sha256", "rsa", True), ("ed25519-sha256", "ed25519", True),
    ]  # fmt: skip
    assert tags[0] == tags[1]
    names = tags[0].pop("h").split(":")
    assert tags[0].keys() == {"v", "c", "d", "t", "bh"}
    assert (tags[0]["v"], tags[0]["c"], tags[0]["d"], tags[0]["t"]) == ("1", "relaxed/relaxed", "example.com", str(AT))
    assert names.count("from") == 2
    assert {"return-path", "received", "bcc", "dkim-signature"}.isdisjoint(names)
    assert lines.endswith(b"\r\n")
    assert max(map(len, lines.split(b"\r\n"))) <= 78
    assert re.fullmatch(rb"(?:[!-~]+:? [ -~]*\r\n(?: [ -~]*[!-~]\r\n)*)+", lines)


def test_each_attempt_has_the_same_signature(tmp_path: Path) -> None:
    lines = {Signers(sources(setting(tmp_path, "example.com"))).sign(MAIL, AT) for _ in range(3)}
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"hungry", b"thirsty"),
        (b"yet?\r\n", b"yet?\r\nBuy now.\r\n"),
        (b"Is dinner", b"Was dinner"),
        (b"Joe <joe@example.com>", b"Eve <eve@example.com>"),
        (b"To: suzie", b"To: eve"),
        (b"text/plain", b"text/html"),
        (b"m1@", b"m2@"),
        (b"14 Nov", b"15 Nov"),
        *(
            (b"Subject: Is", name + b": x\r\nSubject: Is")
            for name in ADDED
        ),
        (b"\r\n\r\nWe", b"\r\nFrom: eve@example.com\r\n\r\nWe"),
        (b"\r\n\r\nWe", b"\r\nCC: eve@example.com\r\n\r\nWe"),
    ],
)  # fmt: skip
def test_a_change_breaks_it(before: bytes, after: bytes) -> None:
    these = signers("example.com")
    message = these.sign(MAIL, AT) + MAIL
    assert before in message
    assert dkimpy(message.replace(before, after, 1), records(these)) == [False, False]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Subject:", b"Return-Path: <x@example.com>\r\nReceived: by relay\r\nX-Spam: no\r\nSubject:"),
        (b"dinner ready", b"dinner\r\n\t ready"),
        (b"game.  Are", b"game. Are"),
        (b"yet?\r\n", b"yet?  \r\n\r\n\r\n"),
    ],
)
def test_what_relays_do_does_not(before: bytes, after: bytes) -> None:
    these = signers("example.com")
    message = these.sign(MAIL, AT) + MAIL
    assert dkimpy(message.replace(before, after, 1), records(these)) == [True, True]


def test_what_a_relay_or_a_list_may_add_does_not_where_it_was_not_there() -> None:
    these = signers("example.com")
    message = b"From: joe@example.com\r\n\r\ntext\r\n"
    added = b"Message-ID: <x@relay>\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\nSender: a@b.org\r\nList-Id: <x.y>\r\n"
    assert dkimpy(these.sign(message, AT) + added + message, records(these)) == [True, True]


@pytest.mark.parametrize(
    ("author", "domain"),
    [
        (b"a@example.com", "example.com"),
        (b"a@EXAMPLE.com", "example.com"),
        (b"a@news.example.com", "news.example.com"),
        (b"a@x.news.example.com", "news.example.com"),
        (b"a@shop.example.com", "example.com"),
        (b"a@a.b.c.example.com", "example.com"),
        (b"a@localhost", "localhost"),
        (b"=?utf-8?B?w7w=?=\r\n <a@example.com>", "example.com"),
        ("a@münchen.de".encode(), "xn--mnchen-3ya.de"),
        (b"a@xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("a@news.MÜNCHEN.de".encode(), "xn--mnchen-3ya.de"),
        (b"x@elsewhere.org, a@example.com", "example.com"),
    ],
)
def test_the_key_is_that_of_the_author_s_domain_or_of_its_nearest_parent(author: bytes, domain: str) -> None:
    these = signers("example.com", "news.example.com", "localhost", "münchen.de", algorithms=("ed25519-sha256",))
    message = MAIL.replace(b"Joe <joe@example.com>", author)
    lines = these.sign(message, AT)
    assert f" d={domain};" in lines.decode()
    assert dkimpy(lines + message, records(these)) == [True]


@pytest.mark.parametrize(
    "message",
    [
        MAIL.replace(b"joe@example.com", b"joe@example.org"),
        MAIL.replace(b"joe@example.com", b"joe@notexample.com"),
        MAIL.replace(b"joe@example.com", b"joe@example.com.evil.org"),
        MAIL.replace(b"joe@example.com", b"joe@a.com"),
        MAIL.replace(b"joe@example.com", b"joe@x.localhost"),
        MAIL.replace(b"Joe <joe@example.com>", b'"joe@example.com" <eve@evil.org>'),
        MAIL.replace(b"From: Joe <joe@example.com>\r\n", b""),
        b"From: joe@example.com\r\n" + MAIL,
        b"from : eve@evil.org\r\n" + MAIL,
        b"",
        b"\r\n" + MAIL,
    ],
)
def test_other_mail_goes_unsigned_or_not_at_all(message: bytes) -> None:
    assert signers("example.com", "com", "localhost").sign(message, AT) == b""
    with pytest.raises(Unsendable) as caught:
        signers("example.com", "com", "localhost", required=True).sign(message, AT)
    assert caught.value.reason == "dkim_no_key"
    assert "@" not in caught.value.detail


def test_a_mail_that_has_a_signature_keeps_it() -> None:
    these = signers("example.com", algorithms=("ed25519-sha256",))
    once = these.sign(MAIL, AT - 60) + MAIL
    twice = these.sign(once, AT) + once
    assert dkimpy(twice, records(these)) == [True, True]


def test_several_keys_of_a_domain_all_sign_rsa_first(tmp_path: Path) -> None:
    rsa = write(tmp_path / "rsa", pem(rsa_key()))
    ed25519 = write(tmp_path / "ed25519", pem(ed25519_key()))
    these = Signers(sources(f"example.com:e1:{ed25519},example.com:r1:{rsa},example.com:r2:{rsa}"))
    message = these.sign(MAIL, AT) + MAIL
    assert re.findall(rb" s=(\w+);", message) == [b"r1", b"r2", b"e1"]
    assert dkimpy(message, records(these)) == [True, True, True]


def test_the_files_are_read_once(tmp_path: Path) -> None:
    these = Signers(sources(setting(tmp_path, "example.com")))
    these.read()
    before = these.sign(MAIL, AT)
    for file in tmp_path.iterdir():
        file.unlink()
    assert these.sign(MAIL, AT) == before
