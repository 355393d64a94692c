"""The relaxed form of RFC 6376, 3.4: what a relay may do to blanks and folds changes nothing in it, all else does."""

from __future__ import annotations

import re
import tracemalloc
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailworker.mail.signing import relaxed

OF_THE_RFC = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n"


def plainly(body: bytes) -> bytes:
    """As 3.4.4 words it, line by line."""
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def hashed(body: bytes) -> bytes:
    return relaxed.body_hash(b"A: b\r\n\r\n" + body, 8)


def test_the_example_of_the_rfc() -> None:
    head, begin = relaxed.head_and_body(OF_THE_RFC)
    assert relaxed.fields(head) == {b"a": [b"X"], b"b": [b"Y Z"]}
    assert relaxed.body_hash(OF_THE_RFC, begin) == sha256(b" C\r\nD E\r\n").digest()


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b"", b""),
        (b"\r\n", b""),
        (b"\r\n\r\n", b""),
        (b" \t\r\n \r\n", b""),
        (b"a", b"a\r\n"),
        (b"a \t", b"a\r\n"),
        (b"a\r\n\r\n \r\n\t\r\n", b"a\r\n"),
        (b"  a\r\n", b" a\r\n"),
        (b"\t\ta \t b\t\r\n", b" a b\r\n"),
        (b"a\r\n\r\n\r\nb\r\n", b"a\r\n\r\n\r\nb\r\n"),
        (b"a\x0b\x0c\r\n", b"a\x0b\x0c\r\n"),
        (b"a\xc2\xa0\r\n", b"a\xc2\xa0\r\n"),
        (b" " * 5000 + b"a" + b" \t" * 5000 + b"\r\n", b" a\r\n"),
        (b"a\r\n" + b" \r\n" * 5000, b"a\r\n"),
    ],
)
def test_blanks_are_single_none_ends_a_line_and_no_empty_line_ends_a_body(body: bytes, form: bytes) -> None:
    assert plainly(body) == form
    assert hashed(body) == sha256(form).digest()


@given(
    st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"  ", b"bc", b"\xc3\xbc", b" \r\n", b"\x0b"]), max_size=60)
)
def test_any_body_is_hashed_as_the_rfc_words_it(parts: list[bytes]) -> None:
    body = b"".join(parts)
    assert hashed(body) == sha256(plainly(body)).digest()


@given(st.data(), st.integers(1, 9))
@example(None, 1)
def test_wherever_its_pieces_are_cut(data: st.DataObject | None, piece: int) -> None:
    body = b" a  b \r\n\r\n\tc\r\n \r\n" if data is None else data.draw(bodies())
    before, relaxed.PIECE = relaxed.PIECE, piece  # type: ignore[misc]
    try:
        assert hashed(body) == sha256(plainly(body)).digest()
    finally:
        relaxed.PIECE = before  # type: ignore[misc]


def bodies() -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"abcdefgh"]), max_size=40).map(b"".join)


def test_a_large_body_is_not_copied() -> None:
    message = b"A: b\r\n\r\n" + b"some text  with blanks \r\n" * 1000 + (b"A" * 76 + b"\r\n") * 65_000
    tracemalloc.start()
    try:
        relaxed.body_hash(message, relaxed.head_and_body(message)[1])
        assert tracemalloc.get_traced_memory()[1] < 5 * relaxed.PIECE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("message", "head", "begin"),
    [
        (b"A: b\r\n\r\nbody", b"A: b", 8),
        (b"A: b\r\n\r\n", b"A: b", 8),
        (b"A: b\r\n", b"A: b", 6),
        (b"\r\nbody", b"", 2),
        (b"", b"", 0),
        (b"A: b\r\n \r\n\r\nbody", b"A: b\r\n ", 11),
    ],
)
def test_the_first_empty_line_ends_the_headers(message: bytes, head: bytes, begin: int) -> None:
    assert relaxed.head_and_body(message) == (head, begin)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (b" x", b"x"),
        (b"\tx \t", b"x"),
        (b" a\r\n b", b"a b"),
        (b" a\r\n\t\t b\r\n ", b"a b"),
        (b"a\x0bb", b"a\x0bb"),
        (b" =?utf-8?B?w7w=?=\r\n =?utf-8?B?w7w=?=", b"=?utf-8?B?w7w=?= =?utf-8?B?w7w=?="),
        (b" a\r\n \r\n\t\r\n b", b"a b"),
        (b"", b""),
        (b" " * 10_000, b""),
    ],
)
def test_a_header_is_one_line(value: bytes, form: bytes) -> None:
    assert relaxed.fields(b"A:" + value + b"\r\nB:" + value) == {b"a": [form], b"b": [form]}


def test_headers_are_known_by_their_names_in_any_case_from_top_to_bottom() -> None:
    head = b"To: 1\r\nX: a\r\n b\r\nTO : 2\r\nnot a header\r\nto:3"
    assert relaxed.fields(head) == {b"to": [b"1", b"2", b"3"], b"x": [b"a b"]}
