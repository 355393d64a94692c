"""The short way through a common entry should never say anything else than the long way."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailworker.errors import Unsendable
from mailworker.mail.formats import php
from mailworker.mail.payload import WANTED

CORPUS = json.loads((Path(__file__).parents[2] / "data" / "corpus.json").read_text("utf-8"))


def string(text: bytes) -> bytes:
    return b's:%d:"%s";' % (len(text), text)


def array(items: list[tuple[bytes, bytes]]) -> bytes:
    return b"a:%d:{%s}" % (len(items), b"".join(key + value for key, value in items))


def the_long_way(data: bytes) -> object:
    try:
        scan = php._Scan(data)
        return scan.build(0, levels=2, wanted=WANTED), scan.end
    except Unsendable as error:
        return error.reason


strings = st.binary(max_size=12).map(string)
keys = st.one_of(
    strings, st.sampled_from([string(name) for name in sorted(WANTED)]), st.integers(-3, 99).map(lambda n: b"i:%d;" % n)
)
scalars = st.one_of(strings, st.sampled_from([b"N;", b"i:5;", b"b:1;", b"d:1.5;", b"R:1;", b"R:2;", b'O:1:"x":0:{}']))
inner = st.lists(st.tuples(keys, scalars), max_size=4).map(array)
entries = st.lists(st.tuples(keys, st.one_of(scalars, inner)), max_size=5).map(array)


@settings(max_examples=500, deadline=None)
@given(entries, st.binary(max_size=3))
def test_it_agrees_with_the_scan_or_leaves_the_text_to_it(data: bytes, behind: bytes) -> None:
    short = php._plain(data + behind, WANTED)
    assert short is None or short == the_long_way(data + behind)


@settings(max_examples=500, deadline=None)
@given(entries, st.integers(0, 200), st.binary(max_size=2))
def test_it_agrees_where_the_text_is_damaged(data: bytes, at: int, patch: bytes) -> None:
    damaged = data[:at] + patch + data[at + len(patch) :]
    short = php._plain(damaged, WANTED)
    assert short is None or short == the_long_way(damaged)


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_it_agrees_on_the_corpus(name: str) -> None:
    raw = b64decode(CORPUS[name]["raw_b64"])
    short = php._plain(raw, WANTED)
    assert short is None or short == the_long_way(raw)


def test_it_takes_the_entry_that_the_tutorial_s_producers_push() -> None:
    assert php._plain(b64decode(CORPUS["seed"]["raw_b64"]), WANTED) is not None


@pytest.mark.parametrize(
    "text", [b"a:+1:{}", b"a: 1:{}", b"a:1_0:{}", b'a:1:{s:1_0:"0123456789";N;}', b"a:65:{", b"a:1:{"]
)
def test_what_only_python_takes_for_a_number_is_left_to_the_scan(text: bytes) -> None:
    assert php._plain(text, WANTED) is None
