"""phpredis's OPT_SERIALIZER and OPT_COMPRESSION in every combination: what an old daemon with these options read."""

from __future__ import annotations

import base64
import gzip
import json
import random
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.block
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mailworker.errors import Unsendable
from mailworker.mail.email import Email, Limits
from mailworker.mail.entry import from_entry
from mailworker.mail.formats import compression, igbinary, messagepack
from mailworker.mail.formats.php import MAX_DEPTH, MAX_VALUES

from . import php_oracle
from .test_entry import entry, serialized
from .test_payload import BODIES, SUBJECTS

GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "packs.json").read_text("utf-8"))
REASONS = {"empty", "format", "php_syntax", "json_syntax", "too_large", "not_a_mail", "missing_field", "bad_address",
           "bad_field", "too_many_values", "php_object", "no_recipient", "too_deep"}  # fmt: skip
IGBINARY = b"\0\0\0\2"
MAIL = entry(body="Here is the message itself\n" * 20)


def golden(name: str) -> bytes:
    return gzip.decompress(base64.b64decode(GOLDEN[name]["bytes"]))


def refused(raw: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(Unsendable) as caught:
        from_entry(raw, limits or Limits())
    return caught.value.reason


def reason_or_none(raw: bytes) -> str | None:
    try:
        from_entry(raw, Limits())
    except Unsendable as error:
        return error.reason
    return None


def lz4_of(data: bytes, size: int | None = None) -> bytes:
    """As phpredis writes it: CRC-8, length, block."""
    length = struct.pack("<I", len(data) if size is None else size)
    return bytes([compression._crc8(length)]) + length + lz4.block.compress(data, store_size=False)


def lzf_of(data: bytes) -> bytes:
    """Literals alone, as liblzf writes what repeats nothing."""
    return b"".join(bytes([len(run) - 1]) + run for run in (data[at : at + 32] for at in range(0, len(data), 32)))


def zstd_of(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


PACKERS: dict[str, Callable[[bytes], bytes]] = {"lzf": lzf_of, "zstd": zstd_of, "lz4": lz4_of}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_every_serializer_under_every_compression_is_read(name: str) -> None:
    email = from_entry(golden(name), Limits())
    assert [(to.address, to.name) for to in email.to] == [("someone@example.com", 'Jörg "J" Müller'.encode())]
    assert (email.subject, email.body) == (SUBJECTS[GOLDEN[name]["mail"]], BODIES[GOLDEN[name]["mail"]])


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_what_was_cut_off_or_damaged_has_a_reason(name: str) -> None:
    whole = golden(name)
    for length in {0, 1, 4, 5, 6, 9, len(whole) // 2, len(whole) - 1}:
        assert refused(whole[:length]) in REASONS
    rng = random.Random(name)
    for _ in range(30):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        assert reason_or_none(bytes(damaged)) in {*REASONS, None}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("size", [*range(270), 65_536, 65_594, 1_000_000])
def test_a_mail_of_any_length_is_opened(packer: str, size: int) -> None:
    """The first octets of LZ4 are a checksum and the length: any octet may stand there, those of text as well."""
    mail = entry(body="x" * size)
    assert from_entry(PACKERS[packer](mail), Limits()).body == b"x" * size


@given(st.text(max_size=60), st.sampled_from(["[", "{", '"', "\n{", " \n[", "\t\n{", "\r\n\n\n{", "\n\n\n\n\n{"]))
def test_no_text_that_is_not_compressed_is_taken_for_it(rest: str, head: str) -> None:
    text = (head + rest).encode("utf-8", "surrogatepass")
    assert reason_or_none(text) in {*REASONS, None} - {"too_large"}


@pytest.mark.parametrize("blanks", ["", "\n", "\r\n", "\t", " \n\n\n", "\n" * 11])
def test_json_with_blanks_before_it_is_json(blanks: str) -> None:
    raw = blanks + json.dumps({"to": "a@b.c", "subject": "s", "body": "b"}, indent="\n\n")
    assert from_entry(raw.encode(), Limits()).body == b"b"


# Bombs.


@pytest.mark.parametrize("packer", PACKERS)
def test_what_opens_to_more_than_the_limit_is_too_large(packer: str) -> None:
    mail = entry(body="x" * 10_000)
    assert from_entry(PACKERS[packer](mail), Limits(mail=11_000)).body == b"x" * 10_000
    raw = golden("lzf-of-none-text-huge") if packer == "lzf" else PACKERS[packer](mail)
    assert refused(raw, Limits(mail=9000)) == "too_large"


BOMBS: dict[str, Callable[[], bytes]] = {
    "zstd: a gigabyte": lambda: zstandard.ZstdCompressor().compress(bytes(2**30)),
    "zstd: a length that is a lie": lambda: b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8 + b"\1\0\0",
    "zstd: a length that fits and is a lie": lambda: b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", 2**24) + b"\1\0\0",
    "zstd: no length": lambda: zstandard.ZstdCompressor(write_content_size=False).compress(MAIL),
    "zstd: octets behind it": lambda: zstd_of(MAIL) + b"x",
    "zstd in zstd": lambda: zstd_of(zstd_of(MAIL)),
    "lz4: a length that is a lie": lambda: lz4_of(MAIL, 2**24),
    "lz4: a length that is too short": lambda: lz4_of(MAIL, len(MAIL) - 1),
    "lz4: a length beyond the limit": lambda: lz4_of(MAIL, 2**28),
    "lz4 in lz4": lambda: lz4_of(lz4_of(MAIL)),
    "lzf: repetition": lambda: b"\x01a:" + b"\xe0\xff\x00" * 1_000_000,
    "lzf: tiny steps": lambda: b"\x01a:" + b"\0x" * 10_000_000,
    "lzf: before its beginning": lambda: b"\x01a:" + b"\xff\xff\xff",
    "lzf in lzf": lambda: lzf_of(lzf_of(MAIL)),
    "igbinary: a count that is a lie": lambda: IGBINARY + b"\x16\xff\xff\xff\xff",
    "igbinary: a length that is a lie": lambda: IGBINARY + b"\x26" + b"\xff" * 8,
    "igbinary: tiny values": lambda: IGBINARY + b"\x16\0\x10\0\0" + b"\x06\0\0" * 2**20,
    "igbinary: nested arrays": lambda: IGBINARY + b"\x14\1\x06\0" * 1_000_000,
    "igbinary: shared again and again": lambda: IGBINARY + b"\x25" * 1_000_000,
    "msgpack: a count that is a lie": lambda: b"\xdf\xff\xff\xff\xff",
    "msgpack: a length that is a lie": lambda: b"\xdb\xff\xff\xff\xffx",
    "msgpack: tiny values": lambda: b"\xdd\0\x10\0\0" + b"\0" * 2**20,
    "msgpack: nested arrays": lambda: b"\x91" * 1_000_000,
    "msgpack: nested maps": lambda: b"\x81\0" * 1_000_000,
    "msgpack: nested keys": lambda: b"\x81" * 1_000_000,
}


@pytest.mark.timed
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_time_and_memory(name: str) -> None:
    raw = BOMBS[name]()
    begun = time.process_time()
    assert refused(raw) in REASONS
    assert time.process_time() - begun < 2.5
    if "lzf: " not in name:  # tracemalloc is slow
        tracemalloc.start()
        try:
            refused(raw)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 3 * Limits().mail


def test_bounds_of_depth_and_count_are_those_of_serialize() -> None:
    assert refused(IGBINARY + b"\x14\1\x06\0" * (MAX_DEPTH + 1) + b"\0") == "too_deep"
    assert refused(b"\x91" * (MAX_DEPTH + 1) + b"\0") == "too_deep"
    assert refused(b"\xdd" + struct.pack(">I", MAX_VALUES) + b"\0" * MAX_VALUES) == "too_many_values"
    items = b"".join(b"\x08%b\0" % struct.pack(">H", number) for number in range(MAX_VALUES))
    many = b"\x16" + struct.pack(">I", MAX_VALUES) + items
    assert refused(IGBINARY + many) == "too_many_values"


# Objects are never read.


@pytest.mark.parametrize(
    "raw",
    [
        IGBINARY + b"\x17\x01A\x14\0", IGBINARY + b"\x14\1\x11\x02to\x17\x01A\x14\0", IGBINARY + b"\x1d\x01A\x01x",
        IGBINARY + b"\x14\1\x06\0\x27\x01A\x11\1x", IGBINARY + b"\x25\x17\x01A\x14\0", IGBINARY + b"\x22\0",
        b"\x82\xc0\xa1A\xa1x\x01", b"\x81\xa2to\x81\xc0\xa1A", b"\x82\xc0\x03\0\xa1A", b"\x82\xc0\x06\0\xa1A",
        b"\x81\xc0\xc0",
    ],
)  # fmt: skip
def test_an_object_is_refused(raw: bytes) -> None:
    for packed in (raw, lzf_of(raw), zstd_of(raw), lz4_of(raw)):
        assert refused(packed) == "php_object"


def test_the_entry_s_own_octets_are_what_a_dead_letter_keeps() -> None:
    """Nothing is unpacked before it is read: `giveback` and `dead` have the record's payload, see test_spool.py."""
    raw = golden("lzf-of-igbinary-array-short")
    assert isinstance(from_entry(raw, Limits()), Email)
    assert raw == golden("lzf-of-igbinary-array-short")


# The real PHP.


def _value(rng: random.Random, levels: int) -> Any:
    if levels and rng.random() < 0.5:
        number, large = rng.randrange(300), rng.randint(-(2**63), 2**63 - 1)
        keys = [rng.choice([large, number, f"k{number % 9}", ""]) for _ in range(5)]
        return {key: _value(rng, levels - 1) for key in keys}
    number, large = rng.randrange(-70_000, 70_000), rng.randint(-(2**63), 2**63 - 1)
    scalars = [None, True, False, number, large, rng.random() * 10.0 ** rng.randrange(30)]
    return rng.choice([*scalars, "", "text", "ü" * rng.randrange(300), "x" * 70_000, "5", "-7", "05"])


READERS = {"igbinary_serialize": igbinary.read, "msgpack_pack": messagepack.read}


@pytest.mark.parametrize("function", READERS)
def test_what_the_real_php_packs_is_read_as_it_was_meant(function: str) -> None:
    rng = random.Random(18)
    values = [_value(rng, 3) for _ in range(1500)]
    for text, packed in php_oracle.packs([serialized(value) for value in values], function):
        assert php_oracle.shown(READERS[function](packed)) == text


SHARED = [
    '$x = "q"; $v = ["a" => &$x, "b" => &$x, "c" => $x];',
    '$x = ["z"]; $v = ["a" => &$x, "b" => &$x, "c" => $x, "d" => &$x];',
    '$x = ["z"]; $y = ["w" => &$x]; $v = ["a" => ["q" => ["r"]], "b" => &$y, "c" => &$x, "d" => &$y];',
    '$to = ["a@b.c", "d@e.f"]; foreach ($to as &$t) $t = trim($t); $v = ["to" => $to, "body" => "a@b.c"];',
    '$n = null; $i = 5; $f = 1.5; $v = [&$n, &$i, &$f, &$n, &$i, &$f, "5" => &$i];',
    '$e = ""; $v = [&$e, &$e, "", [], "x" => [[]]];',
    '$x = []; $v = [&$x, &$x, "k" => &$x];',
]


@pytest.mark.parametrize("function", READERS)
@pytest.mark.parametrize("code", SHARED)
def test_variables_that_are_shared_are_read(code: str, function: str) -> None:
    [(text, packed)] = php_oracle.packs([code.encode()], function)
    assert php_oracle.shown(READERS[function](packed)) == text


@given(st.binary(max_size=60))
def test_any_octets_are_read_or_refused(data: bytes) -> None:
    for raw in (IGBINARY + data, b"\x82" + data, data):
        assert reason_or_none(raw) in {*REASONS, "bad_text", None}
