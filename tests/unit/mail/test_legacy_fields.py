"""What an entry may have beside `to`, `subject` and `body`, where a site allows it: as PHP really pushes it."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from mailworker.errors import NotYet, Unsendable
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Limits
from mailworker.mail.entry import from_entry
from mailworker.mail.file import File
from mailworker.mail.legacy_fields import NAMES
from mailworker.mail.senders import read as senders

from . import php_oracle

ALL = Limits(legacy_fields=frozenset(NAMES))
PLAIN = {"to": {"a@example.com": "A"}, "subject": "s", "body": "b"}
PDF = base64.b64encode(b"%PDF").decode()
NOW = 1_800_000_000.0

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "copies": (
        {"cc": {"c@example.com": "C"}, "bcc": {0: "d@example.com"}, "reply_to": "r@example.com"},
        {"cc": (Mailbox("c@example.com", b"C"),), "bcc": (Mailbox("d@example.com"),),
         "reply_to": (Mailbox("r@example.com"),)},
    ),
    "a copy to somebody who has it": ({"cc": "a@example.com", "bcc": {"a@example.com": ""}}, {}),
    "nothing": ({"cc": "", "bcc": None, "html": "", "attachments": {}, "headers": None, "sender": "", "expires": None,
                 "send_at": "", "inline": None, "list_unsubscribe": ""}, {}),
    "HTML beside the text": ({"html": "<p>ü"}, {"html": "<p>ü".encode()}),
    "HTML that is no UTF-8": ({"html": b"<p>\xfc"}, {"html": b"<p>\xfc"}),
    "an author": ({"sender": {"s@example.com": "S"}, "return_path": "b@example.com"},
                  {"sender": Mailbox("s@example.com", b"S"), "return_path": "b@example.com"}),
    "the null sender": ({"return_path": ""}, {"return_path": ""}),
    "headers": ({"headers": {"X-A": "1", "X-B": {0: "2", 1: 3}}},
                {"headers": (("X-A", b"1"), ("X-B", b"2"), ("X-B", b"3"))}),
    "files by their names": ({"attachments": {"a.pdf": PDF}},
                             {"attachments": (File("a.pdf", "application/pdf", b"%PDF"),)}),
    "files as arrays": (
        {"attachments": {0: {"name": "ü.ics", "content": PDF, "type": "text/calendar; method=REQUEST"},
                         "b": {"content": ""}}},
        {"attachments": (File("ü.ics", "text/calendar; method=REQUEST", b"%PDF"),
                         File("b", "application/octet-stream", b""))},
    ),
    "images": ({"html": '<img src="cid:logo">', "inline": {"logo": {"name": "l.png", "content": PDF}}},
               {"html": b'<img src="cid:logo">', "inline": (File("l.png", "image/png", b"%PDF", cid="logo"),)}),
    "links": ({"list_unsubscribe": {0: "https://example.com/u", 1: "mailto:u@example.com"}},
              {"list_unsubscribe": ("https://example.com/u", "mailto:u@example.com")}),
}  # fmt: skip


def entry(more: dict[str, Any]) -> bytes:
    return json.dumps({**PLAIN, **more}).encode()


@pytest.fixture(scope="module")
def packed() -> dict[str, bytes]:
    """Each case as PHP's `serialize()` writes it."""
    return dict(
        zip(
            CASES,
            [text for text, _ in php_oracle.writes([{**PLAIN, **more} for more, _ in CASES.values()])],
            strict=True,
        )
    )


@pytest.mark.parametrize("case", CASES)
def test_what_a_site_allows_is_read_as_a_call_would_have_it(case: str, packed: dict[str, bytes]) -> None:
    plain = from_entry(entry({}), ALL)
    email = from_entry(packed[case], ALL)
    assert {name: getattr(email, name) for name in email.__slots__ if getattr(email, name) != getattr(plain, name)} == (
        CASES[case][1]
    )


@pytest.mark.parametrize("case", CASES)
def test_by_default_nothing_of_it_counts(case: str, packed: dict[str, bytes]) -> None:
    assert from_entry(packed[case], Limits()) == from_entry(entry({}), Limits())


def test_what_is_not_allowed_is_not_read() -> None:
    limits = Limits(legacy_fields=frozenset({"cc"}))
    email = from_entry(entry({"cc": "c@example.com", "bcc": {"x": ["y"]}, "html": 7, "dsn": 1}), limits)
    assert (email.cc, email.bcc, email.html) == ((Mailbox("c@example.com"),), (), None)


def test_html_alone_is_a_mail_with_a_text_made_of_it() -> None:
    (packed, _), *_ = php_oracle.writes([{"to": "a@example.com", "subject": "s", "html": "<p>Hello <b>you</b>"}])
    assert from_entry(packed, ALL).body == b"Hello you\n"
    assert from_entry(entry({"body": "", "html": "<p>x"}), ALL).body is None
    with pytest.raises(Unsendable, match="body: missing"):
        from_entry(packed, Limits(legacy_fields=frozenset({"cc"})))


@pytest.mark.parametrize(
    ("more", "reason", "detail"),
    [
        ({"cc": "nobody"}, "bad_address", "cc: an address has no @"),
        ({"cc": 5}, "bad_field", "cc: neither an address nor an array"),
        ({"html": ["x"]}, "bad_field", "html: an array"),
        ({"headers": "X: 1"}, "bad_field", "headers: not an array of names and values"),
        ({"headers": {"Subject": "x"}}, "bad_field", "headers: Subject has an argument of its own"),
        ({"headers": {"X-A": "1\r\nBcc: x@example.com"}}, "bad_field", "headers: X-A: holds a line break"),
        ({"headers": ["X-A: 1"]}, "bad_field", "headers: a header without a name"),
        ({"attachments": "a.pdf"}, "bad_field", "attachments: expected {name: content}, or a list of"),
        ({"attachments": ["/etc/passwd"]}, "bad_field", "attachments[0]: has no name; expected {name: content}, or a"),
        ({"attachments": ["/etc/passwds"]}, "bad_field", "attachments[0]: has no name; expected {name: content}, or a"),
        ({"attachments": [PDF, PDF]}, "bad_field", "attachments[0]: has no name; expected {name: content}, or a list"),
        ({"attachments": {"a": "not base64"}}, "bad_field", "attachments[a]: its content is not base64"),
        ({"attachments": {"../a": PDF}}, "bad_field", "attachments[../a]: name: holds a slash"),
        ({"attachments": [{"name": "a"}]}, "bad_field", "attachments[0]: neither base64 nor an array with name and"),
        ({"attachments": [{"path": "/etc/passwd"}]}, "bad_field", "attachments[0]: neither base64 nor an array"),
        ({"attachments": [{"name": ["a"], "content": PDF}]}, "bad_field", "attachments[0]: name: not text"),
        ({"attachments": [{"content": PDF, "type": "x"}]}, "bad_field", "attachments[0]: type: expected type/subtype"),
        ({"attachments": {"a": [[PDF]]}}, "bad_field", "attachments[a]: neither base64 nor an array"),
        ({"inline": {"logo": PDF}}, "bad_field", "inline: cid logo is not used in html"),
        ({"html": "<img src=cid:logo>"}, "bad_field", "html: cid:logo is not in inline"),
        ({"sender": ["a@example.com", "b@example.com"]}, "bad_address", "sender: 2 addresses, expected one"),
        ({"list_unsubscribe": "http://x"}, "bad_field", "list_unsubscribe: expected https"),
        ({"list_unsubscribe": [["x"]]}, "bad_field", "list_unsubscribe: neither a link nor"),
        ({"expires": "soon"}, "bad_field", "expires: expected a datetime, or its text"),
        ({"expires": "2030-01-01T00:00:00"}, "bad_field", "expires: has no time zone"),
        ({"send_at": 3600}, "bad_field", "send_at: is no Unix time; a number of seconds from now means nothing here"),
        ({"send_at": [1]}, "bad_field", "send_at: neither a Unix time nor a text"),
        ({"expires": NOW - 1}, "expired", "expires: it was to be sent earlier"),
    ],
)
def test_what_is_wrong_in_an_entry_is_a_dead_letter_that_says_what(more: Any, reason: str, detail: str) -> None:
    with pytest.raises(Unsendable) as caught:
        from_entry(entry(more), ALL, NOW)
    assert caught.value.reason == reason
    assert caught.value.detail.startswith(detail)


@pytest.mark.parametrize("send_at", [NOW + 60, str(int(NOW) + 60), "2027-01-15T09:01:00+01:00"])
def test_an_entry_that_is_to_wait_says_for_how_long_where_it_is_to_be_sent(send_at: Any) -> None:
    with pytest.raises(NotYet) as caught:
        from_entry(entry({"send_at": send_at, "expires": int(NOW) + 70}), ALL, NOW)
    assert caught.value.seconds == pytest.approx(60, abs=1)
    assert from_entry(entry({"send_at": send_at}), ALL).subject == b"s"  # who only looks at it
    assert from_entry(entry({"send_at": send_at}), ALL, NOW + 60).subject == b"s"
    assert from_entry(entry({"send_at": send_at}), Limits(), NOW).subject == b"s"


def test_an_entry_sends_as_nobody_whom_the_site_does_not_allow() -> None:
    limits = Limits(senders=senders(["example.com"], "site@example.org"), legacy_fields=frozenset(NAMES))
    assert from_entry(entry({"sender": "any@example.com"}), limits).sender == Mailbox("any@example.com")
    for field in ("sender", "return_path"):
        with pytest.raises(Unsendable, match=rf"^{field}: neither the address nor its domain is in") as caught:
            from_entry(entry({field: "any@sub.example.com"}), limits)
        assert caught.value.reason == "sender_not_allowed"


def test_files_of_an_entry_are_bounded_as_they_are_in_the_mail(tmp_path: Path) -> None:
    large = {"a": base64.b64encode(b"x" * 9000).decode()}
    with pytest.raises(Unsendable, match=r"^attachments: 12615 octets as a mail, more than the limit of 12500 octets$"):
        from_entry(entry({"attachments": large}), Limits(mail=12_500, legacy_fields=frozenset(NAMES)))


def test_deep_arrays_cost_nothing_and_hold_nothing() -> None:
    deep: Any = PDF
    for _ in range(100):
        deep = {"a": deep}
    begun = time.monotonic()
    with pytest.raises(Unsendable, match="attachments"):
        from_entry(entry({"attachments": deep}), ALL)
    assert time.monotonic() - begun < 1
