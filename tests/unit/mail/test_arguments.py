"""The arguments of `send_email` become an `Email`, or an error that names the argument."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworker.errors import Unsendable
from mailworker.mail.address import Mailbox
from mailworker.mail.arguments import from_arguments
from mailworker.mail.email import Email, Limits
from mailworker.mail.entry import from_entry
from mailworker.mail.fields import MAX_SUBJECT

LIMITS = Limits()


@pytest.mark.parametrize(
    ("to", "mailboxes"),
    [
        ("a@b.c", [("a@b.c", b"")]),
        ("Name <a@b.c>", [("a@b.c", b"Name")]),
        (["a@b.c", "Ünal <d@e.f>"], [("a@b.c", b""), ("d@e.f", "Ünal".encode())]),
        (("a@b.c",), [("a@b.c", b"")]),
        ({"a@b.c": "Name", "d@e.f": None}, [("a@b.c", b"Name"), ("d@e.f", b"")]),
        ({0: "a@b.c", "d@e.f": 5}, [("a@b.c", b""), ("d@e.f", b"5")]),
    ],
)
def test_arguments_take_what_the_legacy_to_takes_and_a_name_with_an_address(
    to: Any, mailboxes: list[tuple[str, bytes]]
) -> None:
    email = from_arguments((to, "s", "b"), {}, LIMITS).mail
    assert email == Email(tuple(Mailbox(address, name) for address, name in mailboxes), b"s", b"b")


@pytest.mark.parametrize(
    ("to", "subject", "body"),
    [
        (None, "s", "b"), (5, "s", "b"), ([5], "s", "b"), ([None], "s", "b"), ({"a@b.c": ["x"]}, "s", "b"),
        ({None: "x"}, "s", "b"), (b"a@b.c", "s", "b"), ("a@b.c", None, "b"), ("a@b.c", "s", b"b"), ("a@b.c", 5, "b"),
    ],
)  # fmt: skip
def test_wrong_types_raise_at_the_call(to: Any, subject: Any, body: Any) -> None:
    with pytest.raises(TypeError, match=r"^(to(\[0\])?|subject|body): expected "):
        from_arguments((to, subject, body), {}, LIMITS)


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        ((), None, "missing a required argument: 'to'"),
        (("a@b.c",), {"subject": "s"}, r"missing a required argument: 'body' \(or html, template, attachments\)"),
        (["a@b.c", "s", "b", "more"], {}, "too many positional arguments"),
        (None, {"to": "a@b.c", "subject": "s", "body": "b", "too": "x"}, "got an unexpected keyword argument 'too'"),
        (("a@b.c",), {"to": "a@b.c", "subject": "s", "body": "b"}, "multiple values for argument 'to'"),
    ],
)
def test_arguments_that_are_not_the_signature_s_raise_at_the_call(args: Any, kwargs: Any, problem: str) -> None:
    with pytest.raises(TypeError, match=f"^send_email: {problem}$"):
        from_arguments(args, kwargs, LIMITS)


@pytest.mark.parametrize(
    ("to", "subject", "body", "reason"),
    [
        ([], "s", "b", "no_recipient"),
        ({}, "s", "b", "no_recipient"),
        ("nobody", "s", "b", "bad_address"),
        ({"Name <a@b.c>": ""}, "s", "b", "bad_address"),
        ("N\ud800 <a@b.c>", "s", "b", "bad_text"),
        ({"a@b.c": "\ud800"}, "s", "b", "bad_text"),
        ("a@b.c", "\ud800", "b", "bad_text"),
        ("a@b.c", "s", "\ud800", "bad_text"),
        ("a@b.c", "s", "x" * 1000, "too_large"),
        ("a@b.c", "s", "\x01" * 200, "too_large"),
        ([f"user{number}@example.com" for number in range(10)], "s", "b", "too_many_recipients"),
        ("a@b.c", "s" * (MAX_SUBJECT + 1), "b", "too_large"),
    ],
)
def test_what_can_never_be_a_mail_raises_at_the_call(to: Any, subject: str, body: str, reason: str) -> None:
    with pytest.raises(Unsendable) as caught:
        from_arguments((to, subject, body), {}, Limits(mail=1000 if len(subject) < 1000 else 10**6, recipients=100))
    assert caught.value.reason == reason


@given(st.text('aü\x01"\\😀,', max_size=300), st.integers(20, 2000))
def test_what_is_accepted_at_the_call_is_small_enough_for_the_spool(body: str, limit: int) -> None:
    """The spool keeps it as JSON, and holds that to the same limit."""
    try:
        email = from_arguments(({"a@b.c": "Ü\n"}, "s", body), {}, Limits(mail=limit)).mail
    except Unsendable:
        assert len(body.encode()) * 6 + 104 > limit
        return
    fields = {"to": {"a@b.c": "Ü\n"}, "subject": "s", "body": body}
    raw = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    assert from_entry(raw, Limits(mail=limit)) == email
