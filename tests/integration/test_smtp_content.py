"""What the relay decodes is what the envelope holds, whatever a body holds: nobody smuggles a mail through another."""

from __future__ import annotations

import itertools
import quopri
import random
import re

import pytest

from mailworker.envelope import Envelope
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.wire import mime
from mailworker.smtp.journal import Outgoing

from .smtp_client import WAYS, send_all
from .smtp_server import SmtpServer

SENDER = Mailbox("site@example.com", b"A site")
PIECES = (b"\r", b"\n", b".", b"x")
SMUGGLED = b"MAIL FROM:<evil@test>\r\nRCPT TO:<victim@test>\r\nDATA\r\nfake\r\n.\r\n"
ENDS = [
    b"\r\n.\r\n",
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\r\n.\r\r\n",
    b"\r\n\0.\r\n",
]


def built(name: str, body: bytes, subject: bytes = b"s") -> Outgoing:
    email = Email((Mailbox("b@test", subject),), subject, body)
    return Outgoing(name, mime.build(email, SENDER, f"{name}@test", 0))


def body_of(data: bytes) -> bytes:
    return quopri.decodestring(data.partition(b"\r\n\r\n")[2])


def normal(body: bytes) -> bytes:
    """One line break for each of CRLF, CR and LF; the content ends in one."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", body)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def check(server: SmtpServer, todo: list[Outgoing]) -> None:
    assert [mail.data for mail in server.mails] == [item.envelope.data for item in todo]
    assert [mail.recipients for mail in server.mails] == [("b@test",)] * len(todo)
    for mail in server.mails:
        assert mail.sender == "site@example.com"
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n", mail.content)
        assert max(map(len, mail.content.split(b"\r\n"))) <= 998


@WAYS
def test_every_mix_of_cr_lf_and_dots_arrives_as_it_was_built(extensions: tuple[str, ...]) -> None:
    bodies = [b"".join(mix) for length in range(6) for mix in itertools.product(PIECES, repeat=length)]
    # Several to a mail, or these would be thousands; each stands between lines of its own.
    groups = [bodies[begin : begin + 40] for begin in range(0, len(bodies), 40)]
    todo = [built(f"m{number}", b"\n-\n".join(group)) for number, group in enumerate(groups)]
    with SmtpServer(extensions=extensions) as server:
        send_all(server, todo)
        check(server, todo)
        assert [body_of(mail.data) for mail in server.mails] == [normal(b"\n-\n".join(group)) for group in groups]


@WAYS
def test_short_bodies_arrive_as_they_were_built(extensions: tuple[str, ...]) -> None:
    bodies = [b"".join(mix) for length in range(4) for mix in itertools.product(PIECES, repeat=length)]
    todo = [built(f"m{number}", body) for number, body in enumerate(bodies)]
    with SmtpServer(extensions=extensions) as server:
        send_all(server, todo)
        check(server, todo)
        assert [body_of(mail.data) for mail in server.mails] == [normal(body) for body in bodies]


@WAYS
@pytest.mark.parametrize("field", ["body", "subject", "name"])
def test_nothing_ends_a_mail_but_its_end(extensions: tuple[str, ...], field: str) -> None:
    texts = [b"before" + end + SMUGGLED for end in ENDS]
    if field == "body":
        todo = [built(f"m{number}", text) for number, text in enumerate(texts)]
    else:
        todo = [built(f"m{number}", b"b", text.replace(b"\0", b"")) for number, text in enumerate(texts)]
    with SmtpServer(extensions=extensions) as server:
        send_all(server, todo)
        check(server, todo)
        assert not any("victim" in line for line in server.commands())


@WAYS
@pytest.mark.parametrize("seed", range(3))
def test_random_octets_arrive_as_they_were_built(extensions: tuple[str, ...], seed: int) -> None:
    dice = random.Random(seed)
    pool = b"\r\n\r\n..\0 =\t\xff" + b"abc"
    todo = [built(f"m{n}", bytes(dice.choices(pool, k=dice.randint(0, 3000)))) for n in range(40)]
    with SmtpServer(extensions=extensions) as server:
        send_all(server, todo)
        check(server, todo)


@WAYS
def test_dots_at_the_seams_of_segments_are_stuffed(extensions: tuple[str, ...]) -> None:
    """Lines of one dot over several megabytes: wherever a packet ends, a dot begins a line there."""
    data = b"Subject: dots\r\n\r\n" + b".\r\n" * 700_000
    todo = [Outgoing("a", Envelope("site@example.com", ("b@test",), data))]
    with SmtpServer(extensions=extensions) as server:
        send_all(server, todo)
        assert server.mails[0].data == data
        assert len(server.mails[0].content) == len(data) + (700_000 if server.mails[0].way == "DATA" else 0)


@WAYS
@pytest.mark.parametrize("address", ['"quoted local"@test', "plus+tag@test", "user@[192.0.2.1]", "o'neil/x=y@test"])
def test_an_unusual_address_is_said_as_it_is(extensions: tuple[str, ...], address: str) -> None:
    with SmtpServer(extensions=extensions) as server:
        send_all(server, [Outgoing("a", Envelope("site@example.com", (address,), b"x\r\n"))])
        assert server.mails[0].recipients == (address,)
