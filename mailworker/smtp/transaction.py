"""One mail transaction (RFC 5321, 3.3), as both ways of sending it see it: what is said, and what the answers mean."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..envelope import Envelope
from ..errors import OutOfStep, SmtpError
from . import dsn
from .connection import Connection
from .journal import Journal, Outgoing
from .refusals import wants_login
from .replies import Reply
from .verdict import Verdict

SLOWEST: Final = 50_000
"""Octets a second that a relay has to read at least, on top of the deadline."""

HASTY: Final = 8
"""Seconds for a reply to commands that left together, until the relay has shown that it reads such. Nothing is lost by
giving up so soon: no content has left, and the next connection asks one thing at a time and waits as long as is set."""


class Answers(NamedTuple):
    """To what comes before the content: to MAIL, to each RCPT that was said, and to DATA where that was said."""

    mail: Reply
    recipients: tuple[Reply, ...]
    data: Reply | None = None

    @property
    def accepted(self) -> bool:
        """True where somebody is left to get the content."""
        if self.mail.positive:
            for reply in self.recipients:  # each mail comes here, and `any` costs three times as much
                if reply.positive:
                    return True
        return False

    @property
    def ready(self) -> bool:
        """True where somebody is left and the relay waits for the content, after DATA."""
        return self.accepted and self.data is not None and self.data.intermediate

    def refusals(self) -> list[Reply]:
        """To RCPT and DATA."""
        replies = self.recipients if self.data is None else (*self.recipients, self.data)
        return [reply for reply in replies if reply.code >= 400]

    def refusal(self) -> Verdict:
        """The verdict of a mail that gets no further than this."""
        if not self.mail.positive:
            return Verdict((), self.mail, "MAIL")
        if self.accepted and self.data is not None:
            return Verdict(self.recipients, self.data, "DATA")
        return Verdict(self.recipients, self.recipients[-1], "RCPT")


def next_mail(connection: Connection, journal: Journal, waiting: int = 0) -> Outgoing | None:
    """The next mail that this relay can take, by what it announced; the others get their verdict here.

    None when the journal has no more, the connection is broken, or it has carried `relay.mails`: `waiting` mails, which
    came from here and are not begun yet, count as carried.
    """
    while not connection.broken and connection.mails + waiting < connection.relay.mails:
        mails = journal.next(1)
        if not mails:
            break
        verdict = _refused_by_announcement(connection, mails[0].envelope)
        if verdict is None:
            return mails[0]
        journal.done(mails[0], verdict)
    return None


def _refused_by_announcement(connection: Connection, envelope: Envelope) -> Verdict | None:
    if envelope.smtputf8 and not connection.has("SMTPUTF8"):
        return Verdict((), Reply(550, "the address needs SMTPUTF8, which the relay does not offer"), "SMTPUTF8")
    if 0 < connection.largest < len(envelope.data):
        text = f"{len(envelope.data)} octets, and the relay takes {connection.largest}"
        return Verdict((), Reply(552, text), "message")
    return None


class Commands(NamedTuple):
    """What a mail's transaction begins with."""

    reset: bool
    """RSET goes first."""
    mail: str
    recipients: list[str]
    dsn: bool = False
    """They say which notifications are wanted."""

    def together(self, *behind: str) -> bytes:
        """All in one write, and these behind them."""
        return "\r\n".join([*["RSET"] * self.reset, self.mail, *self.recipients, *behind, ""]).encode("utf-8")


def begin(connection: Connection, mail: Outgoing) -> Commands:
    """Counts the mail, and says what to begin it with.

    RSET goes before every MAIL whose predecessor has not been taken, or not yet: after a failed BDAT the relay's state
    is indeterminate (RFC 3030, 2), and recipients left over from one mail must never get the next.
    """
    envelope = mail.envelope
    reset = connection.begin_mail()
    size = f" SIZE={len(envelope.data)}" if connection.has("SIZE") else ""
    sender = f"MAIL FROM:<{envelope.sender}>{size}{_characters(connection, envelope)}"
    recipients = [f"RCPT TO:<{recipient}>" for recipient in envelope.recipients]
    asks = envelope.dsn is not None and connection.dsn
    if envelope.dsn is not None and asks:
        sender += dsn.of_mail(envelope.dsn, mail.id)
        recipients = [
            line + dsn.of_recipient(envelope.dsn, recipient)
            for line, recipient in zip(recipients, envelope.recipients, strict=True)
        ]
    return Commands(reset, sender, recipients, asks)


def _characters(connection: Connection, envelope: Envelope) -> str:
    """What MAIL says of those outside ASCII (RFC 6152, 6531).

    A mail that has such and a relay that does not announce 8BITMIME: it goes as it is, as Exim and qmail do. Only
    messages that others built have them. To write those anew would break their signatures, and relays pass eight bits.
    """
    if not envelope.smtputf8 and envelope.data.isascii():
        return ""
    body = " BODY=8BITMIME" if connection.has("8BITMIME") else ""
    return f"{body} SMTPUTF8" if envelope.smtputf8 else body


def goes_without_dsn(connection: Connection, asked: bool, answers: Answers) -> bool:
    """True where the relay, or something before it, announced DSN, and refuses a mail that asked for it, for that. It
    is to come again: from now on none asks."""
    if not asked or connection.good_bye or answers.accepted:
        return False
    if not dsn.refused(answers.recipients if answers.mail.positive else [answers.mail]):
        return False
    connection.mistrust("DSN")
    return True


def read_reset(connection: Connection) -> Reply:
    """Its phase is that of MAIL, with which it left: the first word to a connection that may have died."""
    reply = in_step(connection.reply("MAIL"), "MAIL")
    if not reply.positive:
        raise SmtpError("MAIL", reply.code, reply.text)
    return reply


def read_mail(connection: Connection) -> Reply:
    """Raises `SmtpError` where the relay wants a login or encryption first: that is no mail's fault."""
    reply = connection.reply("MAIL")
    if reply.code >= 500 and (reply.code in (530, 538) or wants_login(reply)):  # RFC 4954, 6
        raise SmtpError("MAIL", reply.code, reply.text, configuration=True)
    return in_step(reply, "MAIL")


def out_of_sequence(reply: Reply) -> bool:
    """True for 503 to a MAIL that had RSET before it or a clean connection: the session is wrong, and not the mail."""
    return reply.code == 503


def read_recipients(connection: Connection, count: int) -> tuple[Reply, ...]:
    """The replies to so many RCPT; fewer where the last one is 421, after which the relay answers no more.

    That is a verdict: the mail's own recipients may be why the relay gives up, and it would so for ever.
    """
    replies: list[Reply] = []
    while len(replies) < count and not connection.good_bye:
        replies.append(in_step(connection.reply_or_good_bye("RCPT", connection.timeout), "RCPT"))
    return tuple(replies)


def read_final(connection: Connection) -> Reply:
    """The reply to the content."""
    reply = in_step(connection.reply_or_good_bye("message", connection.relay.deadlines.final), "message")
    if reply.positive:
        connection.mail_taken()
    return reply


def in_step(reply: Reply, phase: str) -> Reply:
    """Raises `SmtpError` for a reply that answers another command than this one."""
    if 300 <= reply.code < 400:
        raise OutOfStep(phase, 0, f"the relay is out of step: {reply.code}")
    return reply


def ask(connection: Connection, commands: Commands, data: bool = True) -> Answers:
    """One command at a time, and no further than there is a use in it; then DATA, where wanted."""
    if commands.reset:
        _say(connection, "RSET", "MAIL")
        read_reset(connection)
    _say(connection, commands.mail, "MAIL")
    mail = read_mail(connection)
    in_sequence(mail)
    recipients: list[Reply] = []
    for line in commands.recipients:
        if mail.positive and not connection.good_bye:
            _say(connection, line, "RCPT")
            recipients += read_recipients(connection, 1)
    answers = Answers(mail, tuple(recipients))
    if connection.good_bye or not answers.accepted or not data:
        return answers
    _say(connection, "DATA", "DATA")
    return Answers(mail, answers.recipients, read_go_ahead(connection))


def _say(connection: Connection, line: str, phase: str) -> None:
    connection.expect_silence(phase)
    connection.write([line.encode("utf-8") + b"\r\n"], phase, connection.relay.deadlines.reply)


def in_sequence(reply: Reply) -> None:
    """Raises before a dot could end the mail that the relay believes to be open."""
    if out_of_sequence(reply):
        raise SmtpError("MAIL", reply.code, reply.text)


def read_go_ahead(connection: Connection) -> Reply:
    """354, or a refusal."""
    reply = connection.reply_or_good_bye("DATA", connection.timeout)
    if reply.positive:
        raise OutOfStep("DATA", 0, f"the relay is out of step: {reply.code}")
    return reply


def time_to_read(size: int, seconds: float) -> float:
    """The seconds that a relay has for so many octets: these, and some more for each."""
    return seconds + size / SLOWEST
