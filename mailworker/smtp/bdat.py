"""With PIPELINING and CHUNKING (RFC 2920, 3030): RSET, MAIL, RCPT… and BDAT LAST of a mail in one write, and the next
mails behind it without waiting, up to a window of mails that are not answered.

**No octet of content is ever read as a command.** A relay, or something before it, may announce CHUNKING and not know
BDAT; or know it, and leave the chunk of a BDAT that it refuses to be read as commands (emersion/go-smtp, issue 315). So
the content of the first mail of each connection waits for a proof (see `chunking_proof`).
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Final

from ..errors import OutOfStep, SmtpError
from .chunking_proof import prove
from .complaints import blames_the_group, refuses_the_command
from .connection import Connection
from .journal import Journal, Outgoing, content_stayed, give_back
from .replies import Reply
from .transaction import (
    Answers,
    Commands,
    begin,
    goes_without_dsn,
    next_mail,
    out_of_sequence,
    read_final,
    read_mail,
    read_recipients,
    read_reset,
    time_to_read,
)
from .unconfirmed import Unconfirmed
from .verdict import Verdict
from .writing import LARGE, UNDER_WAY

MANY: Final = 20
"""Recipients above which the content waits until each is answered. Exim (until 4.96 at least), where it limits them,
refuses what follows too many and reads the chunk as commands. And among many there is often one that is refused."""


@dataclass(slots=True)
class Written:
    """A mail that left as a whole, and what was answered so far: to MAIL and each RCPT perhaps before the content
    left. `reset` where RSET went before it, `dsn` where it asked for notifications."""

    mail: Outgoing
    reset: bool
    sender: Reply | None = None
    recipients: tuple[Reply, ...] = ()
    dsn: bool = False

    def refusal(self) -> Verdict | None:
        """What is certain before the content is answered: a mail without a sender or a recipient is none."""
        if self.sender is None:
            return None
        known = Answers(self.sender, self.recipients)
        whole = len(self.recipients) == len(self.mail.envelope.recipients)
        return known.refusal() if not self.sender.positive or (whole and not known.accepted) else None


def stream(connection: Connection, journal: Journal) -> None:
    """Sends until the journal has no more, or the connection has carried `relay.mails`.

    Raises `SmtpError`; then the mails without a verdict that were not given back are in doubt. Returns early where
    the relay turned out not to bear what it announced: `mistrusted` and `suspected` say what.
    """
    _Stream(connection, journal).run()


class _Stream:
    def __init__(self, connection: Connection, journal: Journal) -> None:
        self.connection = connection
        self.journal = journal
        self.under_way: deque[Written] = deque()
        self.misplaced: list[Outgoing] = []
        """Refused because the relay is out of sequence (503): not the mails' fault."""
        self.apart: Outgoing | None = None
        """Has many recipients, and waits until nothing else is under way."""
        self.unconfirmed = Unconfirmed(journal)
        """A mail taken in words that are new, or not taken: told when the next reply is as it should be."""

    def run(self) -> None:
        try:
            self._send_all()
            self._confirm_the_last()
        except OutOfStep:
            self.unconfirmed.doubt()
            raise
        finally:
            self.unconfirmed.confirm()
            if self.apart is not None:
                give_back(self.journal, [self.apart])
            give_back(self.journal, self.misplaced)
        if self.misplaced and "PIPELINING" not in self.connection.mistrusted:
            raise SmtpError("MAIL", 503, "the relay is out of sequence")

    def _send_all(self) -> None:
        more = True
        while more or self.under_way:
            if len(self.under_way) <= self.connection.relay.window // 2:
                while more and self._has_room():
                    more = self._start()
            while self.under_way:
                self._read_replies()
                if not self.connection.replies.buffered:
                    break

    def _confirm_the_last(self) -> None:
        """A refusal of the last content is believed when the reply to RSET, which is due anyway, comes behind it."""
        connection = self.connection
        if connection.broken:
            return
        connection.expect_silence("message")
        if self.unconfirmed and not connection.clean:
            connection.wording.check("RSET", connection.command("RSET", "MAIL"))
            connection.transaction_over()

    # What is begun next.

    def _has_room(self) -> bool:
        if len(self.under_way) >= self._window() or (self.apart is not None and self.under_way):
            return False
        return sum(len(written.mail.envelope.data) for written in self.under_way) < UNDER_WAY

    def _window(self) -> int:
        return self.connection.relay.window - len(self.unconfirmed)

    def _start(self) -> bool:
        """Commits and writes what the window has room for, large mails one by one. False when there is no more."""
        if not self.connection.chunking:
            return False
        if self.apart is not None or "BDAT" not in self.connection.proven:
            mail, self.apart = self.apart or next_mail(self.connection, self.journal), None
            return mail is not None and self._start_alone(mail)
        group, more = self._next_group()
        if group:
            self._write_group(self.journal.commit(group))
        return more

    def _next_group(self) -> tuple[list[Outgoing], bool]:
        """Mails that leave together; and whether there may be more behind them."""
        group: list[Outgoing] = []
        size = 0
        room = self._window() - len(self.under_way)
        while len(group) < room and size < LARGE:
            mail = next_mail(self.connection, self.journal, len(group))
            if mail is None:
                return group, False
            if len(mail.envelope.recipients) > MANY:
                self.apart = mail
                break
            group.append(mail)
            size += len(mail.envelope.data)
        return group, True

    # The first mail of a connection, and one with many recipients.

    def _start_alone(self, mail: Outgoing) -> bool:
        """Its content leaves when its recipients are known. True where the next mail may be begun."""
        commands = begin(self.connection, mail)
        try:
            answers = self._ask(commands)
        except BaseException as error:
            content_stayed(self.journal, mail, error)
            raise
        if answers is None:
            self.journal.again(mail)
            return False
        if self.connection.good_bye:  # it may follow recipients that were taken
            self.journal.done(mail, answers.refusal())
            raise SmtpError("RCPT", 421, "the relay says good-bye")
        if goes_without_dsn(self.connection, commands.dsn, answers):
            self.journal.again(mail)
        elif not answers.accepted:
            self.journal.done(mail, answers.refusal())
        elif self.journal.commit([mail]):
            head = f"{_bdat(mail)}\r\n".encode()
            self._write([Written(mail, commands.reset, answers.mail, answers.recipients)], [head])
        return True

    def _ask(self, commands: Commands) -> Answers | None:
        """None where the relay does not bear what it announced."""
        connection = self.connection
        if "BDAT" not in connection.proven:
            return prove(connection, commands)
        group = commands.together()
        connection.expect_silence("MAIL")
        connection.write([group], "MAIL", time_to_read(len(group), connection.relay.deadlines.reply))
        if commands.reset:
            read_reset(connection)
        answers = Answers(read_mail(connection), read_recipients(connection, len(commands.recipients)))
        if not connection.good_bye:
            connection.expect_silence("RCPT")
        return answers

    # What leaves.

    def _write_group(self, mails: list[Outgoing]) -> None:
        written: list[Written] = []
        heads: list[bytes] = []
        for mail in mails:
            commands = begin(self.connection, mail)
            written.append(Written(mail, commands.reset, dsn=commands.dsn))
            heads.append(commands.together(_bdat(mail)))
        self._write(written, heads)

    def _write(self, mails: list[Written], heads: list[bytes]) -> None:
        """Each mail's content behind its head."""
        connection = self.connection
        parts: list[bytes] = []
        ends: list[int] = []
        size = 0
        for one, head in zip(mails, heads, strict=True):
            data = one.mail.envelope.data
            parts += (head, data)
            size += len(head) + len(data)
            ends.append(size)
        connection.nothing_written()
        try:
            if not self.under_way:
                connection.expect_silence("MAIL", content=True)
            connection.write(parts, "message", time_to_read(size, connection.relay.deadlines.final))
        except BaseException as error:
            self._broke_off(mails, ends)
            if isinstance(error, SmtpError) and not isinstance(error, OutOfStep):
                self._last_words()
            raise
        self.under_way.extend(mails)

    def _broke_off(self, mails: list[Written], ends: list[int]) -> None:
        """Mails that did not leave as a whole were not sent. The first of them may be why, if anything of it left."""
        octets = self.connection.written
        whole = sum(end <= octets for end in ends)
        self.under_way.extend(mails[:whole])
        unsent = [one.mail for one in mails[whole:]]
        if unsent and octets > (ends[whole - 1] if whole else 0):
            self.journal.done(unsent.pop(0), Verdict((), None, "content"))
        give_back(self.journal, unsent)

    def _last_words(self) -> None:
        """What the relay answered before the connection broke counts."""
        self.connection.replies.last_words()
        with contextlib.suppress(SmtpError):
            while self.under_way:
                self._read_replies()

    # The replies.

    def _read_replies(self) -> None:
        """To the oldest mail: its verdict."""
        written = self.under_way[0]
        try:
            over, final = self._replies(written)
        except OutOfStep:
            raise
        except SmtpError as error:
            self._unanswered(written, error)
            raise
        if final.positive:
            self._taken(written, final)
        else:
            self._not_taken(written, final, over)

    def _replies(self, written: Written) -> tuple[bool, Reply]:
        """True where RCPT got the last word (421) and the content none, and that or the reply to the content."""
        connection, wording = self.connection, self.connection.wording
        if written.sender is None:
            if written.reset:
                wording.check("RSET", read_reset(connection))
            written.sender = read_mail(connection)
            wording.check("MAIL", written.sender)
            written.recipients = read_recipients(connection, len(written.mail.envelope.recipients))
            for reply in written.recipients:
                wording.check("RCPT", reply)
            if connection.good_bye:
                return True, written.recipients[-1]
        return False, read_final(connection)

    def _unanswered(self, written: Written, error: SmtpError) -> None:
        """The session ended before the content was answered."""
        refusal = written.refusal()
        if refusal is not None:
            self.under_way.popleft()
            self.journal.done(written.mail, refusal)
        if error.configuration or (error.code == 421 and self.connection.closes()):
            # It wants a login, for this mail as for those behind it; or it takes none of them.
            self._all_again()

    def _taken(self, written: Written, final: Reply) -> None:
        """Nearly every mail ends here."""
        new = self._is_new(final)
        self.under_way.popleft()
        if not self.under_way:
            self.connection.transaction_over()
        self.unconfirmed.confirm()
        verdict = Verdict(written.recipients, final, "message")
        if new:
            self.unconfirmed.add(written.mail, verdict)
        else:
            self.journal.done(written.mail, verdict)

    def _is_new(self, final: Reply) -> bool:
        """True for a yes in words that this relay has not used before. Raises `OutOfStep` for those of another step."""
        wording = self.connection.wording
        if wording.usual("message", final):
            return False
        new = wording.check("message", final)
        if wording.alike("RCPT", "message"):
            self.connection.mistrust("CHUNKING")  # one reply too many would not be noticed
        return new

    def _not_taken(self, written: Written, final: Reply, over: bool) -> None:
        answers = Answers(written.sender or final, written.recipients)
        if not over and answers.accepted and refuses_the_command(final):
            raise OutOfStep("message", 0, f"the relay is out of step: {final.code}")
        self.under_way.popleft()
        if self._is_misplaced(answers, final):
            # What is under way may have been taken all the same; nothing more is begun.
            self.connection.break_off()
            self.misplaced.append(written.mail)
            return
        self.unconfirmed.confirm()
        content_refused = not over and answers.accepted
        verdict = Verdict(answers.recipients, final, "message") if content_refused else answers.refusal()
        if self.connection.good_bye:
            if self.connection.closes():  # it takes nothing more; what one that stays took after all is in doubt
                self.journal.done(written.mail, verdict)
                self._all_again()
            raise SmtpError(verdict.phase, final.code, final.text)
        if goes_without_dsn(self.connection, written.dsn, answers):
            self.journal.again(written.mail)
        elif answers.accepted:
            self.unconfirmed.add(written.mail, verdict)
        else:
            self.journal.done(written.mail, verdict)

    def _is_misplaced(self, answers: Answers, final: Reply) -> bool:
        """True where the refusal is about the order of commands, or their coming together, and not about the mail."""
        if any(map(blames_the_group, (answers.mail, *answers.recipients, final))):
            self.connection.mistrust("PIPELINING")
            return True
        if answers.mail.positive and not answers.accepted and any(map(out_of_sequence, answers.recipients)):
            self.connection.mistrust("PIPELINING")
            return True
        return out_of_sequence(answers.mail)

    def _all_again(self) -> None:
        give_back(self.journal, [written.mail for written in self.under_way])
        self.under_way.clear()


def _bdat(mail: Outgoing) -> str:
    return f"BDAT {len(mail.envelope.data)} LAST"
