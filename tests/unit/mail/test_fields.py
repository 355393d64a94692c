"""From the table of a mail's fields follow its readers and its writers: what one writes, the other reads."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworker.envelope import Dsn
from mailworker.errors import Unsendable
from mailworker.mail.address import Mailbox
from mailworker.mail.arguments import SIGNATURE, from_arguments
from mailworker.mail.email import Email, Limits, RawMail
from mailworker.mail.entry import check_size, from_entry, to_entry, to_php, writer
from mailworker.mail.fields import FIELDS, PLAIN, Field
from mailworker.mail.file import File
from mailworker.mail.frame import from_frame, from_record, to_frame
from mailworker.mail.mailboxes import Mailboxes
from mailworker.mail.text import Text

from . import php_oracle

LIMITS = Limits(recipients=2**20)

LOCAL = st.text("az09+_'é标", min_size=1, max_size=9) | st.text("az ,;<>é", min_size=1, max_size=9).map('"{}"'.format)
DOMAIN = st.sampled_from(["example.com", "a.test", "[127.0.0.1]", "[IPv6:::1]"])
ADDRESSES = st.builds("{}@{}".format, LOCAL | st.just('"\\\\ \\""'), DOMAIN)
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\\"{}:;,\r\n\0aü😀'), max_size=80)
OCTETS = st.binary(max_size=80) | TEXT.map(str.encode)


def emails(octets: st.SearchStrategy[bytes]) -> st.SearchStrategy[Email]:
    """Any plain mail of which every text is made of `octets`, field for field as the table says."""
    box = st.builds(Mailbox, ADDRESSES, octets)
    boxes = st.lists(box, min_size=1, max_size=5, unique_by=lambda box: box.address).map(tuple)
    return st.builds(Email, **{field.name: boxes if isinstance(field.kind, Mailboxes) else octets for field in PLAIN})


BOX = st.builds(Mailbox, ADDRESSES, OCTETS)
NAMES = st.text("az._", min_size=1, max_size=9)
FILE = st.builds(File, NAMES, st.just("text/calendar; method=REQUEST"), OCTETS, st.just(""), st.just("") | NAMES)
BLOBS = st.builds(File, NAMES, st.just("application/pdf"), st.none(), st.text("0af", min_size=64, max_size=64))
DSN = st.builds(Dsn, st.lists(st.sampled_from(["SUCCESS", "FAILURE"])).map(tuple), st.sampled_from(["", "HDRS"]))


@st.composite
def rich_emails(draw: st.DrawFn) -> Email:
    """Any mail as it may stand in a frame."""
    boxes, files, texts = (st.lists(of, max_size=3).map(tuple) for of in (BOX, FILE | BLOBS, NAMES))
    return Email(
        draw(boxes), draw(OCTETS), draw(OCTETS | st.none()), draw(OCTETS | st.none()), draw(boxes), draw(boxes),
        draw(boxes), draw(BOX | st.none()), draw(NAMES | st.just("") | st.none()),
        draw(st.lists(st.tuples(NAMES, OCTETS), max_size=3).map(tuple)), draw(files), draw(files), draw(texts),
        draw(DSN | st.none()),
    )  # fmt: skip


def test_the_table_and_the_mail_have_the_same_fields_and_so_has_the_signature() -> None:
    names = [field.name for field in FIELDS]
    assert names == [attribute.name for attribute in dataclasses.fields(Email)]
    beside = {"template", "context", "idempotency_key", "send_at", "expires"}
    assert {*names, *beside} == set(SIGNATURE.parameters)


@given(rich_emails())
def test_what_is_written_as_a_frame_is_the_mail_that_is_read(email: Email) -> None:
    assert from_frame(to_frame(email)) == email


def test_a_frame_of_another_version_is_not_guessed_at() -> None:
    with pytest.raises(Unsendable, match="a frame of version 2, and this version knows 1"):
        from_frame(b'31\n{"v":2,"to":[],"subject":"new"}')


@given(rich_emails(), st.data())
def test_a_frame_that_is_damaged_is_a_mail_or_a_dead_letter(email: Email, data: st.DataObject) -> None:
    frame = bytearray(to_frame(email))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(frame) - 1))
        frame[at : at + data.draw(st.integers(0, 4))] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"-9", b"{"])
        )
    with contextlib.suppress(Unsendable):
        from_record(bytes(frame), LIMITS)


@given(st.builds(RawMail, st.lists(ADDRESSES).map(tuple), ADDRESSES | st.just(""), OCTETS, DSN | st.none()))
def test_a_finished_message_is_kept_as_it_is(mail: RawMail) -> None:
    assert from_frame(to_frame(mail)) == mail


@given(emails(TEXT.map(str.encode)))
def test_what_is_written_into_the_spool_is_the_mail_that_is_read(email: Email) -> None:
    assert from_entry(to_entry(email), LIMITS) == email


@given(emails(OCTETS))
def test_what_is_written_as_php_is_the_mail_that_is_read(email: Email) -> None:
    assert from_entry(to_php(email), LIMITS) == email


def test_what_is_written_as_php_is_what_php_writes() -> None:
    """`unserialize()` reads it, and `serialize()` makes the same octets of it again."""
    texts: list[bytes] = []

    @given(emails(OCTETS))
    def write(email: Email) -> None:
        texts.append(to_php(email))

    write()
    assert [packed for _, packed in php_oracle.packs(texts, "serialize")] == texts


@given(emails(TEXT.map(str.encode)))
def test_what_was_read_from_a_call_is_the_mail_that_was_passed(email: Email) -> None:
    passed: dict[str, Any] = {
        field.name: field.kind.to_json(getattr(email, field.name)) for field in PLAIN
    }  # {address: name} and text: what a call takes
    assert from_arguments((), passed, LIMITS).mail == email


@given(emails(TEXT.map(str.encode)), st.sampled_from([-1, 0, 1]))
def test_the_limit_of_a_call_is_that_of_the_entry_it_becomes(email: Email, room: int) -> None:
    limit = len(to_entry(email)) + room
    if room < 0:
        with pytest.raises(Unsendable, match="more than the limit"):
            check_size(email, Limits(mail=limit))
    else:
        check_size(email, Limits(mail=limit))
        assert from_entry(to_entry(email), Limits(mail=limit, recipients=2**20)) == email


@dataclasses.dataclass(frozen=True)
class WithMore:
    """A mail of a later version, which has fields that most mails do without."""

    body: bytes
    cc: tuple[Mailbox, ...] = ()
    html: bytes = b""


@pytest.mark.parametrize(
    ("mail", "written"),
    [
        (WithMore(b""), {"body": ""}),
        (WithMore(b"b", html=b"<p>"), {"body": "b", "html": "<p>"}),
        (WithMore(b"b", (Mailbox("a@b.c"),)), {"body": "b", "cc": {"a@b.c": None}}),
    ],
)
def test_a_field_that_has_its_default_is_not_written(mail: WithMore, written: dict[str, Any]) -> None:
    fields = (Field("body", Text()), Field("cc", Mailboxes(), header=b"Cc"), Field("html", Text()))
    assert dict(writer(fields, WithMore, lambda kind: kind.to_json)(mail)) == written


def test_an_address_is_a_recipient_once() -> None:
    twice = (Mailbox("b@x.org"), Mailbox("a@x.org", b"A"), Mailbox("b@x.org", b"B"))
    assert [mailbox.address for mailbox in Email(twice, b"s", b"b").recipients] == ["b@x.org", "a@x.org"]
