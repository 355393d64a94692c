"""Which format is it, and what does it hold? serialize(), JSON, and either inside phpredis's wrapping."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest

from mailworker.errors import Unsendable
from mailworker.mail import payload
from mailworker.mail.email import Limits
from mailworker.mail.entry import from_entry
from mailworker.mail.formats import php
from mailworker.mail.formats.php import Opaque

GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "wraps.json").read_text("utf-8"))
BODIES = {
    "short": "line 1\r\nline 2 – done\n".encode(),
    "long": b"0123456789\n" * 30,
    "huge": b"0123456789\n" * 6000,
}
SUBJECTS = {"short": "Grüße".encode(), "long": b"over 255 octets", "huge": b"over 65,535 octets"}
LIMIT = Limits().mail


def golden(name: str) -> bytes:
    return gzip.decompress(base64.b64decode(GOLDEN[name]["bytes"]))


def reason_of(raw: bytes) -> str:
    with pytest.raises(Unsendable) as caught:
        payload.read(raw, LIMIT)
    return caught.value.reason


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_what_phpredis_wrapped_is_unwrapped(name: str) -> None:
    email = from_entry(golden(name), Limits())
    assert [(to.address, to.name) for to in email.to] == [("someone@example.com", 'Jörg "J" Müller'.encode())]
    assert (email.subject, email.body) == (SUBJECTS[GOLDEN[name]["mail"]], BODIES[GOLDEN[name]["mail"]])


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_wrapped_mail_that_was_cut_off_is_a_dead_letter(name: str) -> None:
    whole = golden(name)
    for length in {0, 1, 4, 5, 6, len(whole) // 2, len(whole) - 1}:
        assert reason_of(whole[:length]) in {"empty", "format", "php_syntax", "json_syntax"}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"hello", "format"),
        (b"\xff\xfe", "format"),
        (b"\x00\x00\x00\x02", "format"),
        (b"\x00\x00\x00\x02\x14\x01", "format"),
        (b"\x00\x00\x00\x02\x11\x09a", "format"),
        (b"\x00\x00\x00\x02\x0d", "empty"),
        (b"\xa5hell", "format"),
        (b"\xd9\xffhell", "format"),
        (b"\xdb\xff\xff\xff\xffx", "format"),
        (b" " * 5000 + b"{}", "format"),
        (b"i:5;", "not_a_mail"),
        (b"N;", "not_a_mail"),
        (b's:0:"";', "empty"),
        (b'""', "empty"),
        (b's:2:"N;";', "not_a_mail"),
        (b'"' + b's:4:\\"N;N;\\";' + b'"', "not_a_mail"),
        (b"{", "json_syntax"),
        (b'{"to":NaN}', "json_syntax"),
        (b'{"to":"\xff"}', "json_syntax"),
        (b"{\x00}\x00", "json_syntax"),
        (b'{"a":1}x', "json_syntax"),
        (b'{"to":' + b"9" * 5000 + b"}", "json_syntax"),
        (b"[" * 2000, "too_deep"),
        (b'{"a":' * 2000, "too_deep"),
        (b"[" * 100_000, "too_many_values"),
        (b"[" + b"0," * 40_000 + b"0]", "too_many_values"),
        (b"[" + b'"",' * 70_000 + b"0]", "too_many_values"),
    ],
)
def test_what_cannot_be_read_has_a_reason(raw: bytes, reason: str) -> None:
    assert reason_of(raw) == reason


def test_wraps_are_opened_up_to_a_bound() -> None:
    raw = b"a:0:{}"
    for _ in range(payload.MAX_WRAPS):
        raw = b's:%d:"%s";' % (len(raw), raw)
    assert payload.read(raw, LIMIT)[0] == {}
    assert reason_of(b's:%d:"%s";' % (len(raw), raw)) == "not_a_mail"


def test_octets_after_the_value_are_counted_in_every_wrap() -> None:
    inner = b"a:0:{}junk"
    assert payload.read(b's:%d:"%s";!' % (len(inner), inner), LIMIT) == ({}, 5)


def test_only_the_wanted_fields_are_kept() -> None:
    fields, _ = payload.read(b'{"to":["a@b.c",{"x":1}],"body":"b","cc":"no","0":1}', LIMIT)
    assert fields[b"body"] == b"b"
    assert fields.keys() == {b"to", b"body"}
    to = fields[b"to"]
    assert isinstance(to, dict)
    assert to[0] == b"a@b.c"
    assert isinstance(to[1], dict | Opaque)


def test_json_keys_that_look_like_integers_are_integers() -> None:
    assert payload.read(b'{"to":{"0":"a@b.c","01":"x"}}', LIMIT)[0] == {b"to": {0: b"a@b.c", b"01": b"x"}}


@pytest.mark.parametrize("text", ["a,b{[", '\\"', "\\", '\\\\\\"', 'say "a, b", then [c]\\'])
def test_marks_inside_a_json_text_are_no_values(text: str) -> None:
    body = text * (2 * php.MAX_VALUES)
    raw = json.dumps({"to": "a@b.c", "subject": "", "body": body}).encode()
    assert payload.read(raw, LIMIT)[0][b"body"] == body.encode()


def test_a_lone_surrogate_in_json_stays_octets_that_are_not_utf8() -> None:
    assert payload.read(b'{"body":"\\ud800"}', LIMIT)[0][b"body"] == b"\xed\xa0\x80"
