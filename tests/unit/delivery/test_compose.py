"""A record becomes what a relay is given, or the reason why it never will be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from mailworker.delivery import compose
from mailworker.delivery.compose import Compose
from mailworker.errors import SpoolError, Unsendable
from mailworker.mail.address import Mailbox
from mailworker.mail.author import Author
from mailworker.mail.email import Limits
from mailworker.smtp.journal import Outgoing
from mailworker.spool import Record, Spool

SITE = Author(Mailbox("site@example.com"))
ACCEPTED = 1_700_000_000_000


def entry(*to: str, body: str = "text") -> bytes:
    return json.dumps({"to": list(to) or ["a@x.org"], "subject": "s", "body": body}).encode()


def record(name: str, payload: bytes, size: int | None = None) -> Record:
    return Record(name, payload, len(payload) if size is None else size, ACCEPTED, 0, None, ACCEPTED, name)


class Payloads:
    """The large payloads of a spool, and which were read with each call."""

    def __init__(self, **payloads: bytes) -> None:
        self.kept = payloads
        self.calls: list[list[str]] = []

    def payloads(self, ids: Sequence[str]) -> dict[str, bytes]:
        self.calls.append(list(ids))
        return {mail_id: self.kept[mail_id] for mail_id in ids if mail_id in self.kept}


def composing(spool: Any = None, **limits: int) -> Compose:
    return Compose(cast(Spool, spool), SITE, Limits(**limits))


def test_a_mail_goes_from_the_sites_sender_to_all_its_recipients_under_an_id_of_its_own() -> None:
    mail = composing()(record("m1", entry("a@x.org", "b@x.org")))
    assert (mail.id, mail.envelope.sender, mail.envelope.recipients) == (
        "m1",
        "site@example.com",
        ("a@x.org", "b@x.org"),
    )
    assert b"\r\nMessage-ID: <m1@example.com>\r\n" in mail.envelope.data
    assert b"\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n" in mail.envelope.data


def test_each_attempt_has_the_same_octets() -> None:
    first = record("m1", entry("a@x.org", "b@x.org"))
    again = replace(first, tries=3, since=ACCEPTED + 99, recipients=("b@x.org",))
    split_off = replace(again, id="m1~1.7", origin="m1")
    mails = [composing()(each) for each in (first, again, split_off)]
    assert len({mail.envelope.data for mail in mails}) == 1
    assert [mail.envelope.recipients for mail in mails] == [("a@x.org", "b@x.org"), ("b@x.org",), ("b@x.org",)]
    assert [mail.id for mail in mails] == ["m1", "m1", "m1~1.7"]


@pytest.mark.parametrize(
    ("payload", "size", "reason"),
    [(b"", 2000, "too_large"), (b"", 0, "empty"), (b"?", None, "format"), (entry(), 0, None)],
)
def test_what_can_never_be_a_mail_says_why(payload: bytes, size: int | None, reason: str | None) -> None:
    if reason is None:
        assert composing(mail=1000)(record("m", payload, size)).envelope.recipients == ("a@x.org",)
        return
    with pytest.raises(Unsendable) as raised:
        composing(mail=1000)(record("m", payload, size))
    assert raised.value.reason == reason


def test_large_payloads_that_come_next_are_fetched_with_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "FETCH", 1000)
    spool = Payloads(**{name: entry(f"{name}@x.org") for name in ("m1", "m3", "m4")})
    mails = composing(spool)
    behind: list[Record | Outgoing] = [
        record("m2", entry()), Outgoing("split", mails(record("m0", entry())).envelope),
        record("m3", b"", 300), record("m4", b"", 301),
    ]  # fmt: skip
    assert mails(record("m1", b"", 400), behind).envelope.recipients == ("m1@x.org",)
    assert mails(record("m2", entry()), behind[1:]).envelope.recipients == ("a@x.org",)
    assert mails(record("m3", b"", 300), behind[3:]).envelope.recipients == ("m3@x.org",)
    assert mails(record("m4", b"", 301)).envelope.recipients == ("m4@x.org",)
    assert spool.calls == [["m1", "m3"], ["m4"]]


def test_a_payload_that_is_gone_is_no_other_mails_fault() -> None:
    mails = composing(Payloads(m2=entry()))
    with pytest.raises(Unsendable, match="its payload is gone from Redis"):
        mails(record("m1", b"", 400), [record("m2", b"", 400)])
    assert mails(record("m2", b"", 400)).id == "m2"


def test_a_redis_that_is_away_says_nothing_about_the_mail() -> None:
    class Away:
        def payloads(self, _: Sequence[str]) -> dict[str, bytes]:
            raise SpoolError("Redis: away")

    with pytest.raises(SpoolError):
        composing(Away())(record("m1", b"", 400))
