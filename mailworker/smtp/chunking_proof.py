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
from .transaction import HASTY, Answers, Commands, ask, read_mail, read_recipients, time_to_read

_CHUNK: Final = b"BDAT 6\r\nXNOP\r\n"
"""Six octets that no mail waits for. One reply, a refusal: it knows BDAT, and skips what it refuses. Two: it does not.
Without LAST, after which some relays are not ready for the next mail; RSET follows."""

TARPIT: Final = 3
"""Seconds for a refusal, and four times what EHLO took, above which the relay is thought to make those wait whom it
refuses something, as Exchange does with strangers (5 s). DATA needs no refusal."""


def prove(connection: Connection, commands: Commands) -> Answers | None:
    """The answers to these commands where the relay has proven itself, or has refused them when it was asked one by
    one, too.

    None where it has not: the connection is closed, and `mistrusted` or `suspected` says what the next one goes
    without. Raises `SmtpError` where the relay wants a login.
    """
    commands = commands._replace(reset=True)
    try:
        with connection.replies_within(min(connection.relay.deadlines.reply, HASTY)):
            answers = _together(connection, commands)
        if answers is not None and not answers.accepted and not connection.good_bye:
            answers = _alone(connection, commands)
    except SmtpError as error:
        if error.configuration:
            raise
        _suspect(connection, error)
        answers = None
    if answers is None or not connection.chunking:
        connection.close(polite=False)
        return None
    if answers.accepted:
        connection.mark_proven("BDAT")
    return answers


def _together(connection: Connection, commands: Commands) -> Answers | None:
    first = "chunk" not in connection.proven
    group = (_CHUNK if first else b"") + commands.together("NOOP")
    connection.expect_silence("MAIL")
    connection.write([group], "MAIL", time_to_read(len(group), connection.relay.deadlines.reply))
    if first and not _refuses_the_chunk(connection):
        return None
    reset = _heard(connection, connection.reply("RSET"))
    if not reset.positive:
        connection.mistrust("CHUNKING")
        return None
    connection.mark_proven("chunk")
    answers = _answers(connection, len(commands.recipients))
    if connection.good_bye:
        return answers
    if not _heard(connection, connection.reply("RCPT")).positive:
        connection.mistrust("CHUNKING")
        return None
    connection.expect_silence("RCPT")
    _learn_the_wording(connection, reset, answers)
    return answers


def _refuses_the_chunk(connection: Connection) -> bool:
    begun = time.monotonic()
    if _heard(connection, connection.reply("chunk")).code < 400:
        connection.mistrust("CHUNKING")  # a yes to what belongs to no mail
        return False
    if time.monotonic() - begun > max(TARPIT, 4 * connection.ehlo_took):
        connection.mistrust("CHUNKING")  # it would cost each connection so much
        return False
    return True


def _answers(connection: Connection, count: int) -> Answers:
    mail = _heard(connection, read_mail(connection))
    recipients = tuple(_heard(connection, reply) for reply in read_recipients(connection, count))
    if connection.good_bye and len(recipients) == 1:
        raise SmtpError("RCPT", 421, recipients[0].text)
    return Answers(mail, recipients)


def _learn_the_wording(connection: Connection, reset: Reply, answers: Answers) -> None:
    connection.wording.learn("RSET", reset)
    connection.wording.learn("MAIL", answers.mail)
    for reply in answers.recipients:
        connection.wording.learn("RCPT", reply)


def _heard(connection: Connection, reply: Reply) -> Reply:
    if blames_the_group(reply):
        connection.mistrust("PIPELINING")
    return reply


def _alone(connection: Connection, commands: Commands) -> Answers:
    """Refused before any group was taken: perhaps because it is one. Asked again, one command at a time."""
    answers = ask(connection, commands, data=False)
    if answers.accepted:
        connection.mistrust("PIPELINING")
    return answers


def _suspect(connection: Connection, error: SmtpError) -> None:
    """The session ended within the group. Nothing is certain, unless the relay has said so."""
    if says_pipelining(error.text):
        connection.mistrust("PIPELINING")
    elif isinstance(error, OutOfStep) or error.phase == "chunk":
        connection.suspect("CHUNKING", "PIPELINING")
    else:
        connection.suspect("CHUNKING" if error.phase == "RSET" else "PIPELINING")
