"""Of many dead letters those that are meant, with their payloads only where somebody wants them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from mailworker.delivery.dead_letters import Selection, addresses, as_fields, message_of, missing, select
from mailworker.mail.address import Mailbox
from mailworker.mail.author import Author
from mailworker.mail.email import Email, Limits, RawMail
from mailworker.mail.frame import to_record
from mailworker.mail.signing.dkim import Signers
from mailworker.mail.signing.dkim_keys import Source
from mailworker.spool import DeadLetter, Queries

NOW = 1_000_000.0


def letter(name: str, reason: str = "format", dead_for: float = 0, to: str = "", recipients: str = "") -> DeadLetter:
    raw = json.dumps({"to": to, "subject": "s", "body": "b"}).encode() if to else b"?"
    ended = round((NOW - dead_for) * 1000)
    return DeadLetter(name, reason, "", "queue:email", 1, raw, ended - 5000, ended, recipients)


class Kept:
    """Dead letters as the spool has them, and whose payloads were read."""

    def __init__(self, *letters: DeadLetter) -> None:
        self.letters = {letter.id: letter for letter in letters}
        self.read: list[str] = []

    def dead_letters(self, ids: Sequence[str] | None = None, payloads: bool = True) -> Iterator[DeadLetter]:
        assert not payloads
        for found in self.letters.values():
            if ids is None or found.id in ids:
                yield replace(found, raw=b"")

    def whole(self, letter: DeadLetter) -> DeadLetter | None:
        self.read.append(letter.id)
        return self.letters.get(letter.id)


def selected(kept: Kept, wanted: Selection, payloads: bool = False) -> list[str]:
    return [found.id for found in select(cast(Queries, kept), wanted, NOW, Limits(), payloads)]


LETTERS = (
    letter("old", dead_for=7200),
    letter("ann", "message_refused", dead_for=60, to="ann@example.com"),
    letter("part", "recipient_refused", to="bob@example.com", recipients='["Carl@example.com"]'),
)


@pytest.mark.parametrize(
    ("wanted", "ids", "read"),
    [
        (Selection(), ["old", "ann", "part"], []),
        (Selection(("part", "old")), ["old", "part"], []),
        (Selection(reason="format"), ["old"], []),
        (Selection(age=60), ["old", "ann"], []),
        (Selection(age=61, reason="message_refused"), [], []),
        # A payload is read where the record does not say for whom it was.
        (Selection(recipient="ANN@example.com"), ["ann"], ["old", "ann"]),
        (Selection(recipient="carl@example.com"), ["part"], ["old", "ann"]),
        (Selection(recipient="bob@example.com"), [], ["old", "ann"]),  # he has it, or another letter
        (Selection(reason="recipient_refused", recipient="carl@example.com"), ["part"], []),
    ],
)
def test_what_is_given_must_hold_together(wanted: Selection, ids: list[str], read: list[str]) -> None:
    kept = Kept(*LETTERS)
    assert selected(kept, wanted) == ids
    assert kept.read == read


def test_payloads_are_read_of_those_that_fit() -> None:
    kept = Kept(*LETTERS)
    [found] = select(cast(Queries, kept), Selection(reason="format"), NOW, Limits(), payloads=True)
    assert (found.raw, kept.read) == (b"?", ["old"])


@pytest.mark.parametrize(
    "mail",
    [
        Email((Mailbox("a@x.org"),), b"s", b"b", cc=(Mailbox("c@x.org"),), bcc=(Mailbox("B@x.org"),)),
        RawMail(("a@x.org", "c@x.org", "B@x.org"), "", b"Subject: s\r\n\r\nb\r\n"),
    ],
)
def test_a_letter_of_new_code_is_found_by_each_of_its_recipients(mail: Email | RawMail) -> None:
    kept = replace(letter("m"), raw=to_record(mail), framed=True)
    assert addresses(kept, Limits()) == {"a@x.org", "b@x.org", "c@x.org"}
    assert addresses(replace(kept, framed=False), Limits()) == set()  # anybody may have pushed it


def test_an_entry_is_found_by_those_of_its_recipients_who_count_on_this_site() -> None:
    kept = replace(letter("m"), raw=b'{"to": "a@x.org", "cc": "c@x.org", "subject": "s", "body": "b"}')
    assert addresses(kept, Limits()) == {"a@x.org"}
    assert addresses(kept, Limits(legacy_fields=frozenset({"cc"}))) == {"a@x.org", "c@x.org"}


def test_one_that_is_gone_meanwhile_is_left_out() -> None:
    kept = Kept(*LETTERS)
    kept.whole = lambda letter: None  # type: ignore[method-assign]
    assert selected(kept, Selection(), payloads=True) == []


def test_ids_of_no_dead_letter_are_named() -> None:
    assert missing(cast(Queries, Kept(*LETTERS)), ["z", "ann", "y", "z"]) == ["y", "z"]


def test_the_public_shape() -> None:
    fields: dict[str, Any] = as_fields(letter("m", recipients='["a@example.com"]'))
    assert fields == {
        "id": "m", "reason": "format", "detail": "", "source": "queue:email", "attempts": 1,
        "recipients": ["a@example.com"], "raw_base64": "Pw==", "at": "1970-01-12T13:46:40.000+00:00",
        "accepted": "1970-01-12T13:46:35.000+00:00", "ended": "1970-01-12T13:46:40.000+00:00",
    }  # fmt: skip
    assert as_fields(letter("m"))["recipients"] is None
    assert as_fields(letter("m"), {"ab": b"%PDF"})["files_base64"] == {"ab": "JVBERg=="}


def test_one_is_looked_at_without_the_keys_that_its_mail_would_be_signed_with() -> None:
    """Whoever runs the commands need not be able to read them, and one that no key fits is there to be looked at."""
    signers = Signers((Source("example.org", "s1", "/nowhere/dkim.pem"),), required=True)
    author = Author(Mailbox("site@example.com"), signers)
    data = message_of(letter("ann", "dkim_no_key", to="ann@example.com"), {}, author, Limits())
    assert data.startswith(b"Subject: s\r\nFrom: site@example.com\r\n")
