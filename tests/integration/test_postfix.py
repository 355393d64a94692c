"""The client against a real Postfix: streams of BDAT, refused recipients in between, and its limit on errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from mailworker.delivery.back_off import Policy
from mailworker.delivery.compose import build
from mailworker.delivery.decide import decide
from mailworker.envelope import Envelope
from mailworker.errors import SmtpError
from mailworker.mail.address import Mailbox
from mailworker.mail.arguments import from_arguments
from mailworker.mail.author import Author
from mailworker.mail.email import Limits
from mailworker.mail.finished.raw_arguments import raw_mail
from mailworker.outcome import Deferred
from mailworker.smtp import session
from mailworker.smtp.journal import Outgoing
from mailworker.smtp.opening import open_connection
from mailworker.smtp.relay import Relay
from mailworker.smtp.warm import WarmConnection

from .postfix import Forwarding, Postfix
from .smtp_client import QUICK, Journal, until
from .smtp_server import SmtpServer

WAYS = pytest.mark.parametrize(
    "values", [{}, {"chunking": False}, {"pipelining": False}], ids=["bdat", "pipelined", "steps"]
)


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    with Postfix() as server:
        yield server


@pytest.fixture(scope="module")
def strict_postfix() -> Iterator[Postfix]:
    """Says 421 after three errors without a mail in between, and minds what may be pipelined."""
    with Postfix(
        smtpd_hard_error_limit="3", smtpd_junk_command_limit="5", smtpd_data_restrictions="reject_unauth_pipelining"
    ) as server:
        yield server


def relay(postfix: Postfix, **values: Any) -> Relay:
    return Relay(**({"host": "127.0.0.1", "port": postfix.port, "deadlines": QUICK} | values))


def mail(name: str, *recipients: str, text: bytes = b"hello\r\n.\r\n..\r\n") -> Outgoing:
    data = f"From: <site@example.com>\r\nMessage-ID: <{name}@test>\r\n\r\n".encode() + text
    return Outgoing(name, Envelope("site@example.com", recipients or ("someone@example.com",), data))


def queued(postfix: Postfix, prefix: str, count: int) -> list[str]:
    """The Message-IDs of the mails it took, sorted. Waits for the log, which comes after the answer."""
    names: list[str] = []

    def enough() -> bool:
        names[:] = [name for name in postfix.message_ids() if name.startswith(prefix)]
        return len(names) >= count

    until(enough)
    return sorted(names)


@WAYS
def test_a_stream_of_mails_arrives_once_each(postfix: Postfix, values: dict[str, Any]) -> None:
    prefix = f"stream{len(str(values))}-"
    with closing(open_connection(relay(postfix, mails=1000, **values))) as connection:
        assert connection.has("CHUNKING")
        journal = Journal([mail(f"{prefix}{number}") for number in range(150)])
        session.send(connection, journal)
    assert set(journal.codes.values()) == {250}
    assert queued(postfix, prefix, 150) == sorted(f"{prefix}{number}" for number in range(150))


@WAYS
def test_refused_recipients_in_between_cost_nobody_anything(postfix: Postfix, values: dict[str, Any]) -> None:
    """Postfix calls the next mail nested (503) after DATA without recipients; RSET has gone before it."""
    prefix = f"mixed{len(str(values))}-"
    everyone = [("a@example.com", "never@example.com", "b@example.com"), ("never@example.com",), ("later@example.com",)]
    recipients = [*everyone, ("later@example.com", "never@example.com"), ("c@example.com",)]
    todo = [mail(f"{prefix}{number}", *recipients[number % 5]) for number in range(100)]
    with closing(open_connection(relay(postfix, **values))) as connection:
        journal = Journal(todo)
        session.send(connection, journal)
    expected = {"never@example.com": 550, "later@example.com": 450}
    for item in todo:
        replies = [reply.code for reply in journal.verdicts[item.id].recipients]
        assert replies == [expected.get(address, 250) for address in item.envelope.recipients]
        assert journal.verdicts[item.id].phase == ("message" if 250 in replies else "RCPT")
    assert queued(postfix, prefix, 40) == sorted(f"{prefix}{number}" for number in range(100) if number % 5 in (0, 4))


@WAYS
def test_a_large_mail_and_one_with_many_recipients_go_through(postfix: Postfix, values: dict[str, Any]) -> None:
    """Postfix takes 1,000 recipients a mail (smtpd_recipient_limit) and says 452 to the rest, who are tried again."""
    prefix = f"large{len(str(values))}-"
    many = [f"r{number}@example.com" for number in range(1_050)]
    text = b".0123456789" * 7 + b"\r\n"
    todo = [mail(f"{prefix}a", text=text * 250_000), mail(f"{prefix}b", *many), mail(f"{prefix}c")]
    with closing(open_connection(relay(postfix, **values))) as connection:
        journal = Journal(todo)
        session.send(connection, journal)
    assert set(journal.codes.values()) == {250}
    replies = [reply.code for reply in journal.verdicts[f"{prefix}b"].recipients]
    assert (replies.count(250), replies.count(452)) == (1000, 50)
    queued(postfix, prefix, 3)


def test_a_mail_over_its_size_limit_is_refused_without_being_sent(postfix: Postfix) -> None:
    with closing(open_connection(relay(postfix))) as connection:
        assert connection.extensions["SIZE"] == "30000000"
        journal = Journal([mail("over-1", text=b"x" * 78 + b"\r\n" * 15_000_000), mail("over-2")])
        session.send(connection, journal)
    assert journal.codes == {"over-1": 552, "over-2": 250}


@WAYS
def test_its_limit_on_errors_ends_sessions_and_loses_nothing(strict_postfix: Postfix, values: dict[str, Any]) -> None:
    """One bad mail in two: every fourth mail or so it says 421 and closes."""
    prefix = f"strict{len(str(values))}-"
    todo = [mail(f"{prefix}{n}", *(["never@example.com"] * (n % 4) or ["a@example.com"])) for n in range(80)]
    warm, journal, lost = WarmConnection(relay(strict_postfix, **values)), Journal(todo), 0
    while journal.todo:
        connection = warm.get()
        try:
            session.send(connection, journal)
        except SmtpError as error:
            assert error.code == 421  # noqa: PT017 - an error is one of the two good ends
            lost += 1
        assert journal.handed_out == {}
        if connection.broken:
            warm.drop()
    warm.drop()
    good = [f"{prefix}{n}" for n in range(80) if n % 4 == 0]
    assert 0 < lost <= 40
    assert [name for name, code in journal.codes.items() if code == 250] == good
    assert queued(strict_postfix, prefix, 20) == sorted(good)
    for name, verdict in journal.verdicts.items():
        assert name in good or {reply.code for reply in verdict.recipients} <= {550, 421}


@WAYS
def test_a_mail_with_more_bad_recipients_than_it_bears_gets_through_in_the_end(
    strict_postfix: Postfix, values: dict[str, Any]
) -> None:
    name = f"bad{len(str(values))}"
    todo = mail(name, *["never@example.com"] * 7, "good@example.com")
    for _ in range(5):
        journal = Journal([todo])
        connection = open_connection(relay(strict_postfix, **values))
        try:
            session.send(connection, journal)
        except SmtpError as error:
            assert error.code == 421  # noqa: PT017
        connection.close()
        outcome = decide(journal.verdicts[name], todo.envelope.recipients, 1, 0, Policy(), 0.5)
        if not isinstance(outcome, Deferred):
            break
        assert outcome.recipients is not None
        assert len(outcome.recipients) < len(todo.envelope.recipients)
        todo = Outgoing(name, todo.envelope.only(outcome.recipients))
    assert queued(strict_postfix, name, 1) == [name]


def test_a_postfix_that_was_stopped_leaves_no_process() -> None:
    with Postfix() as server:
        master = server.pid
        os.kill(master, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(master, 0)


RICH: dict[str, dict[str, Any]] = {
    "html": {"body": "text", "html": "<p>Grüße</p>" * 300},
    "all": {
        "html": '<img src="cid:logo">', "inline": {"logo": ("logo.png", bytes(range(256)) * 40)}, "cc": "c@relay.test",
        "bcc": "b@relay.test", "reply_to": ["r@example.com", "Ü <r2@example.com>"], "sender": "Größe <g@example.com>",
        "attachments": [("Rechnung Müller.pdf", b"%PDF" * 3000), ("文件 (1).docx", b"."), ("empty.bin", b"")],
        "headers": {"X-Long": "words " * 200, "List-Id": "<l.example.com>"},
        "list_unsubscribe": "https://example.com/" + "u" * 150, "dsn": {"notify": ["SUCCESS", "FAILURE"]},
    },
    "mails": {
        "body": ".\r\n..\n.", "attachments": [
            ("m.eml", b"Subject: s\n\n.\nFrom the first\n", "message/rfc822"),
            ("i.ics", b"BEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR\n", "text/calendar; method=REQUEST"),
        ],
    },
    "large": {"body": "x", "attachments": [("large.bin", bytes(range(256)) * 12_000)]},
}  # fmt: skip


FINISHED = (
    b"From: Ada <ada@example.com>\nX-A: 1\nBcc: b@relay.test\nSubject: finished\n\n.\n..\nFrom here\n" + b"x" * 998
)
"""As Python's `as_bytes()` gives it, and without a Date and a Message-ID."""


def test_rich_mails_leave_a_postfix_as_they_came() -> None:
    """Line by line: nothing of them is too long, has bare line ends or eight bits, which Postfix would mend."""
    author, ways = Author(Mailbox("site@example.com")), {"bdat": {}, "data": {"chunking": False}}
    mails = {name: from_arguments(("a@relay.test", f"Zoë's {name}"), RICH[name], Limits()).mail for name in RICH}
    mails["finished"] = raw_mail(FINISHED, None, ["a@relay.test"], None, Limits())
    with SmtpServer() as server, Forwarding(server.port) as postfix:
        sent: list[Outgoing] = []
        for way, values in ways.items():
            names = {f"{way}-{name}": email for name, email in mails.items()}
            todo = [Outgoing(name, build(email, author, f"{name}@example.com", 1)) for name, email in names.items()]
            with closing(open_connection(relay(postfix, **values))) as connection:
                journal = Journal(todo)
                session.send(connection, journal)
            assert set(journal.codes.values()) == {250}
            sent += todo
        until(lambda: sum(len(each.recipients) for each in server.mails) == 7 * len(ways), 20)
    for mail in sent:
        arrived = [each for each in server.mails if f"<{mail.id}@example.com>".encode() in each.data]
        assert all(each.data.endswith(b"\r\n" + mail.envelope.data) for each in arrived), mail.id
        assert {address for each in arrived for address in each.recipients} == set(mail.envelope.recipients)
    assert b"b@relay.test" not in b"".join(mail.envelope.data for mail in sent)
