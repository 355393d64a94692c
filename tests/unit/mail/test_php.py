"""The decoder reads what PHP writes, as PHP reads it; what PHP refuses, it refuses."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworker.errors import Unsendable
from mailworker.mail.formats import php
from mailworker.mail.formats.php import Opaque, array_key, text_of

from . import php_oracle

EVERY = frozenset((b"a", b"b", b"c", b"to", b"subject", b"body"))


def value_of(text: bytes) -> Any:
    value, end = php.unserialize(text, EVERY)
    assert end == len(text)
    return value


def reason_of(text: bytes) -> str:
    with pytest.raises(Unsendable) as caught:
        php.unserialize(text, EVERY)
    return caught.value.reason


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"N;", None),
        (b"b:1;", True),
        (b"b:0;", False),
        (b"i:-7;", -7),
        (b"i:9223372036854775807;", 2**63 - 1),
        (b"i:9223372036854775808;", 2**63 - 1),
        (b"i:-9223372036854775809;", -(2**63)),
        (b"d:0.5;", 0.5),
        (b"d:1.0E+100;", 1e100),
        (b"d:INF;", float("inf")),
        (b"d:-INF;", float("-inf")),
        (b's:0:"";', b""),
        (b's:3:"a"b";', b'a"b'),
        (b's:2:"\xc3\xa9";', b"\xc3\xa9"),
        (b's:4:"";x;";', b'";x;'),
        (b'S:3:"\\41b\\00";', b"Ab\0"),
        (b"a:0:{}", {}),
        (b'a:1:{s:1:"a";a:2:{i:0;s:1:"x";s:1:"7";N;}}', {b"a": {0: b"x", 7: None}}),
        (b'a:2:{s:1:"a";i:1;s:1:"a";i:2;}', {b"a": 2}),
        (b'a:2:{s:1:"a";s:1:"x";s:1:"b";R:2;}', {b"a": b"x", b"b": b"x"}),
        (b'a:2:{s:1:"a";a:1:{i:0;s:1:"x";}s:1:"b";R:2;}', {b"a": {0: b"x"}, b"b": {0: b"x"}}),
        (b'a:2:{s:1:"a";a:1:{i:0;s:1:"x";}s:1:"b";R:3;}', {b"a": {0: b"x"}, b"b": b"x"}),
        (b'a:2:{s:1:"z";a:1:{i:0;i:5;}s:1:"b";i:1;}', {b"b": 1}),
    ],
)
def test_values(text: bytes, value: Any) -> None:
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


def test_not_a_number_and_negative_zero() -> None:
    assert value_of(b"d:NAN;") != value_of(b"d:NAN;")
    assert struct.pack(">d", value_of(b"d:-0;")) == struct.pack(">d", -0.0)


def test_what_lies_below_the_second_level_is_not_built() -> None:
    assert isinstance(value_of(b'a:1:{s:1:"a";a:1:{i:0;a:0:{}}}')[b"a"][0], Opaque)


def test_an_array_that_holds_itself_ends() -> None:
    assert isinstance(value_of(b'a:1:{s:1:"a";R:1;}')[b"a"][b"a"], Opaque)


def test_octets_after_the_value_are_counted_and_not_read() -> None:
    assert php.unserialize(b"i:1;O:1:", EVERY) == (1, 4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "php_syntax"),
        (b"N", "php_syntax"),
        (b"b:2;", "php_syntax"),
        (b"i:;", "php_syntax"),
        (b"i:1.5;", "php_syntax"),
        (b"d:;", "php_syntax"),
        (b"d:inf;", "php_syntax"),
        (b's:5:"abc";', "php_syntax"),
        (b's:2:"abc";', "php_syntax"),
        (b's:99999999999999:"x";', "php_syntax"),
        (b's:-1:"";', "php_syntax"),
        (b'S:1:"\\4";', "php_syntax"),
        (b'S:1:"\\zz";', "php_syntax"),
        (b"a:1:{}", "php_syntax"),
        (b"a:0:{i:0;N;}", "php_syntax"),
        (b"a:1:{N;N;}", "php_syntax"),
        (b"a:1:{d:1;N;}", "php_syntax"),
        (b"a:1:{R:1;N;}", "php_syntax"),
        (b"a:99999999999:{", "php_syntax"),
        (b"a:-1:{}", "php_syntax"),
        (b"R:1;", "php_syntax"),
        (b"a:1:{i:0;R:2;}", "php_syntax"),
        (b"a:1:{i:0;R:0;}", "php_syntax"),
        (b"a:1:{i:0;r:1;}", "php_syntax"),  # `r:` names an object, and there is none
        (b'O:8:"stdClass":0:{}', "php_object"),
        (b'a:1:{i:0;O:8:"stdClass":0:{}}', "php_object"),
        (b'C:4:"Evil":2:{ab}', "php_object"),
        (b'E:7:"Suit:Up";', "php_object"),
        (b"a:1:{i:0;" * 200 + b"N;" + b"}" * 200, "too_deep"),
        (b"a:40000:{" + b"i:0;N;" * 40000 + b"}", "too_many_values"),
        (b"a:40000:{i:0;N;" + b"i:0;R:1;" * 39999 + b"}", "too_many_values"),
        (b'S:40000:"' + b"\\41" * 40000 + b'";', "too_many_values"),
    ],
)
def test_what_is_refused(text: bytes, reason: str) -> None:
    assert reason_of(text) == reason


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        (b"0", 0), (b"-7", -7), (b"7", 7), (b"9223372036854775807", 2**63 - 1),
        (b"9223372036854775808", b"9223372036854775808"), (b"07", b"07"), (b"-0", b"-0"), (b"+1", b"+1"),
        (b"1.0", b"1.0"), (b"", b""), (b" 1", b" 1"), (b"1\n", b"1\n"),
    ],
)  # fmt: skip
def test_keys_that_look_like_integers_are_integers(key: bytes, kept: php.Key) -> None:
    assert array_key(key) == kept


FLOATS = [
    0.0, -0.0, 1.0, -1.5, 0.1, 0.1 + 0.2, 1 / 3, 1e14, 1e15, 123456789012345678.0, 1e25, 1e100, 1e-4, 1e-5, 1.5e-5,
    12345678901234.5, 99999999999999.9, 999999999999999.0, 5e-324, 1.7976931348623157e308, -1e22,
    0.00012345678901234567,    float("inf"), float("-inf"), float("nan"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, b""), (False, b""), (True, b"1"), (42, b"42"), (-1, b"-1"), (b"\xff", b"\xff"), (0.1 + 0.2, b"0.3"),
        (-0.0, b"-0"), (1e25, b"1.0E+25"), (1.5e-7, b"1.5E-7"), (1e15, b"1.0E+15"), (float("inf"), b"INF"),
        (float("-inf"), b"-INF"), (float("nan"), b"NAN"), (100000.0, b"100000"),
    ],
)  # fmt: skip
def test_scalars_become_text_as_php_casts_them(value: php.Scalar, text: bytes) -> None:
    assert text_of(value) == text


def test_floats_become_text_as_the_real_php_casts_them() -> None:
    rng = random.Random(14)
    floats = FLOATS + [rng.uniform(-1, 1) * 10.0 ** rng.randint(-30, 30) for _ in range(3000)]
    floats += [struct.unpack(">d", rng.randbytes(8))[0] for _ in range(1000)]
    wrong = [
        (value, text_of(value), cast)
        for value, (_, cast) in zip(floats, php_oracle.writes(floats), strict=True)
        if text_of(value) != cast
    ]
    assert wrong == []


def _random_value(rng: random.Random, levels: int) -> Any:
    kind = rng.randrange(8 if levels else 6)
    if kind >= 6:
        keys = [_random_key(rng) for _ in range(rng.randrange(5))]
        return {key: _random_value(rng, levels - 1) for key in keys}
    if kind == 5:
        return rng.choice([*FLOATS[:-1], rng.random() * 1e6])
    return [None, True, False, rng.randint(-(2**63), 2**63 - 1), rng.randbytes(rng.randrange(20))][kind]


def _random_key(rng: random.Random) -> Any:
    return rng.choice([rng.randrange(-9, 99), b"%d" % rng.randrange(99), rng.randbytes(rng.randrange(1, 6)), b"k y"])


def _as_php_keeps_it(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {array_key(key): _as_php_keeps_it(item) for key, item in value.items()}


def test_what_the_real_php_writes_is_read_as_it_was_meant() -> None:
    rng = random.Random(8)
    values = [{b"a": _random_value(rng, 1), b"b": _random_value(rng, 1), 3: None} for _ in range(2000)]
    for value, (text, _) in zip(values, php_oracle.writes(values), strict=True):
        expected = _as_php_keeps_it(value)
        del expected[3]
        assert repr(value_of(text)) == repr(expected), text


SEEDS = [
    b'a:3:{s:2:"to";a:1:{s:5:"a@b.c";s:6:"A name";}s:4:"body";s:4:"text";s:7:"subject";i:17;}',
    b'a:3:{s:1:"a";d:-1.5E+25;s:1:"b";a:2:{i:0;b:1;i:-5;N;}s:1:"c";R:3;}',
    b'a:2:{s:2:"aa";S:3:"\\41bc";i:0;R:1;}',
    b"a:4:{i:0;d:INF;i:1;d:NAN;i:2;d:.5;i:3;d:5.e3;}",
    b's:11:"hello world";', b"d:0.1;", b"i:+42;", b"b:1;", b"N;", b"R:1;", b"a:1:{i:0;r:1;}",
]  # fmt: skip
OCTETS = b'0123456789:;{}"\\+-.abdisNRrSEeINFA\x00 \xff'


def _mutated(rng: random.Random, text: bytes) -> bytes:
    result = bytearray(text)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(result) + 1)
        match rng.randrange(5):
            case 0:
                del result[at:]
            case 1:
                del result[at : at + 1]
            case 2:
                result[at:at] = bytes([rng.choice(OCTETS)])
            case 3:
                result[at : at + 1] = bytes([rng.choice(OCTETS)])
            case _:
                end = at + rng.randrange(12)
                result[at:at] = result[at:end]
    return bytes(result)


def _reads(text: bytes) -> bool | None:
    """Whether the decoder accepts it; None where it refuses what PHP may well read."""
    try:
        php.unserialize(text, EVERY)
    except Unsendable as error:
        return False if error.reason == "php_syntax" else None
    return True


def test_damaged_texts_are_accepted_and_refused_as_the_real_php_does() -> None:
    rng = random.Random(2)
    texts = [*SEEDS, *(seed[:end] for seed in SEEDS for end in range(len(seed)))]
    texts += [_mutated(rng, rng.choice(SEEDS)) for _ in range(30_000)]
    verdicts = php_oracle.reads(texts)
    assert sum(accepted for accepted, _ in verdicts) > 2000
    wrong = [
        (text, accepted)
        for text, (accepted, _) in zip(texts, verdicts, strict=True)
        if _reads(text) not in (accepted, None)
    ]
    assert wrong == []


def test_damaged_scalars_have_the_value_the_real_php_reads() -> None:
    rng = random.Random(3)
    seeds = [
        b"i:120;",
        b"i:-9223372036854775808;",
        b"d:12.5E-3;",
        b"d:1.0E+25;",
        b's:3:"abc";',
        b'S:2:"\\41b";',
        b"b:0;",
    ]
    texts = [_mutated(rng, rng.choice(seeds)) for _ in range(10_000)]
    for text, (accepted, cast) in zip(texts, php_oracle.reads(texts), strict=True):
        if accepted and cast is not None:
            assert text_of(php.unserialize(text, EVERY)[0]) == cast, text  # type: ignore[arg-type]


@given(st.binary(max_size=200) | st.text('0123456789:;{}"\\NRabdisOCE', max_size=60).map(str.encode))
def test_any_octets_are_read_or_refused_with_a_reason(data: bytes) -> None:
    try:
        _, end = php.unserialize(data, EVERY)
    except Unsendable as error:
        reason = error.reason
    else:
        assert 0 < end <= len(data)
        return
    assert reason in {"php_syntax", "php_object", "too_deep", "too_many_values"}
