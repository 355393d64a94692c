"""The first mail of a connection that is to carry a stream of BDATs: is what the relay announced true?

One write: a harmless chunk that has to be refused and skipped, RSET, MAIL, RCPT… and NOOP. No content leaves before all
of it is answered as it should be. So a relay, or something before it, that does not know BDAT, does not skip what it
refuses, or does not bear commands that come together, never sees content that it could read as commands.
"""

from __future__ import annotations

import time
from typing import Final

from ..errors import OutOfStep, SmtpError
from .complaints import blames_the_group, says_pipelining
from .connection import Connection
from .replies import Reply
from .transaction import HASTY, Opening, ask, patience, read_mail, read_recipients

_CHUNK: Final = b"BDAT 6\r\nXNOP\r\n"
"""Six octets that no mail waits for. One reply, a refusal: it knows BDAT, and skips what it refuses. Two: it does not.
Without LAST, after which some relays are not ready for the next mail; RSET follows."""

TARPIT: Final = 3
"""Seconds for a refusal, and four times what EHLO took, above which the relay is thought to make those wait whom it
refuses something, as Exchange does with strangers (5 s). DATA needs no refusal."""


def prove(connection: Connection, lines: list[str], count: int) -> Opening | None:
    """The replies to these commands (of `begin`, with so many recipients) where the relay has proven itself, or has
    refused them when it was asked one by one, too.

    None where it has not: the connection is closed, and `mistrusted` or `suspected` says what the next one goes
    without. Raises `SmtpError` where the relay wants a login.
    """
    lines = [line for line in lines if line != "RSET"]
    connection.patience = min(connection.relay.deadlines.reply, HASTY)
    try:
        opening = _together(connection, lines, count)
        if opening is not None and not opening.accepted and not connection.good_bye:
            opening = _alone(connection, lines)
    except SmtpError as error:
        if error.configuration:
            raise
        _suspect(connection, error)
        opening = None
    finally:
        connection.patience = connection.relay.deadlines.reply
    if opening is None or not connection.chunking:
        connection.close(polite=False)
        return None
    if opening.accepted:
        connection.proven.add("BDAT")
    return opening


def _together(connection: Connection, lines: list[str], count: int) -> Opening | None:
    first = "chunk" not in connection.proven
    group = (_CHUNK if first else b"") + "\r\n".join(["RSET", *lines, "NOOP", ""]).encode("utf-8")
    connection.expect_silence("MAIL")
    connection.write([group], "MAIL", patience(connection.relay.deadlines.reply, len(group)))
    begun = time.monotonic()
    if first and _heard(connection, connection.reply("chunk")).code < 400:
        connection.mistrusted.add("CHUNKING")  # a yes to what belongs to no mail
        return None
    if time.monotonic() - begun > max(TARPIT, 4 * connection.pace):
        connection.mistrusted.add("CHUNKING")  # it would cost each connection so much
        return None
    reset = _heard(connection, connection.reply("RSET"))
    if not reset.positive:
        connection.mistrusted.add("CHUNKING")
        return None
    connection.proven.add("chunk")
    mail = _heard(connection, read_mail(connection))
    recipients = tuple(_heard(connection, reply) for reply in read_recipients(connection, count))
    if connection.good_bye and len(recipients) == 1:
        raise SmtpError("RCPT", 421, recipients[0].text)
    opening = Opening(mail, recipients)
    if connection.good_bye:
        return opening
    if not _heard(connection, connection.reply("RCPT")).positive:
        connection.mistrusted.add("CHUNKING")
        return None
    connection.expect_silence("RCPT")
    for step, reply in (("RSET", reset), ("MAIL", mail), *(("RCPT", one) for one in recipients)):
        connection.wording.learn(step, reply)
    return opening


def _heard(connection: Connection, reply: Reply) -> Reply:
    if blames_the_group(reply):
        connection.mistrusted.add("PIPELINING")
    return reply


def _alone(connection: Connection, lines: list[str]) -> Opening:
    """Refused before any group was taken: perhaps because it is one. Asked again, one command at a time."""
    connection.patience = connection.relay.deadlines.reply
    alone = ask(connection, ["RSET", *lines], reset=True, data=False)
    connection.clean = False
    if alone.accepted:
        connection.mistrusted.add("PIPELINING")
    return alone


def _suspect(connection: Connection, error: SmtpError) -> None:
    """The session ended within the group. Nothing is certain, unless the relay has said so."""
    if says_pipelining(error.text):
        connection.mistrusted.add("PIPELINING")
    elif isinstance(error, OutOfStep) or error.phase == "chunk":
        connection.suspected |= {"CHUNKING", "PIPELINING"}
    else:
        connection.suspected.add("CHUNKING" if error.phase == "RSET" else "PIPELINING")
