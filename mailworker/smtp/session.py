"""Mail transactions over an open connection (RFC 5321; 2920 for PIPELINING, 3030 for CHUNKING).

The caller hands over a `Journal`: it gives the mails, is asked to commit those whose content is about to leave, and
is told each verdict. An exception leaves what is committed and has no verdict in doubt; the rest was not sent.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from ..errors import SmtpError
from ..mime import Envelope
from ..retry import Verdict
from .connection import Connection
from .replies import Reply

RECIPIENTS_PER_GROUP: Final = 100
"""Commands whose replies may be waited for at once: more could fill both sides' buffers (RFC 2920, 3.1)."""

SLOWEST: Final = 50_000
"""Octets a second that a relay has to read at least, on top of the deadline."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    id: str
    envelope: Envelope


class Journal(Protocol):
    def next(self, count: int) -> list[Outgoing]:
        """Up to `count` mails more; none when there are no more, or the caller is to stop."""

    def commit(self, mails: list[Outgoing]) -> list[Outgoing]:
        """Marks these as about to be sent, and gives back those that still may be."""

    def done(self, mail: Outgoing, verdict: Verdict) -> None:
        """The relay's verdict. A mail without one was not sent, or is in doubt if it was committed."""

    def again(self, mail: Outgoing) -> None:
        """The relay did not take up this mail, committed or not: it comes again from `next`."""


def send(connection: Connection, journal: Journal) -> None:
    """Sends what the journal gives until it gives no more or the connection has carried its share.

    Raises `SmtpError` when the session breaks; `configuration` is true where the relay wants a login.
    """
    while not connection.broken and _share(connection):
        mails = _stream(connection, journal) if connection.chunking else journal.next(1)
        if not mails and not connection.broken:
            return
        for mail in mails:
            _step(connection, mail, journal)


def _share(connection: Connection) -> int:
    """How many mails more this connection is to carry."""
    return max(0, connection.relay.mails - connection.mails)


# Streaming: MAIL, RCPT… and BDAT LAST of a mail in one write, and up to a window of mails under way at once.


def _stream(connection: Connection, journal: Journal) -> list[Outgoing]:
    """Returns, uncommitted, the mails that have to go step by step; none when the journal has no more."""
    window = connection.relay.window
    under_way: deque[Outgoing] = deque()
    aside: list[Outgoing] = []
    clean = more = True
    while more or under_way:
        if more and clean and len(under_way) <= window // 2:
            group = journal.next(min(window - len(under_way), _share(connection)))
            aside = [mail for mail in group if not _streamable(connection, mail)]
            more = bool(group) and not aside
            _start(connection, [mail for mail in group if mail not in aside], journal, under_way)
        while under_way:
            clean = _read_group(connection, under_way.popleft(), journal) and clean
            if connection.broken:  # the relay said good-bye: what came after in the same write was not read
                for mail in under_way:
                    journal.again(mail)
                return aside
            if not connection.replies.buffered:
                break
        if not clean and not under_way:
            _reset(connection)
            clean = connection.chunking
            more = more and clean
    return aside if aside or connection.chunking else journal.next(1)


def _streamable(connection: Connection, mail: Outgoing) -> bool:
    few = len(mail.envelope.recipients) <= RECIPIENTS_PER_GROUP
    return few and (not mail.envelope.smtputf8 or connection.has("SMTPUTF8"))


def _start(connection: Connection, group: list[Outgoing], journal: Journal, under_way: deque[Outgoing]) -> None:
    committed = journal.commit(group) if group else []
    if not committed:
        return
    connection.mails += len(committed)
    under_way.extend(committed)
    parts: list[bytes] = []
    for mail in committed:
        envelope = mail.envelope
        lines = [*_commands(connection, envelope), f"BDAT {len(envelope.data)} LAST", ""]
        parts += ("\r\n".join(lines).encode("utf-8"), envelope.data)
    _write_content(connection, b"".join(parts))


def _read_group(connection: Connection, mail: Outgoing, journal: Journal) -> bool:
    """The replies to one mail, in order. True where all were positive."""
    mail_reply, recipients = _read_opening(connection, len(mail.envelope.recipients))
    if connection.broken or mail_reply.code == 503:
        journal.again(mail)
        return False
    final = connection.replies.read("message", connection.relay.deadlines.final)
    if mail_reply.code == 530:
        journal.again(mail)
        raise SmtpError("MAIL", 530, mail_reply.text, configuration=True)
    accepted = mail_reply.positive and any(reply.positive for reply in recipients)
    if accepted and final.code in (500, 501, 502, 503, 504):  # it announced BDAT, and does not know it
        connection.extensions.pop("CHUNKING", None)
        journal.again(mail)
        return False
    connection.broken = final.code == 421
    journal.done(mail, _verdict(mail_reply, recipients, final if accepted else None))
    return accepted and final.positive and all(reply.positive for reply in recipients)


# Step by step: for relays without CHUNKING (or PIPELINING), and for mails with very many recipients.


def _step(connection: Connection, mail: Outgoing, journal: Journal) -> None:
    envelope = mail.envelope
    if envelope.smtputf8 and not connection.has("SMTPUTF8"):
        no = Reply(550, "the address needs SMTPUTF8, which the relay does not offer")
        journal.done(mail, Verdict((), no, "SMTPUTF8"))
        return
    connection.mails += 1
    mail_reply, recipients, data = _open(connection, envelope)
    if connection.broken:
        journal.again(mail)
        return
    if mail_reply.code == 530:
        raise SmtpError("MAIL", 530, mail_reply.text, configuration=True)
    if data is not None and not data.positive:
        journal.done(mail, Verdict(recipients, data, "DATA"))
    elif any(reply.positive for reply in recipients):
        _send_content(connection, mail, journal, mail_reply, recipients)
        return
    else:
        if data is not None:  # pipelined, and it waits for a message to nobody: end that at once (RFC 2920, 3.1)
            connection.write(b".\r\n", "DATA", connection.relay.deadlines.reply)
            connection.replies.read("message", connection.relay.deadlines.final)
        journal.done(mail, _verdict(mail_reply, recipients, None))
    _reset(connection)


def _send_content(
    connection: Connection, mail: Outgoing, journal: Journal, mail_reply: Reply, recipients: tuple[Reply, ...]
) -> None:
    if not journal.commit([mail]):
        connection.close(polite=False)  # there is no other way out of DATA
        return
    data = mail.envelope.data
    if connection.chunking:
        _write_content(connection, f"BDAT {len(data)} LAST\r\n".encode("ascii") + data)
    else:
        _write_content(connection, data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    final = connection.replies.read("message", connection.relay.deadlines.final)
    connection.broken = final.code == 421
    journal.done(mail, _verdict(mail_reply, recipients, final))
    if not final.positive:
        _reset(connection)


def _open(connection: Connection, envelope: Envelope) -> tuple[Reply, tuple[Reply, ...], Reply | None]:
    """The replies to MAIL, to each RCPT, and to DATA where that was reached (never with CHUNKING)."""
    lines = _commands(connection, envelope)
    group_size = RECIPIENTS_PER_GROUP if connection.pipelining else 1
    replies: list[Reply] = []
    for begin in range(0, len(lines), group_size):
        group = lines[begin : begin + group_size]
        last = begin + group_size >= len(lines) and connection.pipelining and not connection.chunking
        connection.write("\r\n".join([*group, *["DATA"] * last, ""]).encode("utf-8"), "RCPT", _seconds(connection))
        for index in range(len(group)):
            replies.append(connection.replies.read("RCPT" if begin + index else "MAIL", _seconds(connection)))
            if _good_bye(connection, replies[-1]):
                return replies[0], tuple(replies[1:]), None
        if last:
            data = connection.replies.read("DATA", _seconds(connection))
            _good_bye(connection, data)
            accepted = replies[0].positive and any(reply.positive for reply in replies[1:])
            return replies[0], tuple(replies[1:]), data if accepted or data.positive else None
        if not replies[0].positive:
            return replies[0], (), None
    answer: Reply | None = None
    if not connection.chunking and any(reply.positive for reply in replies[1:]):
        answer = connection.command("DATA", "DATA")
        _good_bye(connection, answer)
    return replies[0], tuple(replies[1:]), answer


# Both ways.


def _commands(connection: Connection, envelope: Envelope) -> list[str]:
    size = f" SIZE={len(envelope.data)}" if connection.has("SIZE") else ""
    utf8 = " SMTPUTF8" if envelope.smtputf8 else ""
    return [
        f"MAIL FROM:<{envelope.sender}>{size}{utf8}",
        *[f"RCPT TO:<{recipient}>" for recipient in envelope.recipients],
    ]


def _read_opening(connection: Connection, count: int) -> tuple[Reply, tuple[Reply, ...]]:
    replies: list[Reply] = []
    for index in range(count + 1):
        replies.append(connection.replies.read("RCPT" if index else "MAIL", _seconds(connection)))
        if _good_bye(connection, replies[-1]):
            break
    return replies[0], tuple(replies[1:])


def _verdict(mail_reply: Reply, recipients: tuple[Reply, ...], final: Reply | None) -> Verdict:
    """`final` is the reply to the content, or None where no recipient was left for it."""
    if not mail_reply.positive:
        return Verdict((), mail_reply, "MAIL")
    if final is None:
        return Verdict(recipients, recipients[-1], "RCPT")
    return Verdict(recipients, final, "message")


def _good_bye(connection: Connection, reply: Reply) -> bool:
    """True for 421: the relay closes (RFC 5321, 3.8), and reads nothing that is still on its way."""
    if reply.code == 421:
        connection.broken = True
    return connection.broken


def _write_content(connection: Connection, octets: bytes) -> None:
    patience = connection.relay.deadlines.final + len(octets) / SLOWEST
    connection.write(octets, "message", patience)


def _reset(connection: Connection) -> None:
    if not connection.broken:
        connection.command("RSET", "RSET")


def _seconds(connection: Connection) -> float:
    return connection.relay.deadlines.reply
