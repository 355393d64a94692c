"""What a call takes can be built: nobody who was told that his mail is accepted finds it among the dead letters."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mailworker.errors import Unsendable
from mailworker.mail.arguments import from_arguments
from mailworker.mail.email import Email, Limits
from mailworker.mail.wire.mime import build

from .reader import files, read
from .test_mime import AT, SENDER

LIMITS = Limits()

WORDS = st.sampled_from(
    ["a", "B", "ü", "😀", " ", "\t", "\r\n", "\n", "\0", '"', "'", "\\", "/", "<", ">", "@", ",", ";", ":", "=", "=?",
     "=?utf-8?q?=0d=0a?=", "?=", "%", "%0a", "\u202e", "\u2028", "\x85", "x" * 90,
     "y" * 1000, "-", ".", "*", "(", "&#10;"]
)  # fmt: skip
TEXT = st.lists(WORDS, max_size=5).map("".join)
BOX = st.sampled_from(["a@b.c", "Ünal <ü@b.c>", '"x, y" <z@[127.0.0.1]>']) | TEXT.map(lambda name: f"{name} <a@b.c>")
BOXES = st.lists(BOX, max_size=2) | st.dictionaries(st.sampled_from(["a@b.c", "d@e.f"]), TEXT, max_size=2)
TYPE = st.sampled_from(
    ["text/csv", "message/rfc822", "text/calendar; method=REQUEST", 'a/b; c="d; charset=e"', "text/plain;charset=x",
     "TEXT/HTML; Name=x", "message/global", "text/calendar; method=\"REQUEST\"; charset=utf-8"]
) | TEXT  # fmt: skip
FILE = st.tuples(TEXT, st.binary(max_size=50) | TEXT) | st.tuples(TEXT, st.binary(max_size=50) | TEXT, TYPE)
NAME = st.sampled_from(["X-Own", "References", "List-Id", "X-Some-ID", "In-Reply-To", "X" * 76]) | TEXT
CID = st.sampled_from(["logo", "logo@b.c", "a+b", "a%20b", "x" * 100]) | TEXT

ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "to": BOXES | st.just("to@b.c"),
    "subject": TEXT,
    "body": TEXT | st.none(),
    "html": TEXT | st.none(),
    "cc": BOXES,
    "bcc": BOXES,
    "reply_to": BOXES,
    "sender": BOX,
    "return_path": st.sampled_from(["", "a@b.c", "ü@b.c"]) | TEXT,
    "headers": st.dictionaries(NAME, TEXT | st.lists(TEXT, max_size=2), max_size=2),
    "attachments": st.lists(FILE, max_size=2),
    "list_unsubscribe": st.sampled_from(["https://b.c/u?a=?utf-8?q?=0d?=", "mailto:u@b.c?subject=a,b"]) | TEXT,
}


def accepted(arguments: dict[str, Any]) -> Email | None:
    with contextlib.suppress(Unsendable, TypeError):
        mail = from_arguments((), arguments, LIMITS).mail
        assert isinstance(mail, Email)
        return mail
    return None


def check(arguments: dict[str, Any]) -> None:
    email = accepted(arguments)
    if email is not None:
        message = read(build(email, SENDER, "id@example.com", AT))
        assert len(files(message)) == len(email.files)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(ARGUMENTS)).flatmap(
        lambda name: st.fixed_dictionaries({name: ARGUMENTS[name]}).map(
            lambda wild: {"to": "to@b.c", "subject": "s", "body": "b", **wild}
        )
    )
)
@example({"to": "a@b.c", "subject": "s", "headers": {"X" * 76: "y" * 5000}, "body": "b"})
@example({"to": "a@b.c", "subject": "s", "headers": {"References": "<a@b> " * 3000}, "body": "b"})
@example({"to": "a@b.c", "subject": "s", "list_unsubscribe": "https://" + "x" * 892, "body": "b"})
@example({"to": "a@b.c", "subject": "s", "attachments": [("n", b"", "a/b; " + "; ".join(["c=" + "d" * 127] * 1))]})
@example({"to": "a@b.c", "subject": "s", "attachments": [("n", b"", 'a/b; c="' + "d" * 500 + '"')]})
@example({"to": "a@b.c", "subject": "s", "attachments": [("n", b"", 'a/b; c="=?utf-8?q?=0d=0aBcc:_x?="')]})
@example({"to": "a@b.c", "subject": "s", "attachments": [("n" * 255, b"x"), ("ü" * 255, b"x")]})
def test_what_a_call_takes_can_be_built(arguments: dict[str, Any]) -> None:
    check(arguments)


@settings(deadline=None)
@given(CID, FILE)
@example("x" * 100, ("a", b""))
@example("=?utf-8?q?=0d=0a?=", ("a", b""))
def test_an_image_that_a_call_takes_can_be_built(cid: str, file: tuple[Any, ...]) -> None:
    check({"to": "a@b.c", "subject": "s", "html": f'<img src="cid:{cid}">', "inline": {cid: file}})
