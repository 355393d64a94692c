"""The arguments beside `to`, `subject` and `body`: what becomes of each, and what is said of each that is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailworker.envelope import Dsn
from mailworker.errors import Unsendable
from mailworker.mail.address import Mailbox
from mailworker.mail.arguments import SIGNATURE, Several, from_arguments
from mailworker.mail.email import Email, Limits
from mailworker.mail.file import File
from mailworker.mail.finished.raw_arguments import raw_mail
from mailworker.mail.frame import from_record, to_record
from mailworker.mail.senders import read as senders

MAIL: dict[str, Any] = {"to": "a@example.com", "subject": "s", "body": "b"}
A, B, C = (Mailbox(f"{name}@example.com") for name in "abc")


def mail(limits: Limits = Limits(), **more: Any) -> Email:  # noqa: B008 - it is frozen
    kwargs = {name: value for name, value in {**MAIL, **more}.items() if value is not ...}
    email = from_arguments((), kwargs, limits).mail
    assert isinstance(email, Email)
    return email


FILE = File("a", "application/octet-stream", b"")


class Promise:
    """As Django's `gettext_lazy` makes it: its class is called so."""

    def __str__(self) -> str:
        return "translated"


class Address(Promise):
    """Django takes one as an address (its issue 24416). It looks like a list: a lazy text has all methods of a text."""

    def __str__(self) -> str:
        return "a@example.com"

    def __iter__(self) -> Iterator[str]:
        return iter(str(self))


class LazyString:
    """As Flask-Babel's `lazy_gettext` makes it."""

    def __str__(self) -> str:
        return "translated"


class Word(StrEnum):
    HELLO = "hello"


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "another"


class Who(str, Enum):  # noqa: UP042 - what a StrEnum is not
    """Formatted, it is `Who.ADA`."""

    ADA = "a@example.com"


def test_a_member_of_an_enum_is_its_text_wherever_it_stands() -> None:
    call = from_arguments((), {
        "to": [Who.ADA], "cc": {Who.ADA: None}, "reply_to": {Who.ADA: Who.ADA}, "sender": Who.ADA, "subject": Who.ADA,
        "return_path": Who.ADA, "body": Who.ADA, "idempotency_key": Who.ADA, "attachments": [(Who.ADA, Who.ADA)],
        "headers": {"X-A": Who.ADA},
    }, Limits())  # fmt: skip
    finished = raw_mail("From: a@example.com\n\nx", Who.ADA, [Who.ADA], None, Limits())
    assert "Who" not in f"{call.id} {call.mail.recipients} {call.mail} {finished}".replace("b'a@example.com'", "")
    assert f"{call.id}{call.mail.return_path}{finished.return_path}" == "a@example.com" * 3  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("passed", "made"),
    [
        ({"cc": "", "bcc": "", "reply_to": ""}, {"cc": (), "bcc": (), "reply_to": ()}),
        ({"html": "<p>x"}, {"html": b"<p>x"}),
        ({"html": None}, {}),
        ({"html": ""}, {}),
        ({"html": "<p>Hello <b>you</b>", "body": ...}, {"html": b"<p>Hello <b>you</b>", "body": b"Hello you\n"}),
        ({"html": "<p>x", "body": None}, {"html": b"<p>x", "body": b"x\n"}),
        ({"html": "<p>x", "body": ""}, {"html": b"<p>x", "body": None}),
        ({"html": "<img src=x>", "body": ...}, {"html": b"<img src=x>", "body": None}),
        ({"body": ..., "attachments": [("a", b"")]}, {"body": b"", "attachments": (FILE,)}),
        ({"subject": Promise(), "html": LazyString()}, {"subject": b"translated", "html": b"translated"}),
        ({"to": Address(), "cc": [Address()], "sender": Address()}, {"to": (A,), "cc": (), "sender": A}),
        ({"bcc": {"b@example.com": Promise()}}, {"bcc": (Mailbox("b@example.com", b"translated"),)}),
        ({"subject": Word.HELLO, "body": Text("own")}, {"subject": b"hello", "body": b"own"}),
        ({"cc": "B <b@example.com>"}, {"cc": (Mailbox("b@example.com", b"B"),)}),
        ({"cc": None, "bcc": [], "reply_to": ()}, {}),
        ({"bcc": {"b@example.com": "B"}, "to": ...}, {"to": (), "bcc": (Mailbox("b@example.com", b"B"),)}),
        ({"cc": ["b@example.com"], "to": []}, {"to": (), "cc": (B,)}),
        ({"to": (name for name in ["a@example.com", "b@example.com"])}, {"to": (A, B)}),
        ({"to": {"c@example.com", "b@example.com", "a@example.com"}}, {"to": (A, B, C)}),
        ({"to": {"a@example.com": None}.keys(), "cc": {"x": "b@example.com"}.values()}, {"cc": (B,)}),
        ({"cc": ["b@example.com", "a@example.com", "b@example.com"]}, {"cc": (B,)}),
        ({"cc": "b@example.com", "bcc": [f"{name}@example.com" for name in "abc"]}, {"cc": (B,), "bcc": (C,)}),
        ({"reply_to": ["b@example.com", "C <c@example.com>"]}, {"reply_to": (B, Mailbox("c@example.com", b"C"))}),
        ({"sender": "B <b@example.com>"}, {"sender": Mailbox("b@example.com", b"B")}),
        ({"sender": {"b@example.com": "B"}}, {"sender": Mailbox("b@example.com", b"B")}),
        ({"return_path": ""}, {"return_path": ""}),
        ({"return_path": "b@münchen.de"}, {"return_path": "b@xn--mnchen-3ya.de"}),
        ({"headers": {"X-A": "ü", "X-B": ["1", "2"], "In-Reply-To": "<a@b>"}},
         {"headers": (("X-A", "ü".encode()), ("X-B", b"1"), ("X-B", b"2"), ("In-Reply-To", b"<a@b>"))}),
        ({"headers": {}}, {}),
        ({"list_unsubscribe": "https://example.com/u?a=b&c=%20"}, {"list_unsubscribe": ("https://example.com/u?a=b&c=%20",)}),
        ({"list_unsubscribe": ["<mailto:u@example.com?subject=x>", " https://x/ "]},
         {"list_unsubscribe": ("mailto:u@example.com?subject=x", "https://x/")}),
        ({"dsn": {"notify": "never"}}, {"dsn": Dsn(("NEVER",))}),
        ({"dsn": {"notify": ["DELAY", "failure"], "ret": "hdrs"}}, {"dsn": Dsn(("FAILURE", "DELAY"), "HDRS")}),
        ({"dsn": {"notify": "SUCCESS,FAILURE"}}, {"dsn": Dsn(("SUCCESS", "FAILURE"))}),
    ],
)  # fmt: skip
def test_what_is_passed_becomes_that_mail(passed: dict[str, Any], made: dict[str, Any]) -> None:
    plain, email = mail(), mail(**passed)
    assert {name: getattr(email, name) for name in email.__slots__ if getattr(email, name) != getattr(plain, name)} == {
        name: value for name, value in made.items() if value != getattr(plain, name)
    }
    assert from_record(to_record(email), Limits()) == email


@pytest.mark.parametrize(
    ("passed", "kind", "problem"),
    [
        ({"to": ["a@example.com"] * 17 + ["nobody"]}, Unsendable, "to[17]: an address has no @"),
        ({"to": ["a@example.com", 7]}, TypeError, "to[1]: expected an address as str, got int"),
        ({"to": {"a@example.com": "A", "b@example.com": ["B"]}}, TypeError, "to[1]: expected {address: name}"),
        ({"to": b"a@example.com"}, TypeError, "to: expected str, list or dict, got bytes"),
        ({"to": None}, TypeError, "to: expected str, list or dict, got NoneType"),
        ({"to": ["a@example.com\nBcc: x@example.com"]}, Unsendable, "to[0]: an address holds a control character"),
        ({"to": ...}, TypeError, "send_email: missing a required argument: 'to'"),
        ({"to": ..., "cc": None}, TypeError, "send_email: missing a required argument: 'to'"),
        ({"to": (), "cc": ()}, Unsendable, "to: no recipient"),
        ({"cc": ["b@example.com, c@example.com"]}, Unsendable, "cc[0]: more than one address in one text"),
        ({"bcc": "nobody"}, Unsendable, "bcc: an address has no @"),
        ({"reply_to": 7}, TypeError, "reply_to: expected str, list or dict, got int"),
        ({"subject": ...}, TypeError, "send_email: missing a required argument: 'subject'"),
        ({"subject": None}, TypeError, "subject: expected str, got NoneType"),
        ({"subject": b"s"}, TypeError, "subject: expected str, got bytes"),
        ({"body": ...}, TypeError, "send_email: missing a required argument: 'body' (or html, template, attachments)"),
        ({"body": None}, TypeError, "send_email: missing a required argument: 'body'"),
        ({"body": None, "html": ""}, TypeError, "send_email: missing a required argument: 'body'"),
        ({"body": ..., "attachments": [], "inline": {}}, TypeError, "send_email: missing a required argument: 'body'"),
        ({"html": b"<p>"}, TypeError, "html: expected str, got bytes"),
        ({"html": "\ud800"}, Unsendable, "html: holds a lone surrogate"),
        ({"sender": "nobody"}, Unsendable, "sender: an address has no @"),
        ({"sender": ["a@example.com", "b@example.com"]}, Unsendable, "sender: 2 addresses, expected one"),
        ({"sender": "A <a@example.com>\r\nBcc: b@example.com"}, Unsendable, "sender: "),
        ({"return_path": "B <b@example.com>"}, Unsendable, "return_path: an address stands in angle brackets"),
        ({"return_path": "<>"}, Unsendable, "return_path: an address has no @"),
        ({"return_path": 7}, TypeError, "return_path: expected an address as str, or '' for the null sender, got int"),
        ({"headers": "X-A: 1"}, TypeError, "headers: expected {name: value}, got str"),
        ({"headers": {"X-A": 7}}, TypeError, "headers: X-A: expected str, got int"),
        ({"headers": {7: "x"}}, TypeError, "headers: a name: expected str, got int"),
        ({"headers": {"X-A": "1\nBcc: x@example.com"}}, Unsendable, "headers: X-A: holds a line break"),
        ({"headers": {"X-A": "1\rx"}}, Unsendable, "headers: X-A: holds a line break"),
        ({"headers": {"X-A": "a\0b"}}, Unsendable, "headers: X-A: holds a control character"),
        ({"headers": {"X-A": "\ud800"}}, Unsendable, "headers: X-A: holds a lone surrogate"),
        ({"headers": {"X-A": " "}}, Unsendable, "headers: X-A: is empty; leave it out"),
        ({"headers": {"X-A:": "1"}}, Unsendable, "headers: X-A:: a name is up to 76 characters of ASCII, no blank"),
        ({"headers": {"X A": "1"}}, Unsendable, "headers: X A: a name is"),
        ({"headers": {"X-A\r\nBcc": "x"}}, Unsendable, "headers: a header: a name is"),
        ({"headers": {"X-Ü": "1"}}, Unsendable, "headers: a header: a name is"),
        ({"headers": {"": "1"}}, Unsendable, "headers: : a name is"),
        ({"headers": {"x" * 77: "1"}}, Unsendable, "headers: a header: a name is"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, Unsendable, "headers: x-a is there twice, as X-A too"),
        ({"headers": {"In-Reply-To": "ü"}}, Unsendable, "headers: In-Reply-To: expected ASCII: this header is never"),
        ({"headers": {"X-=?utf-8?q?=0a?=": "x"}}, Unsendable, "headers: X-=?utf-8?q?=0a?=: a name is up to 76"),
        ({"reply_to": {"a@example.com": "x" * 20_000}}, Unsendable, "reply_to: 20013 octets, more than 16384"),
        ({"reply_to": [f"{at}@example.com" for at in range(10_000)]}, Unsendable, "reply_to: "),
        ({"sender": {"a@example.com": "x" * 20_000}}, Unsendable, "sender: 20013 octets, more than 16384"),
        ({"list_unsubscribe": [f"https://example.com/{at}" for at in range(1000)]}, Unsendable, "list_unsubscribe: "),
        ({"headers": {"X-A": "x" * 70_000}}, Unsendable, "headers: 70007 octets, more than 57344"),
        ({"list_unsubscribe": "http://x"}, Unsendable, "list_unsubscribe: expected https://… or mailto:…, in ASCII"),
        ({"list_unsubscribe": ["https://x", "x"]}, Unsendable, "list_unsubscribe[1]: expected https://… or mailto:…"),
        ({"list_unsubscribe": "https://x>,<mailto:y"}, Unsendable, "list_unsubscribe: expected https"),
        ({"list_unsubscribe": "https://x\r\nBcc: y"}, Unsendable, "list_unsubscribe: expected https"),
        ({"list_unsubscribe": "https://x/" + "y" * 900}, Unsendable, "list_unsubscribe: 910 characters, more than 900"),
        ({"list_unsubscribe": 7}, TypeError, "list_unsubscribe: expected a link, or a list of them, got int"),
        ({"dsn": "NEVER"}, TypeError, "dsn: expected {'notify': 'NEVER', or some of"),
        ({"dsn": {"notfy": "NEVER"}}, TypeError, "dsn: expected {'notify'"),
        ({"dsn": {"notify": ["NEVER", "DELAY"]}}, Unsendable, "dsn: notify: NEVER stands alone"),
        ({"dsn": {"notify": "SOMETIMES"}}, Unsendable, "dsn: notify: expected"),
        ({"dsn": {"notify": 7}}, TypeError, "dsn: notify: expected"),
        ({"dsn": {"ret": "ALL"}}, Unsendable, "dsn: ret: expected 'FULL' or 'HDRS'"),
        ({"dsn": {"ret": 7}}, TypeError, "dsn: ret: expected 'FULL' or 'HDRS', got int"),
        ({"context": {"a": 1}}, TypeError, "context: is for a template; pass template=… as well, or leave it out"),
        ({"template": "x", "html": "<p>"}, TypeError, "html: the template has it"),
        ({"idempotency_key": 7}, TypeError, "idempotency_key: expected a string, got int"),
        ({"from_": "x"}, TypeError, "send_email: got an unexpected keyword argument 'from_'"),
    ],
)
def test_what_is_wrong_says_which_it_is_and_what_to_write(passed: Any, kind: type[Exception], problem: str) -> None:
    with pytest.raises(kind) as caught:
        mail(**passed)
    assert str(caught.value).startswith(problem), str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["From", "TO", "Cc", "bcc", "Reply-To", "Subject", "Return-Path", "List-Unsubscribe", "List-Unsubscribe-Post",
     "Sender", "Date", "Message-ID", "MIME-Version", "Content-Type", "content-x", "Received", "DKIM-Signature",
     "Resent-To", "ARC-Seal"],
)  # fmt: skip
def test_headers_that_are_made_here_are_refused_by_their_names(name: str) -> None:
    with pytest.raises(Unsendable, match=rf"^headers: {name} (has an argument of its own: \w+|is made by mailworker)"):
        mail(headers={name: "x@example.com"})


@pytest.mark.parametrize(
    ("allowed", "sender", "good"),
    [
        ([], "any@example.org", True),
        (["example.com"], "Any@Example.COM", True),
        (["Example.com"], "any@example.com", True),
        (["@example.com"], "any@example.com", True),
        (["example.com"], "any@sub.example.com", False),
        (["example.com"], "any@badexample.com", False),
        (["one@example.com"], "one@example.com", True),
        (["one@example.com"], "two@example.com", False),
        (["one@example.com"], "site@example.org", True),
        (["münchen.de"], "any@münchen.de", True),
        (["münchen.de"], "any@xn--mnchen-3ya.de", True),
    ],
)
def test_a_caller_sends_as_whom_the_site_lets_it(allowed: list[str], sender: str, good: bool) -> None:
    limits = Limits(senders=senders(allowed, "site@example.org"))
    for name in ("sender", "return_path"):
        if good:
            assert getattr(mail(limits, **{name: sender}), name) is not None
            continue
        with pytest.raises(Unsendable, match=f"^{name}: neither the address nor its domain is in MAILWORKER_SENDERS"):
            mail(limits, **{name: sender})
    assert mail(limits, return_path="").return_path == ""


@pytest.mark.parametrize("allowed", [[""], ["a b"], ["x@"], ["http://example.com"], ["example.com example.org"]])
def test_what_is_no_sender_is_refused_at_the_start(allowed: list[str]) -> None:
    with pytest.raises(ValueError, match="is no address and no domain; expected some with commas between"):
        senders(allowed, "site@example.org")


def test_a_list_of_addresses_without_end_ends() -> None:
    def people() -> Iterator[str]:
        while True:
            yield "somebody@example.com"

    with pytest.raises(Unsendable, match=r"^to: more than 65536 addresses$"):
        mail(to=people())

    def others() -> Iterator[str]:
        number = 0
        while True:
            number += 1
            yield f"a{number}@example.com"

    with pytest.raises(Unsendable, match=r"^to: more than 65536 addresses$"):
        mail(to=others())


def test_the_same_call_makes_the_same_octets_in_each_process(tmp_path: Path) -> None:
    """So that another process may repeat it under its key: sets and hashes are no obstacle."""
    program = (
        "from mailworker.mail.arguments import from_arguments\n"
        "from mailworker.mail.email import Limits\n"
        "from mailworker.mail.frame import to_record\n"
        "import hashlib\n"
        "people = {f'a{n}@example.com' for n in range(50)}\n"
        "call = from_arguments((), dict(to=people, cc=frozenset(['x@example.com', 'y@example.com']), subject='s',\n"
        "    html='<p>x', attachments=[('a', b'x' * 9000)], dsn={'notify': {'DELAY', 'FAILURE'}}), Limits())\n"
        "print(hashlib.sha256(to_record(call.mail)).hexdigest())\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


ADDRESSES = st.sampled_from(["a@example.com", "B <b@example.com>", '"C, D" <c@example.com>', "e@münchen.de", "ü@x.org"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50).filter(str.strip)
NAMES = st.text(st.characters(categories=["L", "N"], include_characters=" .-_()'\""), min_size=1, max_size=30).filter(
    lambda name: name.strip(". ")
)
FILES = st.tuples(NAMES, st.binary(max_size=9000))
PASSED = st.fixed_dictionaries(
    {"to": st.lists(ADDRESSES, min_size=1), "subject": TEXTS, "body": TEXTS},
    optional={
        "html": TEXTS.filter(lambda text: "cid:" not in text.lower()),
        "cc": st.lists(ADDRESSES), "bcc": ADDRESSES, "reply_to": st.lists(ADDRESSES), "sender": ADDRESSES,
        "return_path": st.sampled_from(["", "a@example.com"]),
        "headers": st.dictionaries(st.from_regex(r"X-[A-Z]{1,9}", fullmatch=True), VALUES | st.lists(VALUES)),
        "attachments": st.lists(FILES, max_size=3),
        "list_unsubscribe": st.sampled_from(["https://example.com/u", ["mailto:u@example.com", "https://x/y"]]),
        "dsn": st.sampled_from([{}, {"notify": "NEVER"}, {"ret": "FULL", "notify": ["DELAY"]}]),
    },
)  # fmt: skip


@settings(max_examples=50)
@given(PASSED)
def test_whatever_is_passed_comes_out_of_the_spool_as_it_went_in(passed: dict[str, Any]) -> None:
    email = from_arguments((), passed, Limits()).mail
    assert isinstance(email, Email)
    kept = from_record(to_record(email), Limits())
    assert isinstance(kept, Email)
    without = [[(file.name, file.type, file.digest) for file in one.files] for one in (email, kept)]
    assert without[0] == without[1]
    assert {name: getattr(email, name) for name in email.__slots__ if name != "attachments"} == {
        name: getattr(kept, name) for name in kept.__slots__ if name != "attachments"
    }


@settings(max_examples=50)
@given(PASSED, st.sets(st.sampled_from(["to", "subject", "body", "html", "cc", "headers", "attachments", "sender"])))
def test_what_several_mails_share_makes_the_same_mail_as_passed_alone(passed: dict[str, Any], own: set[str]) -> None:
    shared = {name: value for name, value in passed.items() if name not in own}
    several = Several(shared, Limits())
    for _ in range(2):
        call = several.call({name: value for name, value in passed.items() if name in own})
        assert call.mail == from_arguments((), passed, Limits()).mail


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


NAME = re.compile(r"(\w+(\[[^\]]*\]?)?|send_email): ")


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(sorted(SIGNATURE.parameters)), JUNK), st.booleans())
def test_junk_is_a_mail_or_an_error_that_names_the_argument(passed: dict[str, Any], from_message: bool) -> None:
    problem: Exception | None = None
    try:
        from_arguments((), {**MAIL, **passed}, Limits(), from_message)
    except (TypeError, Unsendable) as error:
        problem = error
    assert problem is None or NAME.match(str(problem))


def contents(several: Several, path: Path, texts: str) -> list[bytes | None]:
    """Of the file of each mail, which is written anew for it under the same name."""
    found = []
    for text in texts:
        path.write_text(text)
        call = several.call({"to": "a@example.com", "subject": "s", "body": "b", "attachments": [path]})
        assert isinstance(call.mail, Email)
        found.append(call.mail.attachments[0].content)
    return found


def test_a_file_that_is_written_anew_for_each_of_many_mails_is_read_for_each(tmp_path: Path) -> None:
    """Or everybody would get the first one's invoice."""
    assert contents(Several({}, Limits()), tmp_path / "invoice.txt", "abc") == [b"a", b"b", b"c"]


def test_a_file_that_stays_as_it_is_is_read_once_for_many_mails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "news.txt").write_text("x" * 10_000)
    monkeypatch.setattr("mailworker.mail.known_files.time.time_ns", lambda: 2**62)
    several, own = Several({}, Limits()), {"to": "a@example.com", "subject": "s", "body": "b"}
    calls = [several.call({**own, "attachments": [str(tmp_path / "news.txt")]}) for _ in range(2)]
    first, second = [call.mail.attachments[0].content for call in calls if isinstance(call.mail, Email)]
    assert first is second


def test_no_more_files_are_remembered_than_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailworker.mail.known_files.MOST", (3, 100))
    several, own = Several({}, Limits()), {"to": "a@example.com", "subject": "s", "body": "b"}
    for number in range(20):
        several.call({**own, "attachments": [("a.txt", b"%d" % number * 10)]})
        assert len(several._files._files) <= 3
        assert several._files._size <= 100
