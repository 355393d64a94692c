"""Replies are read as a whole, however their octets come, and what is none is refused."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworker.errors import OutOfStep, SmtpError
from mailworker.smtp.replies import MAX_REPLY, Reply, ReplyReader


class Pieces:
    """A socket from which these pieces come, one at each call, and then the end."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def recv(self, size: int) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def gettimeout(self) -> float:
        return 0

    def settimeout(self, seconds: float) -> None:
        pass

    def setsockopt(self, *option: int) -> None:
        pass


def reader(*pieces: bytes) -> ReplyReader:
    sock: Any = Pieces(*pieces)
    return ReplyReader(sock)


def read(*pieces: bytes) -> Reply:
    return reader(*pieces).read("MAIL", 5)


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (b"250 Ok\r\n", Reply(250, "Ok")),
        (b"250 Ok\n", Reply(250, "Ok")),
        (b"250\r\n", Reply(250, "")),
        (b"250 \r\n", Reply(250, "")),
        (b"250-a\r\n250-b\r\n250 c\r\n", Reply(250, "a\nb\nc")),
        (b"250-a\r\n250\r\n", Reply(250, "a\n")),
        (b"550 5.1.1 nob\xc3\xb6dy\r\n", Reply(550, "5.1.1 nobödy")),
        (b"550 \xff\r\n", Reply(550, "\\xff")),
        (b"\x00250 O\x1b[2Jk\x00\r\n", Reply(250, "O[2Jk")),
        (b"250 a\tb\r\n", Reply(250, "a\tb")),
        (b"250 " + b"x" * 600 + b"\r\n", Reply(250, "x" * 600)),
    ],
)
def test_a_reply_is_its_code_and_the_text_of_all_its_lines(octets: bytes, reply: Reply) -> None:
    assert read(octets) == reply


@given(st.lists(st.sampled_from([b"250 Ok", b"250-a\r\n250 b", b"354 go", b"421 bye", b"550-x\r\n550 y"])), st.data())
def test_where_the_octets_are_cut_makes_no_difference(replies: list[bytes], data: st.DataObject) -> None:
    octets = b"".join(one + b"\r\n" for one in replies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)))))
    pieces = [octets[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    found = reader(*filter(None, pieces))
    assert [found.read("MAIL", 5).code for _ in replies] == [int(one[:3]) for one in replies]
    assert found.count == len(replies)
    assert not found.buffered


@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n",
        b"25 Ok\r\n",
        b"2500 Ok\r\n",
        b"150 wait\r\n",
        b"600 what\r\n",
        b"250-a\r\n550 b\r\n",
        b"250-a\r\n\r\n",
        b"\r\n",
        b"x" * (MAX_REPLY + 2),
        b"250-x\r\n" * (MAX_REPLY // 4),
    ],
)
def test_what_is_no_reply_is_refused(octets: bytes) -> None:
    with pytest.raises(OutOfStep) as caught:
        read(octets)
    assert (caught.value.phase, caught.value.code) == ("MAIL", 0)


@pytest.mark.parametrize("pieces", [(), (b"250",), (b"250-a\r\n",)])
def test_an_end_within_a_reply_is_the_relays(pieces: tuple[bytes, ...]) -> None:
    found = reader(*pieces)
    with pytest.raises(SmtpError, match="closed") as caught:
        found.read("RCPT", 5)
    assert not isinstance(caught.value, OutOfStep)
    assert found.closed


def test_after_the_last_words_nothing_is_waited_for() -> None:
    found = reader(b"250 Ok\r\n550 no\r\n250-", b"a")
    found.last_words()
    begun = time.monotonic()
    assert [found.read("RCPT", 60).code for _ in range(2)] == [250, 550]
    with pytest.raises(SmtpError):
        found.read("message", 60)
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    ("code", "positive", "intermediate", "transient"),
    [(250, True, False, False), (354, False, True, False), (450, False, False, True), (550, False, False, False)],
)
def test_a_code_says_what_it_is(code: int, positive: bool, intermediate: bool, transient: bool) -> None:
    reply = Reply(code, "")
    assert (reply.positive, reply.intermediate, reply.transient) == (positive, intermediate, transient)
