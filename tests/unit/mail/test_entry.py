"""Values become an `Email`, or a reason why not."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from mailworker.errors import Unsendable
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email, Limits
from mailworker.mail.entry import from_entry
from mailworker.mail.fields import MAX_SUBJECT

LIMITS = Limits()


def serialized(value: Any) -> bytes:
    """As PHP's serialize() writes it."""
    match value:
        case None:
            return b"N;"
        case bool():
            return b"b:%d;" % value
        case int():
            return b"i:%d;" % value
        case float():
            return b"d:%s;" % repr(value).upper().encode()
        case str():
            return serialized(value.encode())
        case bytes():
            return b's:%d:"%s";' % (len(value), value)
        case list():
            return serialized(dict(enumerate(value)))
        case _:
            items = b"".join(serialized(key) + serialized(item) for key, item in value.items())
            return b"a:%d:{%s}" % (len(value), items)


def entry(**fields: Any) -> bytes:
    return serialized({"to": "a@b.c", "subject": "s", "body": "b"} | fields)


def refused(raw: bytes, limits: Limits = LIMITS) -> tuple[str, str]:
    with pytest.raises(Unsendable) as caught:
        from_entry(raw, limits)
    return caught.value.reason, caught.value.detail


@pytest.mark.parametrize(
    ("to", "mailboxes"),
    [
        ("a@b.c", [("a@b.c", b"")]),
        (["a@b.c", "d@e.f"], [("a@b.c", b""), ("d@e.f", b"")]),
        ({"a@b.c": "Name"}, [("a@b.c", b"Name")]),
        ({"a@b.c": "A", 0: "d@e.f"}, [("a@b.c", b"A"), ("d@e.f", b"")]),
        ({7: "a@b.c"}, [("a@b.c", b"")]),
        ({"a@b.c": None}, [("a@b.c", b"")]),
        ({"a@b.c": ""}, [("a@b.c", b"")]),
        ({"a@b.c": False}, [("a@b.c", b"")]),
        ({"a@b.c": True}, [("a@b.c", b"1")]),
        ({"a@b.c": 42}, [("a@b.c", b"42")]),
        ({"a@b.c": 0.5}, [("a@b.c", b"0.5")]),
        ({"a@b.c": b"\xff\xfe"}, [("a@b.c", b"\xff\xfe")]),
        (["a@b.c", "a@b.c"], [("a@b.c", b"")]),
        ({0: "a@b.c", "a@b.c": "Last"}, [("a@b.c", b"Last")]),
        ({"a@b.c": "First", "d@e.f": "", 0: "a@b.c"}, [("a@b.c", b""), ("d@e.f", b"")]),
        ({"a@b.c": "A", "A@b.c": "B"}, [("a@b.c", b"A"), ("A@b.c", b"B")]),
        ({"a@bücher.example": "A", "a@xn--bcher-kva.example": "B"}, [("a@xn--bcher-kva.example", b"B")]),
    ],
)
def test_recipients(to: Any, mailboxes: list[tuple[str, bytes]]) -> None:
    expected = tuple(Mailbox(address, name) for address, name in mailboxes)
    assert from_entry(entry(to=to), LIMITS).to == expected
    assert from_entry(serialized({"to": to, "body": "", "subject": ""}), LIMITS).to == expected


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ([], "no_recipient"),
        (None, "no_recipient"),
        ("", "bad_address"),
        ([""], "bad_address"),
        ("a@b.c, d@e.f", "bad_address"),
        ("Name <a@b.c>", "bad_address"),
        (["Name <a@b.c>"], "bad_address"),
        ({"Name <a@b.c>": "x"}, "bad_address"),
        (" a@b.c", "bad_address"),
        ("a@b.c\n", "bad_address"),
        (["a@b.c", "nobody"], "bad_address"),
        ({"Name": "a@b.c"}, "bad_address"),
        ([None], "bad_address"),
        ([5], "bad_address"),
        ([["a@b.c"]], "bad_address"),
        ({"a@b.c": ["A"]}, "bad_field"),
        ({"a@b.c": [["A"]]}, "bad_field"),
        (b"\xff@b.c", "bad_address"),
        (False, "bad_field"),
        (5, "bad_field"),
    ],
)
def test_nobody_guesses_who_should_get_the_mail(to: Any, reason: str) -> None:
    assert refused(entry(to=to))[0] == reason


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", b"text"), ("", b""), (None, b""), (42, b"42"), (-1, b"-1"), (True, b"1"), (False, b""), (1.5, b"1.5"),
        (1e25, b"1.0E+25"), (b"\xd6\xd0", b"\xd6\xd0"), ("a\r\nb\rc\n", b"a\r\nb\rc\n"), (b"\0", b"\0"),
    ],
)  # fmt: skip
def test_subject_and_body_are_what_php_prints(value: Any, text: bytes) -> None:
    email = from_entry(entry(subject=value, body=value), LIMITS)
    assert (email.subject, email.body) == (text, text)


@pytest.mark.parametrize("field", ["to", "subject", "body"])
def test_a_missing_field_is_a_dead_letter_that_names_it(field: str) -> None:
    fields = {"to": "a@b.c", "subject": "s", "body": "b"}
    del fields[field]
    assert refused(serialized(fields)) == ("missing_field", f"{field}: missing")


@pytest.mark.parametrize("field", ["subject", "body"])
@pytest.mark.parametrize("value", [[], ["x"], [["x"]]])
def test_an_array_where_text_belongs_is_a_dead_letter(field: str, value: Any) -> None:
    assert refused(entry(**{field: value}))[0] == "bad_field"


def test_other_keys_are_ignored() -> None:
    extra = {"cc": "c@d.e", "bcc": ["x@y.z"], "from": "f@g.h", "html": "<b>", "reply-to": [[1]], 5: 1}
    assert from_entry(serialized({"to": "a@b.c", "subject": "s", "body": "b"} | extra), LIMITS) == Email(
        (Mailbox("a@b.c"),), b"s", b"b"
    )


def test_a_mail_that_shares_its_values_by_reference_is_read() -> None:
    raw = b'a:3:{s:2:"to";s:5:"a@b.c";s:7:"subject";R:2;s:4:"body";R:2;}'
    assert from_entry(raw, LIMITS) == Email((Mailbox("a@b.c"),), b"a@b.c", b"a@b.c")


def test_octets_after_the_value_are_ignored_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert from_entry(entry() + b"secret", LIMITS).body == b"b"
    assert "the last 6 follow its value" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("raw", "limits", "reason"),
    [
        (entry(body="x" * 100), Limits(mail=100), "too_large"),
        (entry(to=["a@b.c", "d@e.f"]), Limits(recipients=9), "too_many_recipients"),
        (entry(to={"a@b.c": "a long name"}), Limits(recipients=9), "too_many_recipients"),
        (entry(to=[f"user{number}@example.com" for number in range(10_000)]), LIMITS, "too_many_recipients"),
        (entry(subject="x" * (MAX_SUBJECT + 1)), LIMITS, "too_large"),
    ],
)
def test_over_a_limit_a_mail_is_a_dead_letter(raw: bytes, limits: Limits, reason: str) -> None:
    assert refused(raw, limits)[0] == reason


def test_ten_thousand_recipients_are_sent_where_the_limit_allows_them() -> None:
    to = {f"user{number}@example.com": f"Name {number}" for number in range(10_000)}
    assert len(from_entry(entry(to=to), Limits(recipients=2**20)).to) == 10_000


@pytest.mark.parametrize(
    "raw",
    [
        entry(to="secret person"), entry(to=["secret@", "a@b.c"]), entry(to={"secret@x y": "secret"}),
        entry(to={"a@b.c": ["secret"]}), entry(body=["secret"]), entry(subject="secret" * 20_000),
        entry(body="secret")[:-1], b'O:6:"secret":0:{}', b'{"secret', b'"secret"', b"secret",
        b'{"body": "secret\n"}', b'{"to": "secret\\q"}', b'\x00\x00\x00\x02\x11\x09secret',
    ],
)  # fmt: skip
def test_the_detail_of_a_dead_letter_never_holds_what_it_held(raw: bytes) -> None:
    assert "secret" not in refused(raw)[1]
