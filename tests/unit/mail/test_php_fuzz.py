"""Texts made to find a difference: the decoder should read what the real `unserialize()` reads, and nothing else.

Short by default; `MAILWORKER_FUZZ_SECONDS=600 pytest -s tests/unit/mail/test_php_fuzz.py` goes on for that long, about
a million texts a minute. A difference is printed with its text; where it is ours, it becomes a line of the table below.
"""

from __future__ import annotations

import base64
import math
import os
import random
import struct
import time
from collections.abc import Callable

import pytest

from mailworker.errors import Unsendable
from mailworker.mail.formats import php
from mailworker.mail.payload import WANTED

from . import php_oracle
from .test_corpus import CORPUS

SECONDS = float(os.environ.get("MAILWORKER_FUZZ_SECONDS", "3"))
BATCH = 20_000
BOUNDS = {"php_object", "too_deep", "too_many_values"}
"""PHP reads these, and we do not: objects, and what is nested or crowded beyond what a mail can be."""

NUMBERS = [
    "0", "1", "5", "-0", "+0", "+5", "007", "0" * 18 + "5", "0" * 19 + "5", "0" * 20 + "5", "-" + "0" * 19 + "5",
    "0" * 30 + "5", "-9223372036854775808", "9223372036854775807",
    "9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616",
    "18446744073709551617", "18446744073709551621", "1" * 25, "9" * 450, "4294967296", "4294967301", "2147483648",
    " 5", "5 ", "0x5", "5.", ".5", "-.5", "+.5", ".", "1e5", "1E+5", "1e", "e5", "1e-2147483648", "1e2147483648",
    "1e99999999999999999999", "0e99999999999", "1e-99999999999", "1.e5", "1.0E+25", "-1.5E-3", "1e400", "-1e400",
    "1e-400", "4.9e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "1.7976931348623158e308",
    "1.7976931348623159e308", "0." + "0" * 400 + "1e401", "1" + "0" * 400 + "e-400", "9" * 500 + "e-490", "1e+00005",
    "1e0000000000000000005", "1e19999", "0." + "0" * 3000 + "1e3001", "9007199254740993", "9007199254740993.0",
    "9007199254740992." + "0" * 30 + "1", "0.1", "INF", "-INF", "+INF", "NAN", "-NAN", "inf", "nan", "Infinity", "1_0",
    "\u0661", "1,5", "", "-", "+", "--1", "+-1", "1-1", "true",
]  # fmt: skip
DIGITS = "0123456789"


def _number(rng: random.Random) -> bytes:
    if rng.random() < 0.6:
        text = rng.choice(NUMBERS)
    else:
        text = rng.choice(["", "", "+", "-"]) + "".join(rng.choices(DIGITS, k=rng.choice([1, 1, 2, 5, 18, 19, 20, 40])))
        if rng.random() < 0.5:
            text += "." + "".join(rng.choices(DIGITS, k=rng.randrange(25)))
        if rng.random() < 0.5:
            text += rng.choice("eE") + rng.choice(["", "+", "-"])
            text += "".join(rng.choices(DIGITS, k=rng.choice([1, 2, 3, 3, 5, 10, 20])))
    return text.encode()


def _count(rng: random.Random, right: int) -> bytes:
    if rng.random() < 0.9:
        return b"%d" % right
    return rng.choice(
        [
            b"0" * rng.choice([1, 2, 11, 12, 40]) + b"%d" % right,
            b"+%d" % right,
            b"-%d" % right,
            b"%d" % (right + 2**64),
            b"%d" % (right + 2**32),
            b"%d" % (2**64 - 1),
            b" %d" % right,
            b"%d" % (right + rng.choice([1, -1])),
            _number(rng),
        ]
    )


def _string(rng: random.Random) -> bytes:
    text = rng.choice(
        [b"", b"a", b"to", b"subject", b"body", b"a@b.c", b'";', b"}", b"12", b"-5", b"007", rng.randbytes(5)]
    )
    if rng.random() < 0.1:
        escaped = b"".join(b"\\%02x" % octet if rng.random() < 0.5 or octet == 92 else b"%c" % octet for octet in text)
        return b'S:%b:"%b";' % (_count(rng, len(text)), escaped)
    return b's:%b:"%b";' % (_count(rng, len(text)), text)


def _scalar(rng: random.Random) -> bytes:
    match rng.randrange(10):
        case 0:
            return rng.choice([b"N;", b"N:;", b"n;", b"N:0;", b"N"])
        case 1:
            return b"b:%b;" % (rng.choice([b"0", b"1"]) if rng.random() < 0.7 else _number(rng))
        case 2 | 3:
            return b"i:%b;" % _number(rng)
        case 4 | 5 | 6:
            return b"d:%b;" % _number(rng)
        case 7:
            return b"%c:%b;" % (rng.choice(b"RRRr"), _count(rng, rng.randrange(9)))
        case _:
            return _string(rng)


def _value(rng: random.Random, levels: int) -> bytes:
    if not levels or rng.random() < 0.6:
        return _scalar(rng)
    items = [(_key(rng), _value(rng, levels - 1)) for _ in range(rng.randrange(5))]
    return b"a:%b:{%b}" % (_count(rng, len(items)), b"".join(key + value for key, value in items))


def _key(rng: random.Random) -> bytes:
    if rng.random() < 0.6:
        return rng.choice([b's:2:"to";', b's:7:"subject";', b's:4:"body";', b"i:0;", b"i:1;", b"i:-3;"])
    return rng.choice([_string, _string, _scalar])(rng)


def _mail(rng: random.Random) -> bytes:
    fields = [b's:2:"to";' + _value(rng, 2), b's:7:"subject";' + _value(rng, 1), b's:4:"body";' + _scalar(rng)]
    return b"a:%b:{%b}" % (_count(rng, 3), b"".join(fields))


LETTERS = b'0123456789:;{}"\\+-.abdisNRrSEeINFAOC \x00\xff\n'


def _damaged(rng: random.Random, text: bytes) -> bytes:
    result = bytearray(text)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(result) + 1)
        match rng.randrange(6):
            case 0:
                del result[at:]
            case 1:
                del result[at : at + rng.randrange(1, 4)]
            case 2:
                result[at:at] = bytes([rng.choice(LETTERS)])
            case 3:
                result[at : at + 1] = bytes([rng.choice(LETTERS)])
            case 4:
                result[at:at] = result[at : at + rng.randrange(12)]
            case _:
                result[at:at] = _scalar(rng)
    return bytes(result)


SEEDS = [raw for case in CORPUS.values() if 0 < len(raw := base64.b64decode(case["raw_b64"])) < 400]
MAKERS: list[Callable[[random.Random], bytes]] = [
    _scalar,
    lambda rng: _value(rng, 3),
    _mail,
    lambda rng: _damaged(rng, _scalar(rng)),
    lambda rng: _damaged(rng, _mail(rng)),
    lambda rng: _damaged(rng, rng.choice(SEEDS)),
]


def told(value: php.Value, levels: int = 2) -> str:
    """The value in the words of `php_oracle.tells`."""
    match value:
        case None:
            return "N"
        case bool():
            return f"b{value:d}"
        case int():
            return f"i{value}"
        case float():
            return "dNAN" if math.isnan(value) else "d" + struct.pack(">d", value).hex()
        case bytes():
            return "s" + value.hex()
        case dict():
            items = (f"{told(key)}={told(item, levels - 1)}" for key, item in value.items())
            return "a(" + ",".join(items) + ")"
        case _:
            return "opaque"


def ours(text: bytes) -> str | None:
    """What we read in it, "no" where it is refused, None where it is refused for a bound of ours."""
    try:
        return told(php.unserialize(text, WANTED)[0])
    except Unsendable as error:
        return None if error.reason in BOUNDS else "no"


def differences(texts: list[bytes]) -> list[tuple[bytes, str | None, str]]:
    return [
        (text, mine, theirs)
        for text, theirs in zip(texts, php_oracle.tells(texts, sorted(WANTED)), strict=True)
        if (mine := ours(text)) not in (theirs, None)
    ]


def test_made_up_and_damaged_texts_are_read_as_the_real_php_reads_them() -> None:
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    end = time.monotonic() + SECONDS
    count = 0
    while not count or time.monotonic() < end:
        texts = [rng.choice(MAKERS)(rng) for _ in range(BATCH)]
        count += len(texts)
        assert differences(texts) == [], f"seed {seed}"
    print(f"{count} texts, seed {seed}")


@pytest.mark.parametrize("number", NUMBERS)
def test_each_number_is_read_as_the_real_php_reads_it_wherever_it_stands(number: str) -> None:
    text = number.encode()
    assert differences(
        [
            b"i:%b;" % text, b"d:%b;" % text, b"b:%b;" % text, b's:%b:"01234";' % text, b'S:%b:"01234";' % text,
            b"a:%b:{i:0;N;}" % text, b"a:%b:{}" % text, b"a:1:{i:%b;N;}" % text, b"a:2:{i:0;i:7;i:1;R:%b;}" % text,
            b'a:1:{s:2:"to";a:1:{i:%b;N;}}' % text, b'a:1:{s:2:"to";a:1:{s:%d:"%b";N;}}' % (len(text), text),
        ]
    ) == []  # fmt: skip
