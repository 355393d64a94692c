"""With PIPELINING and CHUNKING (RFC 2920, 3030): RSET, MAIL, RCPT… and BDAT LAST of a mail in one write, and the next
mails behind it without waiting, up to a window of mails that are not answered.

**No octet of content is ever read as a command.** A relay, or something before it, may announce CHUNKING and not know
BDAT; or know it, and leave the chunk of a BDAT that it refuses to be read as commands (emersion/go-smtp, issue 315). So
the content of the first mail of each connection waits for a proof (see `proof`).
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Final

from ..errors import OutOfStep, SmtpError
from .complaints import blames_the_group, refuses_the_command
from .connection import LARGE, Connection
from .journal import Journal, Outgoing, give_back
from .proof import prove
from .replies import Reply
from .transaction import (
    Opening,
    begin,
    closes,
    next_mail,
    out_of_sequence,
    patience,
    read_final,
    read_mail,
    read_recipients,
    read_reset,
)
from .verdict import Verdict

UNDER_WAY: Final = 8 * 1024 * 1024
"""Octets of content not answered, beyond which no further mail is begun."""

MANY: Final = 20
"""Recipients above which the content waits until each is answered. Exim (until 4.96 at least), where it limits them,
refuses what follows too many and reads the chunk as commands. And among many there is often one that is refused."""


@dataclass(slots=True)
class Sent:
    """A mail that left as a whole, and what was answered so far. `reset` where RSET went before it."""

    mail: Outgoing
    reset: bool
    asked: bool = False
    """MAIL and RCPT were answered before the content left."""
    opening: Reply | None = None
    recipients: tuple[Reply, ...] = ()

    def refusal(self) -> Verdict | None:
        """What is certain before the content is answered: a mail without a sender or a recipient is none."""
        if self.opening is None:
            return None
        known = Opening(self.opening, self.recipients)
        whole = len(self.recipients) == len(self.mail.envelope.recipients)
        return known.refusal() if not self.opening.positive or (whole and not known.accepted) else None


def stream(connection: Connection, journal: Journal) -> None:
    """Sends until the journal has no more, or the connection has carried its share.

    Raises `SmtpError`; then the mails without a verdict that were not given back are in doubt. Returns early where
    the relay turned out not to bear what it announced: `mistrusted` and `suspected` say what.
    """
    _Stream(connection, journal).run()


class _Stream:
    def __init__(self, connection: Connection, journal: Journal) -> None:
        self.connection = connection
        self.journal = journal
        self.under_way: deque[Sent] = deque()
        self.misplaced: list[Outgoing] = []
        """Not taken because the relay has lost the thread."""
        self.apart: Outgoing | None = None
        """Has many recipients, and waits until nothing else is under way."""
        self.unsure: tuple[Outgoing, Verdict] | None = None
        """Taken in words that are new, or not taken: told when the next reply is as it should be."""

    def run(self) -> None:
        try:
            self._run()
            self._confirm()
        except OutOfStep:
            self.unsure = None
            raise
        finally:
            self._tell_unsure()
            if self.apart is not None:
                give_back(self.journal, [self.apart])
            give_back(self.journal, self.misplaced)
        if self.misplaced and "PIPELINING" not in self.connection.mistrusted:
            raise SmtpError("MAIL", 503, "the relay has lost the thread")

    def _confirm(self) -> None:
        """A refusal of the last content is believed when the reply to RSET, which is due anyway, comes behind it."""
        connection = self.connection
        if connection.broken:
            return
        connection.expect_silence("message")
        if self.unsure is not None and not connection.clean:
            connection.wording.check("RSET", connection.command("RSET", "MAIL"))
            connection.clean = True

    def _run(self) -> None:
        more = True
        while more or self.under_way:
            if len(self.under_way) <= self.connection.relay.window // 2:
                while more and self._has_room():
                    more = self._start()
            while self.under_way:
                self._settle()
                if not self.connection.replies.buffered:
                    break

    def _has_room(self) -> bool:
        if self.apart is not None and self.under_way:
            return False
        octets = sum(len(sent.mail.envelope.data) for sent in self.under_way)
        count = len(self.under_way) + (self.unsure is not None)
        return count < self.connection.relay.window and octets < UNDER_WAY

    def _start(self) -> bool:
        """Commits and writes what the window has room for, large mails one by one. False when there is no more."""
        if not self.connection.chunking:
            return False
        if self.apart is not None or "BDAT" not in self.connection.proven:
            mail, self.apart = self.apart or next_mail(self.connection, self.journal), None
            return mail is not None and self._ask_first(mail)
        group: list[Outgoing] = []
        size = 0
        more = True
        most = self.connection.relay.window - (self.unsure is not None)
        while more and self.apart is None and len(self.under_way) + len(group) < most and size < LARGE:
            mail = next_mail(self.connection, self.journal, len(group))
            more = mail is not None
            if mail is None:
                continue
            if len(mail.envelope.recipients) > MANY:
                self.apart = mail
            else:
                group.append(mail)
                size += len(mail.envelope.data)
        if group:
            self._write_group(self.journal.commit(group))
        return more

    # The first mail of a connection, and one with many recipients.

    def _ask_first(self, mail: Outgoing) -> bool:
        """Its content leaves when its recipients are known. True where the next mail may be begun."""
        connection, journal = self.connection, self.journal
        reset, lines = begin(connection, mail.envelope)
        count = len(mail.envelope.recipients)
        try:
            unproven = "BDAT" not in connection.proven
            opening = prove(connection, lines, count) if unproven else self._ask(reset, lines, count)
        except BaseException as error:
            if isinstance(error, SmtpError) and error.code:
                journal.again(mail)
            else:
                journal.withdraw(mail)
            raise
        if opening is None:
            journal.again(mail)
            return False
        if not opening.accepted or connection.good_bye:  # 421 may follow recipients that it took
            journal.done(mail, opening.refusal())
            if connection.good_bye:
                raise SmtpError("RCPT", 421, "the relay says good-bye")
        elif journal.commit([mail]):
            self._write([Sent(mail, reset, True, opening.mail, opening.recipients)], [_chunk(mail, [])])
        return True

    def _ask(self, reset: bool, lines: list[str], count: int) -> Opening:
        connection = self.connection
        group = "\r\n".join([*lines, ""]).encode("utf-8")
        connection.expect_silence("MAIL")
        connection.write([group], "MAIL", patience(connection.relay.deadlines.reply, len(group)))
        if reset:
            read_reset(connection)
        opening = Opening(read_mail(connection), read_recipients(connection, count))
        if not connection.good_bye:
            connection.expect_silence("RCPT")
        return opening

    # A stream.

    def _write_group(self, mails: list[Outgoing]) -> None:
        sent: list[Sent] = []
        chunks: list[tuple[bytes, bytes]] = []
        for mail in mails:
            reset, lines = begin(self.connection, mail.envelope)
            sent.append(Sent(mail, reset))
            chunks.append(_chunk(mail, lines))
        self._write(sent, chunks)

    def _write(self, sent: list[Sent], chunks: list[tuple[bytes, bytes]]) -> None:
        connection = self.connection
        ends = [0]
        for head, data in chunks:
            ends.append(ends[-1] + len(head) + len(data))
        connection.written = 0
        try:
            if not self.under_way:
                connection.expect_silence("MAIL", content=True)
            parts = [part for chunk in chunks for part in chunk]
            connection.write(parts, "message", patience(connection.relay.deadlines.final, ends[-1]))
        except BaseException as error:
            whole = sum(end <= connection.written for end in ends[1:])
            self.under_way.extend(sent[:whole])
            self._broke_off([one.mail for one in sent[whole:]], connection.written - ends[whole])
            if isinstance(error, SmtpError) and not isinstance(error, OutOfStep):
                self._last_words()
            raise
        self.under_way.extend(sent)

    def _broke_off(self, unsent: list[Outgoing], written: int) -> None:
        """Mails that did not leave as a whole were not sent. The first may be why, if anything of it left."""
        if unsent and written:
            self.journal.done(unsent.pop(0), Verdict((), None, "content"))
        give_back(self.journal, unsent)

    def _last_words(self) -> None:
        """What the relay answered before the connection broke counts."""
        self.connection.replies.last_words()
        with contextlib.suppress(SmtpError):
            while self.under_way:
                self._settle()

    # The replies.

    def _settle(self) -> None:
        """The replies to the oldest mail, and its verdict."""
        connection, sent = self.connection, self.under_way[0]
        try:
            over, final = self._replies(sent)
        except OutOfStep:
            raise
        except SmtpError as error:
            refusal = sent.refusal()
            if refusal is not None:
                self.under_way.popleft()
                self.journal.done(sent.mail, refusal)
            if error.configuration or (error.code == 421 and closes(connection)):
                # It wants a login, for this mail as for those behind it; or it takes none of them.
                self._all_again()
            raise
        if final.positive:
            self._taken(sent, final)
        else:
            self._not_taken(sent, final, over)

    def _not_taken(self, sent: Sent, final: Reply, over: bool) -> None:
        connection = self.connection
        opening = Opening(sent.opening or final, sent.recipients)
        if not over and opening.accepted and refuses_the_command(final):
            raise OutOfStep("message", 0, f"the relay is out of step: {final.code}")
        self.under_way.popleft()
        if self._lost(opening, final):
            # What is under way may have been taken all the same; nothing more is begun.
            connection.broken = True
            self.misplaced.append(sent.mail)
            return
        connection.clean = False
        self._tell_unsure()
        verdict = opening.refusal() if over or not opening.accepted else Verdict(opening.recipients, final, "message")
        if connection.good_bye:
            if closes(connection):  # it takes nothing more; what one that stays took after all is in doubt
                self.journal.done(sent.mail, verdict)
                self._all_again()
            raise SmtpError(verdict.phase, final.code, final.text)
        if opening.accepted:
            self.unsure = (sent.mail, verdict)
        else:
            self.journal.done(sent.mail, verdict)

    def _taken(self, sent: Sent, final: Reply) -> None:
        """Nearly every mail ends here."""
        new = self._is_new(final)
        self.under_way.popleft()
        self.connection.clean = not self.under_way
        self._tell_unsure()
        verdict = Verdict(sent.recipients, final, "message")
        if new:
            self.unsure = (sent.mail, verdict)
        else:
            self.journal.done(sent.mail, verdict)

    def _is_new(self, final: Reply) -> bool:
        """True for a yes in words that this relay has not used before. Raises `OutOfStep` for those of another step."""
        wording = self.connection.wording
        if wording.usual("message", final):
            return False
        new = wording.check("message", final)
        if wording.alike("RCPT", "message"):
            self.connection.mistrusted.add("CHUNKING")  # one reply too many would not be noticed
        return new

    def _replies(self, sent: Sent) -> tuple[bool, Reply]:
        """True where RCPT got the last word (421) and the content none, and that or the reply to the content."""
        connection, wording = self.connection, self.connection.wording
        if not sent.asked:
            if sent.reset:
                wording.check("RSET", read_reset(connection))
            sent.opening = read_mail(connection)
            wording.check("MAIL", sent.opening)
            sent.recipients = read_recipients(connection, len(sent.mail.envelope.recipients))
            for reply in sent.recipients:
                wording.check("RCPT", reply)
            if connection.good_bye:
                return True, sent.recipients[-1]
        return False, read_final(connection)

    def _lost(self, opening: Opening, final: Reply) -> bool:
        """True where the refusal is about the order of commands, or their coming together, and not about the mail."""
        if any(map(blames_the_group, (opening.mail, *opening.recipients, final))):
            self.connection.mistrusted.add("PIPELINING")
            return True
        if not opening.accepted and any(reply.code == 503 for reply in opening.recipients) and opening.mail.positive:
            self.connection.mistrusted.add("PIPELINING")
            return True
        return out_of_sequence(opening.mail)

    def _tell_unsure(self) -> None:
        if self.unsure is not None:
            (mail, verdict), self.unsure = self.unsure, None
            self.journal.done(mail, verdict)

    def _all_again(self) -> None:
        give_back(self.journal, [sent.mail for sent in self.under_way])
        self.under_way.clear()


def _chunk(mail: Outgoing, lines: list[str]) -> tuple[bytes, bytes]:
    data = mail.envelope.data
    return "\r\n".join([*lines, f"BDAT {len(data)} LAST", ""]).encode("utf-8"), data
