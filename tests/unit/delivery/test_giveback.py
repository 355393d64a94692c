"""What goes back to the old daemon goes as it was, and in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from mailworker.delivery.chunks import CHUNK, in_chunks
from mailworker.delivery.giveback import GivenBack, entries, give_back
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email, Limits, RawMail
from mailworker.mail.entry import to_php
from mailworker.mail.frame import to_record
from mailworker.spool import Queries, Spool, Waiting

OLD = (1, "old", Waiting("queue:email", b"\0 as it was", reached=False))
REACHED = (2, "reached", Waiting("queue:other", b"somebody has it", reached=True))
NEW_CODE = (3, "new", Waiting("", b'{"to":"a@x.org","subject":"s","body":"b"}', reached=False))
OTHER = (4, "other", Waiting("queue:other", b"of another list", reached=False))
NO_MAIL = (5, "none", Waiting("", b"no mail", reached=False))


PAST, FUTURE = 1_000_000_000_000, 9_000_000_000_000
TO = (Mailbox("a@x.org"),)


class Kept:
    """A spool in which these wait; `given` are those that left it."""

    def __init__(self, *waiting: tuple[int, str, Waiting]) -> None:
        self.queues = ["queue:email"]
        self.given: list[str] = []
        self._waiting = list(waiting)

    def waiting(self, dead: bool) -> list[tuple[int, str, Waiting]]:
        return self._waiting

    def give_back(self, mails: Sequence[tuple[str, str, bytes]]) -> int:
        self.given += [mail_id for mail_id, _, _ in mails]
        return len(mails)


def waits(name: str, payload: bytes, source: str = "", since: int = 0, expires: int = 0) -> tuple[int, str, Waiting]:
    return 9, name, Waiting(source, payload, reached=False, since=since, expires=expires)


def test_what_the_old_daemon_would_not_send_as_it_is_meant_stays_and_is_counted() -> None:
    frames = [
        waits("html", to_record(Email(TO, b"s", b"b", html=b"<p>b"))),
        waits("copy", to_record(Email(TO, b"s", b"b", cc=TO))),
        waits("raw", to_record(RawMail(("a@x.org",), "", b"Subject: s\r\n\r\nb\r\n"))),
    ]
    over = waits("over", to_record(Email(TO, b"s", b"b")), expires=PAST)
    later = waits("later", to_record(Email(TO, b"s", b"b")), since=FUTURE)
    in_time = waits("in time", to_record(Email(TO, b"s", b"b")), since=PAST, expires=FUTURE)
    pushed = waits("pushed", b"12\nlooks like a frame", source="queue:email")
    kept = Kept(OLD, REACHED, NEW_CODE, *frames, over, later, in_time, pushed)
    back = give_back(cast(Spool, kept), cast(Queries, kept), Limits(), dead=False, progress=lambda *_: None)
    assert back == GivenBack(given=4, kept=1, beyond=5)
    assert kept.given == ["pushed", "in time", "new", "old"]


def test_the_newest_goes_first_and_each_to_its_list() -> None:
    assert entries([OLD, NEW_CODE, OTHER, NO_MAIL], "queue:email", Limits()) == [
        ("none", "queue:email", b"no mail"),
        ("other", "queue:other", b"of another list"),
        ("new", "queue:email", to_php(Email((Mailbox("a@x.org"),), b"s", b"b"))),
        ("old", "queue:email", b"\0 as it was"),
    ]


@pytest.mark.parametrize(
    ("number", "told"), [(0, []), (1, [(1, 1)]), (CHUNK, [(CHUNK, CHUNK)]), (CHUNK + 1, [(CHUNK, 201), (201, 201)])]
)
def test_many_go_in_chunks_and_it_is_told_how_far_that_is(number: int, told: list[tuple[int, int]]) -> None:
    seen: list[int] = []
    progress: list[tuple[int, int]] = []

    def act(chunk: Sequence[int]) -> int:
        seen.extend(chunk)
        return len(chunk)

    assert in_chunks(range(number), act, lambda done, of: progress.append((done, of))) == number
    assert (seen, progress) == ([*range(number)], told)
