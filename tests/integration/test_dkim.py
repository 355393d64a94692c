"""What is signed verifies for OpenDKIM, as it was signed and as a real Postfix passes it on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mailworker.delivery.compose import build
from mailworker.mail.address import Mailbox
from mailworker.mail.author import Author
from mailworker.mail.email import Email, RawMail
from mailworker.mail.file import File
from mailworker.smtp import session
from mailworker.smtp.journal import Outgoing
from mailworker.smtp.relay import Relay

from ..dkim_peers import ALGORITHMS, dkimpy, opendkim, records, signers
from ..unit.mail.test_dkim import AT, BODIES, HEAD, HEADS, MAIL
from .postfix import Forwarding
from .smtp_client import QUICK, Journal, open_connection, until
from .smtp_server import SmtpServer

SITE = Mailbox("site@example.com", "Ä site".encode())
TO = (Mailbox("someone@example.org", "Jemand, Ж".encode()),)
TEXT = (
    b"hello\n.\n..\n.hidden\n\n   blanks  and\ttabs \n"
    + "Ä line of text with Umläuten, 文件. \n".encode() * 30
    + b"\n\n\n"
)
HTML = b"<p>" + "Grüße  aus\tKöln. ".encode() * 3000 + b"</p>\n"
FILE = File("Rechnung Müller.pdf", "application/pdf", bytes(range(256)) * 4000, "", "")
SIGNATURE = (
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=other; h=from;\r\n"
    b"\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n"
)

MAILS: dict[str, Email | RawMail] = {
    "text": Email(to=TO, subject="Grüße  an alle".encode(), body=TEXT),
    "no text": Email(to=TO, subject=b"", body=b""),
    "html": Email(to=TO, subject=b"s" * 300 + b" x" * 60, body=TEXT, html=HTML, cc=TO, bcc=(Mailbox("b@example.org"),)),
    "file": Email(to=TO, subject=b"file", body=TEXT, html=HTML, attachments=(FILE,), reply_to=TO),
    "unsubscribe": Email(
        to=TO, subject=b"news", body=TEXT, headers=(("X-Own", b"a  b"), ("References", b"<a@b> <c@d>")),
        list_unsubscribe=("https://example.com/u?x=1", "mailto:u@example.com"),
    ),
    "raw": RawMail((TO[0].address,), SITE.address, MAIL.replace(b"Is din", b"Is\r\n\t din") + b"\xc3\xbc. \r\n.\r\n"),
    "signed before": RawMail((TO[0].address,), "", SIGNATURE + MAIL),
}  # fmt: skip

WAYS: dict[str, dict[str, bool]] = {"bdat": {}, "pipelined": {"chunking": False}, "steps": {"pipelining": False}}


@pytest.fixture(scope="module")
def next_hop() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.fixture(scope="module")
def postfix(next_hop: SmtpServer) -> Iterator[Forwarding]:
    with Forwarding(next_hop.port) as server:
        yield server


def site(*algorithms: str) -> Author:
    return Author(SITE, signers("example.com", algorithms=algorithms or ALGORITHMS))


def known(author: Author) -> dict[str, str]:
    assert author.signers is not None
    return records(author.signers)


@pytest.mark.parametrize("name", sorted(BODIES.keys() - {"no line break"}))  # its test mode reads whole lines
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_opendkim_verifies_every_body(tmp_path: Path, algorithm: str, name: str) -> None:
    these = signers("example.com", algorithms=(algorithm,))
    message = HEAD + b"\r\n" + BODIES[name]
    assert opendkim(tmp_path, records(these), these.sign(message, AT) + message)


@pytest.mark.parametrize("name", HEADS)
def test_opendkim_verifies_all_headers(tmp_path: Path, name: str) -> None:
    these = signers("example.com")
    message = HEADS[name] + b"\r\ntext\r\n"
    assert opendkim(tmp_path, records(these), these.sign(message, AT) + message)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("before", "after"),
    [(b"hungry", b"thirsty"), (b"Subject: Is", b"Subject: Was"), (b"To: s", b"From: eve@example.com\r\nTo: s")],
)
def test_opendkim_sees_a_change(tmp_path: Path, algorithm: str, before: bytes, after: bytes) -> None:
    these = signers("example.com", algorithms=(algorithm,))
    assert not opendkim(tmp_path, records(these), (these.sign(MAIL, AT) + MAIL).replace(before, after, 1))


@pytest.mark.parametrize("name", MAILS)
def test_what_leaves_a_child_verifies_and_each_attempt_has_the_same(tmp_path: Path, name: str) -> None:
    author = site()
    data = build(MAILS[name], author, "m1@example.com", AT * 1000).data
    assert build(MAILS[name], author, "m1@example.com", AT * 1000).data == data
    assert dkimpy(data, known(author))[:2] == [True, True]
    assert opendkim(tmp_path, known(author), data)


@pytest.mark.parametrize("way", WAYS)
def test_what_a_postfix_passes_on_verifies(postfix: Forwarding, next_hop: SmtpServer, tmp_path: Path, way: str) -> None:
    author = site()
    built = [build(mail, author, f"{way}@example.com", AT * 1000) for mail in MAILS.values()]
    todo = [Outgoing(str(number), envelope.only((f"{number}@{way}",))) for number, envelope in enumerate(built)]
    values: dict[str, Any] = {"host": "127.0.0.1", "port": postfix.port, "deadlines": QUICK} | WAYS[way]
    journal = Journal(todo)
    with closing(open_connection(Relay(**values))) as connection:
        session.send(connection, journal)
    assert set(journal.codes.values()) == {250}

    def arrived() -> list[bytes]:
        return [mail.data for mail in list(next_hop.mails) if mail.recipients[0].endswith("@" + way)]

    until(lambda: len(arrived()) >= len(todo))
    for data in arrived():
        assert data.startswith(b"Received: ")
        assert dkimpy(data, known(author))[:2] == [True, True]
        assert opendkim(tmp_path, known(author), data)
