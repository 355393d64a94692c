"""Without CHUNKING (RFC 5321, 3.3): MAIL, RCPT…, DATA, the content, the dot.

With PIPELINING the content of one mail and MAIL, RCPT… and DATA of the next leave in one write (RFC 2920, 3.1): a
stream of mails costs a round trip each. Without, every command waits for its reply.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..errors import OutOfStep, SmtpError
from .ahead import Ahead
from .complaints import blames_the_group, refuses_the_command, says_pipelining
from .connection import LARGE, Connection
from .journal import Journal, Outgoing, content_stayed, give_back
from .replies import Reply
from .transaction import (
    HASTY,
    Answers,
    Commands,
    ask,
    begin,
    go_ahead,
    in_sequence,
    out_of_sequence,
    read_final,
    read_mail,
    read_recipients,
    read_reset,
    time_to_read,
)
from .unconfirmed import Unconfirmed
from .verdict import Verdict

MOST_ALONE: Final = 5
"""Mails refused with a group of commands that are asked for again one command at a time. Then it is believed."""

BEHIND_A_DOT: Final = "dot"
"""A group of commands that left in one write with the content before it."""

_DOT = re.compile(rb"\r\n\.")


def one_by_one(connection: Connection, journal: Journal) -> None:
    """Sends until the journal has no more, or the connection has carried `relay.mails`.

    Raises `SmtpError`; then a committed mail without a verdict is in doubt. Returns with the connection closed where
    the journal forbids a mail that the relay waits for (there is no other way out of DATA), and where the relay
    turned out not to bear commands that come together.
    """
    _OneByOne(connection, journal).run()


@dataclass(slots=True)
class _Group:
    """A mail's commands up to DATA, which leave in one write."""

    mail: Outgoing
    commands: Commands
    first: str
    """What the group begins with: MAIL, RSET, or the dot of the mail before it."""

    @property
    def octets(self) -> bytes:
        return self.commands.together("DATA")


_Opened = tuple[Outgoing, Answers]
"""A mail, and what was answered to its commands up to DATA."""


class _OneByOne:
    def __init__(self, connection: Connection, journal: Journal) -> None:
        self.connection = connection
        self.journal = journal
        self.ahead = Ahead(connection, journal)
        self.unconfirmed = Unconfirmed(journal)
        self._asked_alone = 0

    def run(self) -> None:
        try:
            opened = self._open_next()
            while opened is not None:
                opened = self._go_on(*opened)
            if not self.connection.broken:
                self.connection.expect_silence("message")
        except OutOfStep:
            self.unconfirmed.doubt()
            raise
        finally:
            self.ahead.give_back()
            self.unconfirmed.confirm()

    def _go_on(self, mail: Outgoing, answers: Answers) -> _Opened | None:
        """Sends its content, or has it refused; and opens the next one."""
        if not answers.ready:
            self._refused(mail, answers)
            return self._open_next()
        self.unconfirmed.confirm()  # nothing but DATA is answered with 354
        try:
            self.connection.expect_silence("DATA", content=True)
        except BaseException as error:
            self._content_stayed(mail, error)
            raise
        if self.ahead.commit(mail):
            return self._send(mail, answers)
        self.connection.close(polite=False)
        return None

    # MAIL, RCPT… and DATA.

    def _open_next(self) -> _Opened | None:
        mail = self.ahead.next()
        if mail is None:
            return None
        commands = begin(self.connection, mail.envelope)
        try:
            if not self.connection.pipelining:
                return mail, ask(self.connection, commands)
            group = _Group(mail, commands, "RSET" if commands.reset else "MAIL")
            self._write_group(group.octets)
        except BaseException as error:
            self._content_stayed(mail, error)
            raise
        return self._answered(group)

    def _write_group(self, octets: bytes) -> None:
        connection = self.connection
        connection.expect_silence("MAIL")
        connection.write([octets], "MAIL", time_to_read(len(octets), connection.relay.deadlines.reply))

    def _answered(self, group: _Group) -> _Opened | None:
        """To a group that has left. None where the session ends without an error, because the relay does not bear what
        it announced, for any sign of that."""
        try:
            return group.mail, self._understood(group, self._read_answers(group))
        except _BadGroup as error:
            self.ahead.give_back()
            self.journal.again(group.mail)
            (self.connection.mistrust if error.said else self.connection.suspect)("PIPELINING")
            self.connection.close(polite=False)
            return None
        except BaseException as error:
            self._content_stayed(group.mail, error)
            raise

    def _content_stayed(self, mail: Outgoing, error: BaseException) -> None:
        self.ahead.give_back()
        content_stayed(self.journal, mail, error)

    def _read_answers(self, group: _Group) -> Answers:
        """Raises `_BadGroup` where it is the group that the relay does not bear, as far as one can know."""
        connection = self.connection
        if group.first in connection.proven:
            answers = self._read_answers_in_time(group)
        else:
            with connection.replies_within(min(connection.relay.deadlines.reply, HASTY)):
                answers = self._read_answers_in_time(group)
        if any(map(blames_the_group, answers.refusals())):
            raise _BadGroup(said=True)
        if connection.good_bye and len(answers.recipients) == 1 and not self._means_good_bye(group):
            raise _BadGroup(said=False)
        return answers

    def _means_good_bye(self, group: _Group) -> bool:
        """The relay is known to bear this group, or some: 421 is not about their coming together."""
        proven = self.connection.proven
        return group.first in proven or (bool(proven) and group.first != BEHIND_A_DOT)

    def _read_answers_in_time(self, group: _Group) -> Answers:
        connection = self.connection
        try:
            if group.commands.reset:
                read_reset(connection)
            mail = read_mail(connection)
            if blames_the_group(mail):
                raise _BadGroup(said=True)
            in_sequence(mail)
            recipients = read_recipients(connection, len(group.commands.recipients))
            return Answers(mail, recipients, None if connection.good_bye else go_ahead(connection))
        except OutOfStep:
            raise
        except SmtpError as error:
            self._raise_if_bad(group, error)
            raise

    def _raise_if_bad(self, group: _Group, error: SmtpError) -> None:
        """Raises `_BadGroup` where the session may have ended because of the group."""
        if says_pipelining(error.text):
            raise _BadGroup(said=True) from error
        if group.first in self.connection.proven or error.configuration:
            return
        if error.code == 421 and self._means_good_bye(group):
            return
        late = error.code == 0 and not self.connection.ended_by_relay and error.phase != "MAIL"
        raise _BadGroup(said=late or error.code >= 500) from error

    def _understood(self, group: _Group, answers: Answers) -> Answers:
        """What a relay refuses before it has taken any such group may be refused because of the group."""
        connection = self.connection
        if answers.ready:
            if group.first not in connection.proven:
                connection.mark_proven(group.first)
            return answers
        if connection.good_bye or self._asked_alone >= MOST_ALONE:
            return answers
        if group.first in connection.proven and not _no_order(answers):
            return answers
        if answers.data is not None and answers.data.intermediate:
            if any(reply.positive for reply in answers.recipients):
                return answers
            self._lone_dot()
        return self._ask_alone(group.commands, answers)

    def _ask_alone(self, commands: Commands, together: Answers) -> Answers:
        connection = self.connection
        self._asked_alone += 1
        try:
            alone = ask(connection, commands._replace(reset=True))
        except SmtpError as error:
            if connection.ended_by_relay:
                raise _BadGroup(said=False) from error
            raise
        if alone.ready or (alone.accepted and not together.accepted):
            connection.mistrust("PIPELINING")
        return alone

    def _refused(self, mail: Outgoing, answers: Answers) -> None:
        connection = self.connection
        verdict = answers.refusal()
        self.unconfirmed.add(mail, verdict)
        if connection.good_bye:
            raise SmtpError(verdict.phase, 421, "the relay says good-bye")
        if answers.data is None or not answers.data.intermediate:
            return
        if any(reply.positive for reply in answers.recipients):
            connection.close(polite=False)  # MAIL refused, RCPT taken: a dot would be an empty mail to somebody
        else:
            self._lone_dot()

    def _lone_dot(self) -> None:
        """The relay waits for a message to nobody: end that at once (RFC 2920, 3.1)."""
        self.connection.write([b".\r\n"], "DATA", self.connection.relay.deadlines.reply)
        self.connection.reply("DATA")

    # The content.

    def _send(self, mail: Outgoing, answers: Answers) -> _Opened | None:
        """The content and, where the relay can do that, the opening of the next mail with it."""
        connection = self.connection
        connection.transaction_over()  # the dot ends it, whatever the reply (RFC 5321, 4.1.1.4)
        following = self._following()
        final = self._write_content(mail, following)
        if following and blames_the_group(final):
            give_back(self.journal, [mail, following.mail])
            connection.mistrust("PIPELINING")
            connection.close(polite=False)
            return None
        if connection.good_bye and not connection.closes():
            self._give_back(following)
            raise OutOfStep("message", 421, final.text)
        self.unconfirmed.add(mail, Verdict(answers.recipients, final, "message"))
        if connection.good_bye:
            self._give_back(following)
            raise SmtpError("message", final.code, final.text)
        return self._answered(following) if following else self._open_next()

    def _following(self) -> _Group | None:
        """The next mail, whose commands may leave with this one's content."""
        mail = self.ahead.next() if self.connection.pipelining else None
        return _Group(mail, begin(self.connection, mail.envelope), BEHIND_A_DOT) if mail else None

    def _write_content(self, mail: Outgoing, following: _Group | None) -> Reply:
        """The reply to the content. Raises what ended the session; then this mail has its verdict where it was cut
        off, and is in doubt where not."""
        parts = _stuffed(mail.envelope.data)
        size = sum(map(len, parts))
        self.connection.nothing_written()
        try:
            if size > LARGE:
                self._write_ahead(parts)
                size = len(parts[-1])
            if following:
                parts.append(following.octets)
            final = _write_and_read(self.connection, parts, size)
            if refuses_the_command(final) and not says_pipelining(final.text):
                raise OutOfStep("message", 0, f"the relay is out of step: {final.code}")
        except BaseException as error:
            if self.connection.written < size:
                self.journal.done(mail, Verdict((), None, "content"))
            elif following and isinstance(error, SmtpError) and BEHIND_A_DOT not in self.connection.proven:
                self.connection.suspect("PIPELINING")
            self._give_back(following)
            raise
        return final

    def _give_back(self, following: _Group | None) -> None:
        """Nothing of this mail has been answered, and nothing of those behind it has left."""
        self.ahead.give_back()
        if following:
            self.journal.again(following.mail)

    def _write_ahead(self, parts: list[bytes]) -> None:
        """All of a large content but the dot. What the relay says to it by then is no answer to the whole."""
        connection = self.connection
        seconds = time_to_read(sum(map(len, parts)), connection.relay.deadlines.final)
        connection.write([b"".join(parts[:1]), *parts[1:-1]], "message", seconds)
        connection.nothing_written()
        del parts[:-1]
        connection.expect_silence("message", content=True)


class _BadGroup(Exception):
    """The relay does not bear commands that come together. `said` where it left no doubt."""

    def __init__(self, said: bool) -> None:
        super().__init__(said)
        self.said = said


def _no_order(answers: Answers) -> bool:
    """It took MAIL and a recipient, and says that DATA does not follow from that."""
    return answers.accepted and answers.data is not None and out_of_sequence(answers.data)


def _stuffed(data: bytes) -> list[bytes]:
    """The content with its dots doubled and the dot behind it (RFC 5321, 4.5.2). No copy where there is no such dot."""
    if _DOT.search(data):  # looks twice as fast as `replace` does
        data = data.replace(b"\r\n.", b"\r\n..")
    return [b"." if data.startswith(b".") else b"", data, b".\r\n"]


def _write_and_read(connection: Connection, parts: list[bytes], size: int) -> Reply:
    """Writes it all; the content are the first octets, and so many."""
    try:
        connection.write(parts, "message", time_to_read(size, connection.relay.deadlines.final))
    except SmtpError:
        if connection.written < size:
            raise
        connection.replies.last_words()  # the mail left as a whole: its reply may be here
    return read_final(connection)
