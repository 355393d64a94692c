"""Hostile entries cost neither time nor memory: each is refused, or sent, within its bounds."""

from __future__ import annotations

import contextlib
import re
import time
import tracemalloc
from collections.abc import Callable

import pytest

from mailworker.errors import Unsendable
from mailworker.mail.address import Mailbox
from mailworker.mail.arguments import from_arguments
from mailworker.mail.email import Email, Limits
from mailworker.mail.entry import from_entry
from mailworker.mail.fields import MAX_SUBJECT
from mailworker.mail.wire.mime import build

LARGEST = 25 * 1024 * 1024
SENDER = Mailbox("site@example.com")
MAIL = b'a:3:{s:2:"to";s:5:"a@b.c";s:7:"subject";N;s:4:"body";%b}'


def filled(head: bytes, piece: bytes, tail: bytes = b"", size: int = LARGEST) -> bytes:
    return head + piece * ((size - len(head) - len(tail)) // len(piece)) + tail


def of_length(frame: bytes, text: bytes, kind: bytes = b"s") -> bytes:
    return frame % (b'%b:%d:"%b";' % (kind, len(text), text))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "php: tiny values": lambda: filled(b"a:4000000:{", b"i:0;N;"),
    "php: tiny strings": lambda: filled(b"a:1600000:{", b's:1:"a";N;'),
    "php: tiny references": lambda: filled(b"a:3000000:{i:0;N;", b"i:0;R:1;"),
    "php: tiny arrays": lambda: filled(b"a:2000000:{", b"i:0;a:0:{}"),
    "php: nested arrays": lambda: filled(b"", b"a:1:{i:0;"),
    "php: a count that is a lie": lambda: filled(b"a:99999999999:{", b"i:0;N;"),
    "php: a length that is a lie": lambda: filled(b's:999999999999:"', b"x"),
    "php: an endless integer": lambda: filled(b"i:", b"1"),
    "php: an endless float": lambda: filled(b"d:", b"1"),
    "php: an endless fraction": lambda: filled(b"d:1.", b"1", b";"),
    "php: an endless exponent": lambda: filled(b"d:1E", b"1", b";"),
    "php: an endless length": lambda: filled(b"s:", b"1"),
    "php: an endless reference": lambda: filled(b"a:1:{i:0;R:", b"1"),
    "php: an endless count": lambda: filled(b"a:", b"1"),
    "php: escapes": lambda: filled(b'S:8000000:"', b"\\41"),
    "php: escapes that are none": lambda: filled(b'S:8000000:"', b"\\"),
    "php: octets after the value": lambda: filled(b"N;", b"i:0;"),
    "php: strings in strings": lambda: filled(b's:26214000:"s:26213900:"', b"s"),
    "json: tiny values": lambda: filled(b"[", b"1,"),
    "json: tiny strings": lambda: filled(b"[", b'"",'),
    "json: tiny objects": lambda: filled(b"[", b"{},"),
    "json: tiny keys": lambda: filled(b"{", b'"a":1,'),
    "json: nested arrays": lambda: filled(b"", b"["),
    "json: nested objects": lambda: filled(b"", b'{"a":'),
    "json: blanks": lambda: filled(b"{", b" "),
    "json: blanks before": lambda: filled(b"", b" ", b"{}"),
    "json: blanks after": lambda: filled(b"{}", b" "),
    "json: an endless number": lambda: filled(b'{"to":', b"1", b"}"),
    "json: an endless fraction": lambda: filled(b'{"to":1.', b"1", b"}"),
    "json: an endless string": lambda: filled(b'"', b"x"),
    "json: a string of quotes": lambda: filled(b'"', b'\\"'),
    "json: a string of backslashes": lambda: filled(b'"', b"\\"),
    "json: quotes": lambda: filled(b"[", b'"'),
    "json: quotes and commas": lambda: filled(b"[", b'",'),
    "json: no UTF-8 at the end": lambda: filled(b'{"to":"', b"x", b"\xff"),
    "igbinary: a length that is a lie": lambda: filled(b"\0\0\0\2\x13\xff\xff\xff\xff", b"x"),
    "msgpack: a length that is a lie": lambda: filled(b"\xdb\xff\xff\xff\xff", b"x"),
    "nothing known": lambda: filled(b"", b"\xc1"),
    "an address of 25 MiB": lambda: filled(b'{"to":"', b"a.", b'","subject":"","body":""}'),
    "an address of blanks": lambda: filled(b'{"to":"', b" ", b'","subject":"","body":""}'),
    "a subject of 25 MiB": lambda: filled(b'{"to":"a@b.c","body":"","subject":"', b"a ", b'"}'),
    "a name of 25 MiB": lambda: filled(b'{"body":"","subject":"","to":{"a@b.c":"', b"=?", b'"}}'),
    "100 MiB": lambda: filled(b"a:1:{", b"i:0;N;", size=4 * LARGEST),
}


@pytest.mark.timed
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_entry_is_refused_in_a_tenth_of_a_second_and_ten_times_its_memory(name: str) -> None:
    raw = HOSTILE[name]()
    took = []
    for _ in range(3):  # the best of three: the machine may be busy
        begun = time.process_time()
        with pytest.raises(Unsendable):
            from_entry(raw, Limits())
        took.append(time.process_time() - begun)
        if took[-1] < 0.1:
            break
    assert min(took) < 0.1
    part = raw[: LARGEST // 10] if len(raw) <= LARGEST else raw  # tracemalloc is slow
    assert _peak(part) < 10 * len(part)


@pytest.mark.parametrize("depth", [1000, 100_000])
@pytest.mark.parametrize("opening", [b"a:1:{i:0;", b"[", b'{"a":', b'{"to":[', b'a:1:{s:2:"to";'])
@pytest.mark.parametrize("closed", [True, False])
def test_no_depth_crashes_the_interpreter(depth: int, opening: bytes, closed: bool) -> None:
    end = {b"a": b"}", b"[": b"]", b"{": b"}"}[opening[:1]]
    raw = opening * depth + (b"N;" if end == b"}" and opening[:1] == b"a" else b"1") + end * depth * closed
    with pytest.raises(Unsendable) as caught:
        from_entry(raw, Limits())
    assert caught.value.reason in {"too_deep", "too_many_values", "json_syntax"}


TEXT_MIB = 4
SENT: dict[str, Callable[[], bytes]] = {
    "a body of ASCII": lambda: of_length(MAIL, b"Here is the message itself\n" * (TEXT_MIB * 2**20 // 27)),
    "a body of one line": lambda: of_length(MAIL, b"x" * (TEXT_MIB * 2**20)),
    "a body of line breaks": lambda: of_length(MAIL, b"\n" * (TEXT_MIB * 2**20)),
    "a body of carriage returns": lambda: of_length(MAIL, b"\r" * (TEXT_MIB * 2**20)),
    "a body of zeros": lambda: of_length(MAIL, b"\0" * (TEXT_MIB * 2**20)),
    "a body of blanks": lambda: of_length(MAIL, b" " * (TEXT_MIB * 2**20)),
    "a body of blank lines": lambda: of_length(MAIL, b" \n" * (TEXT_MIB * 2**19)),
    "JSON: a body of commas": lambda: filled(b'{"to":"a@b.c","subject":"","body":"', b"a,[", b'"}', TEXT_MIB * 2**20),
    "JSON: a body of escapes": lambda: filled(b'{"to":"a@b.c","subject":"","body":"', b"\\n", b'"}', TEXT_MIB * 2**20),
    "JSON: a body of Chinese": lambda: filled(
        b'{"to":"a@b.c","subject":"","body":"', "标题内容".encode(), b'"}', TEXT_MIB * 2**20
    ),
    "JSON: a body of escaped Chinese": lambda: filled(
        b'{"to":"a@b.c","subject":"","body":"', b"\\u4e00", b'"}', TEXT_MIB * 2**20
    ),
}


def _send(raw: bytes) -> None:
    build(from_entry(raw, Limits()), SENDER, "id@example.com", 0)


def _peak(raw: bytes) -> int:
    tracemalloc.start()
    try:
        with contextlib.suppress(Unsendable):
            _send(raw)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", SENT)
def test_a_large_mail_takes_time_and_memory_in_proportion_to_its_size(name: str) -> None:
    raw = SENT[name]()
    begun = time.process_time()
    _send(raw)
    assert time.process_time() - begun < TEXT_MIB * 0.1
    assert _peak(raw) < 10 * len(raw)


def test_one_large_text_named_by_many_references_is_held_once() -> None:
    text = b"x" * 2**20
    raw = b'a:3:{s:4:"body";s:%d:"%b";s:7:"subject";N;s:2:"to";a:10000:{' % (len(text), text)
    raw += b"".join(b"i:%d;R:2;" % number for number in range(10_000)) + b"}}"
    assert _peak(raw) < 10 * len(raw)


@pytest.mark.timed
def test_ten_thousand_recipients_take_time_in_proportion() -> None:
    names = b"".join(b's:24:"user%05d@subdomain.test";s:10:"Name,%05d";' % (n, n) for n in range(10_000))
    raw = b'a:3:{s:4:"body";N;s:7:"subject";N;s:2:"to";a:10000:{%b}}' % names
    begun = time.process_time()
    envelope = build(from_entry(raw, Limits(recipients=2**20)), SENDER, "id@example.com", 0)
    assert time.process_time() - begun < 1
    assert len(envelope.recipients) == 10_000
    with pytest.raises(Unsendable, match="octets of recipients"):
        from_entry(raw, Limits())


@pytest.mark.timed
@pytest.mark.parametrize(
    "piece", [b"=?", b"?=", b"=?utf-8?q?a?=", b"=?utf-8?b?", b" ", b"a ", b"\r", b"\xff", b'"', b"=?a"]
)
def test_no_subject_and_no_name_takes_longer_than_its_length(piece: bytes) -> None:
    text = piece * (56_000 // len(piece))
    raw = b'a:3:{s:4:"body";N;s:7:"subject";s:%d:"%b";s:2:"to";a:1:{s:5:"a@b.c";R:3;}}' % (len(text), text)
    begun = time.process_time()
    _send(raw)
    assert time.process_time() - begun < 0.2


@pytest.mark.parametrize("character", ["ü", "a ", "a", "文", "🎉", "x🎉"])
def test_no_header_of_text_is_longer_than_relays_keep_of_one(character: str) -> None:
    """Postfix cuts off what is longer than its header_size_limit, and no signature holds any more."""
    for field in ({"subject": most(character, MAX_SUBJECT)}, {"headers": {"X-A": most(character, MAX_SUBJECT - 9)}}):
        email = from_arguments((), {"to": "a@example.com", "subject": "s", "body": "b", **field}, Limits()).mail
        assert isinstance(email, Email)
        data = build(email, Mailbox("a@example.com"), "id@example.com", 0).data
        assert max(map(len, re.split(rb"\r\n(?! )", data))) < 102_400


def most(character: str, octets: int) -> str:
    return character * (octets // len(character.encode()))
