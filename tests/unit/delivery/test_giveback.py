"""What goes back to the old daemon goes as it was, and in its order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mailworker.delivery.chunks import CHUNK, in_chunks
from mailworker.delivery.giveback import entries
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email, Limits
from mailworker.mail.entry import to_php
from mailworker.spool import Waiting

OLD = (1, "old", Waiting("queue:email", b"\0 as it was", reached=False))
REACHED = (2, "reached", Waiting("queue:other", b"somebody has it", reached=True))
NEW_CODE = (3, "new", Waiting("", b'{"to":"a@x.org","subject":"s","body":"b"}', reached=False))
OTHER = (4, "other", Waiting("queue:other", b"of another list", reached=False))
NO_MAIL = (5, "none", Waiting("", b"no mail", reached=False))


def test_the_newest_goes_first_and_who_may_have_it_keeps_it() -> None:
    assert entries([OLD, REACHED, NEW_CODE, OTHER, NO_MAIL], "queue:email", Limits()) == [
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
