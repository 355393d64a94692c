"""Files that are kept once in the spool: each is read and encoded once in a process, where several mails have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from mailworker.delivery import files as module
from mailworker.delivery.files import Files
from mailworker.errors import Unsendable
from mailworker.mail.email import Email
from mailworker.mail.encoding import base64
from mailworker.mail.file import File
from mailworker.spool import Spool

SIZE = 900
PART = len(base64(b"x" * SIZE))


class Blobs:
    """The files of a spool, how many records need each, and what was asked for."""

    def __init__(self, *digests: str, uses: int = 1) -> None:
        self.kept = {digest: digest.encode() * SIZE for digest in digests}
        self.uses = uses
        self.calls: list[list[str]] = []
        self.asked: list[list[str]] = []

    def blobs(self, digests: Sequence[str]) -> dict[str, bytes]:
        self.calls.append(list(digests))
        return {digest: self.kept[digest] for digest in digests if digest in self.kept}

    def blob_uses(self, digests: Sequence[str]) -> dict[str, int]:
        self.asked.append(list(digests))
        return dict.fromkeys(digests, self.uses)


def mail(*digests: str, inline: str = "") -> Email:
    attachments = tuple(File(f"{digest}.pdf", "application/pdf", None, digest) for digest in digests)
    shown = (File("logo.png", "image/png", None, inline, "logo"),) if inline else ()
    return Email((), b"s", b"t", attachments=attachments, inline=shown)


def files_of(spool: Blobs, most: int = 1_000_000) -> Files:
    return Files(cast(Spool, spool), most)


def test_a_file_of_one_mail_comes_as_it_is_and_is_not_kept() -> None:
    spool = Blobs("a", "b")
    email, parts = files_of(spool).fetched(mail("a", inline="b"))
    assert [file.content for file in email.files] == [b"b" * SIZE, b"a" * SIZE]
    assert parts == {}
    assert spool.calls == [["b", "a"]]


def test_a_file_that_several_records_need_is_read_and_encoded_once() -> None:
    spool = Blobs("a", uses=2)
    files = files_of(spool)
    for _ in range(3):
        email, parts = files.fetched(mail("a"))
        assert [file.content for file in email.files] == [None]
        assert parts == {"a": base64(b"a" * SIZE)}
    assert (spool.calls, spool.asked) == ([["a"]], [["a"]])


def test_a_file_that_comes_again_is_one_of_several_mails() -> None:
    """Where a program sends as fast as we do, there is never more than one record at a time."""
    spool = Blobs("a", "b")
    files = files_of(spool)
    assert [dict(files.fetched(mail(*digests))[1]).keys() for digests in ("a", "ab", "ab", "b")] == [
        set(), {"a"}, {"a", "b"}, {"b"},
    ]  # fmt: skip
    assert spool.calls == [["a"], ["a", "b"], ["b"]]


def test_no_more_than_the_bound_is_kept_and_the_least_used_goes_first() -> None:
    spool = Blobs("a", "b", "c", uses=2)
    files = files_of(spool, 2 * PART)
    for digest in "abac":
        files.fetched(mail(digest))
    spool.calls.clear()
    for digest in "acb":
        files.fetched(mail(digest))
    assert spool.calls == [["b"]]


def test_one_that_is_larger_than_the_bound_is_used_and_not_kept() -> None:
    spool = Blobs("a", uses=2)
    files = files_of(spool, PART - 1)
    assert files.fetched(mail("a"))[1] == files.fetched(mail("a"))[1] == {"a": base64(b"a" * SIZE)}
    assert spool.calls == [["a"], ["a"]]


def test_what_nobody_needed_for_a_while_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    spool = Blobs("a", "b", uses=2)
    files = files_of(spool)
    files.fetched(mail("a", "b"))
    now[0] += module.IDLE - 1
    files.fetched(mail("b"))
    now[0] += 2
    files.let_go()
    spool.calls.clear()
    files.fetched(mail("a", "b"))
    assert spool.calls == [["a"]]


def test_which_files_were_seen_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEEN", 2)
    files = files_of(Blobs("a", "b", "c"))
    for digest in "abc":
        files.fetched(mail(digest))
    assert files.fetched(mail("a"))[1] == {}


def test_a_file_that_is_gone_is_a_dead_letter_that_says_so() -> None:
    with pytest.raises(Unsendable, match="a file of it is gone from Redis") as raised:
        files_of(Blobs("a")).fetched(mail("a", "b"))
    assert raised.value.reason == "gone"
