"""A record becomes what a relay is given, or the reason why it never will be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from email import message_from_bytes
from hashlib import sha256
from typing import Any, cast

import pytest

from mailworker.delivery import compose
from mailworker.delivery.compose import Compose
from mailworker.delivery.files import Files
from mailworker.envelope import Dsn, Envelope
from mailworker.errors import SpoolError, Unsendable
from mailworker.mail.address import Mailbox
from mailworker.mail.author import Author
from mailworker.mail.email import Email, Limits, RawMail
from mailworker.mail.file import BLOB, File
from mailworker.mail.frame import to_record
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

    def blobs(self, digests: Sequence[str]) -> dict[str, bytes]:
        return self.payloads(digests)

    def blob_uses(self, digests: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(digests, 1)

    def payloads(self, ids: Sequence[str]) -> dict[str, bytes]:
        self.calls.append(list(ids))
        return {mail_id: self.kept[mail_id] for mail_id in ids if mail_id in self.kept}


def composing(spool: Any = None, **limits: int) -> Compose:
    spool = cast(Spool, spool)
    return Compose(spool, SITE, Limits(**limits), Files(spool, 1_000_000))


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


# What new code sends.


def framed(name: str, mail: Email | RawMail, **more: Any) -> Record:
    payload = to_record(mail)
    return replace(record(name, payload), framed=True, **more)


def rich(*files: File) -> Email:
    to = (Mailbox("a@x.org"),)
    return Email(to, b"s", b"text", html=b"<p>html</p>", attachments=files, dsn=Dsn(("FAILURE",)))


def test_a_mail_of_new_code_is_read_with_its_files() -> None:
    small, large = b"small" * 10, b"large" * BLOB
    digest = sha256(large).hexdigest()
    email = rich(File("a.bin", "application/x-a", small), File("b.bin", "application/x-b", large, digest))
    spool = Payloads(**{digest: large})
    envelope = composing(spool)(framed("m1", email)).envelope
    parts = message_from_bytes(envelope.data).walk()
    payloads = [part.get_payload(decode=True) for part in parts if not part.is_multipart()]
    assert payloads == [b"text", b"<p>html</p>", small, large]
    assert envelope.dsn == Dsn(("FAILURE",))
    assert spool.calls == [[digest]]


def test_each_attempt_has_the_same_octets_with_a_file_that_was_kept() -> None:
    large = b"large" * BLOB
    digest = sha256(large).hexdigest()
    mails = composing(Payloads(**{digest: large}))
    one = framed("m1", rich(File("b.bin", "application/x-b", large, digest)))
    assert len({mails(one).envelope.data for _ in range(3)}) == 1


def test_what_came_from_a_list_is_never_read_as_new_codes() -> None:
    """Or whoever may push entries could name the files of others, and send as anybody."""
    with pytest.raises(Unsendable):
        composing()(replace(framed("m1", rich()), framed=False))


def test_a_file_that_is_gone_is_no_other_mails_fault() -> None:
    mails = composing(Payloads())
    with pytest.raises(Unsendable, match="gone from Redis"):
        mails(framed("m1", rich(File("b.bin", "application/x-b", b"x" * BLOB * 2, "d"))))
    assert mails(framed("m2", rich())).id == "m2"


def test_a_mail_is_too_large_with_its_files() -> None:
    large = b"x" * 50_000
    mails = composing(Payloads(d=large), mail=50_000)
    with pytest.raises(Unsendable, match="octets with its files, more than the limit of 50000") as raised:
        mails(framed("m1", rich(File("b.bin", "application/x-b", large, "d"))))
    assert raised.value.reason == "too_large"


def test_a_finished_message_goes_as_it_is() -> None:
    head = "From: <x@y.org>\r\nMessage-ID: <1@y.org>\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    message = f"{head}\r\nfinished ü\r\n".encode()
    mail = composing()(framed("m1", RawMail(("a@x.org",), "", message, Dsn(ret="HDRS"))))
    assert mail.envelope == Envelope("", ("a@x.org",), message, dsn=Dsn(ret="HDRS"))


@pytest.mark.parametrize(
    ("email", "own"),
    [
        (rich(), False),
        (replace(rich(), sender=Mailbox("other@example.com")), True),
        (replace(rich(), sender=Mailbox("other@example.com"), return_path="site@example.com"), False),
        (replace(rich(), return_path=""), True),
    ],
)
def test_a_sender_that_is_not_the_sites_is_known_as_the_mails(email: Email, own: bool) -> None:
    assert composing()(framed("m1", email)).own_sender is own
