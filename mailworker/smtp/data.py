"""Without CHUNKING (RFC 5321, 3.3): MAIL, RCPT…, DATA, the content, the dot.

With PIPELINING the content of one mail and MAIL, RCPT… and DATA of the next leave in one write (RFC 2920, 3.1): a
stream of mails costs a round trip each. Without, every command waits for its reply.
"""

from __future__ import annotations

import re

from ..errors import OutOfStep, SmtpError
from .ahead import Ahead
from .complaints import blames_the_group, refuses_the_command, says_pipelining
from .connection import Connection
from .group import BEHIND_A_DOT, BadGroup, Group, Groups, lone_dot
from .journal import Journal, Outgoing, content_stayed, give_back
from .replies import Reply
from .transaction import Answers, ask, begin, goes_without_dsn, read_final, time_to_read
from .unconfirmed import Unconfirmed
from .verdict import Verdict
from .writing import LARGE, UNDER_WAY

_DOT = re.compile(rb"\r\n\.")


def one_by_one(connection: Connection, journal: Journal) -> None:
    """Sends until the journal has no more, or the connection has carried `relay.mails`.

    Raises `SmtpError`; then a committed mail without a verdict is in doubt. Returns with the connection closed where
    the journal forbids a mail that the relay waits for (there is no other way out of DATA), and where the relay
    turned out not to bear commands that come together.
    """
    _OneByOne(connection, journal).run()


_Begun = tuple[Outgoing, Answers]
"""A mail, and what was answered to its commands up to DATA."""


class _OneByOne:
    def __init__(self, connection: Connection, journal: Journal) -> None:
        self.connection = connection
        self.journal = journal
        self.ahead = Ahead(connection, journal)
        self.unconfirmed = Unconfirmed(journal)
        self.groups = Groups(connection)
        self.begun: _Begun | None = None

    def run(self) -> None:
        try:
            self.begun = self._begin_next()
            while self.begun is not None:
                following = self._go_on()
                # Nothing holds the mail that was sent any more: where it is large, it is gone before another is built.
                self.begun = self._answered(following) if following else self._begin_next()
            if not self.connection.broken:
                self.connection.expect_silence("message")
        except OutOfStep:
            self.unconfirmed.doubt()
            raise
        finally:
            self.ahead.give_back()
            self.unconfirmed.confirm()

    def _go_on(self) -> Group | None:
        """Sends the content of the mail that was begun, or tells its refusal. Returns what has left behind it."""
        assert self.begun is not None
        (mail, answers), self.begun = self.begun, None
        if not answers.ready:
            self._refused(mail, answers)
            return None
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

    def _begin_next(self) -> _Begun | None:
        mail = self.ahead.next()
        if mail is None:
            return None
        commands = begin(self.connection, mail)
        try:
            if not self.connection.pipelining:
                return mail, ask(self.connection, commands)
            group = Group(mail, commands, "RSET" if commands.reset else "MAIL")
            self.groups.write(group)
        except BaseException as error:
            self._content_stayed(mail, error)
            raise
        return self._answered(group)

    def _answered(self, group: Group) -> _Begun | None:
        """To a group that has left. None where the session ends without an error, because the relay does not bear what
        it announced, for any sign of that."""
        try:
            return group.mail, self.groups.answers(group)
        except BadGroup as error:
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

    def _refused(self, mail: Outgoing, answers: Answers) -> None:
        connection = self.connection
        verdict = answers.refusal()
        if goes_without_dsn(connection, mail.envelope.dsn is not None and connection.dsn, answers):
            self.ahead.again(mail)
        else:
            self.unconfirmed.add(mail, verdict)
        if connection.good_bye:
            raise SmtpError(verdict.phase, 421, "the relay says good-bye")
        if answers.data is None or not answers.data.intermediate:
            return
        if any(reply.positive for reply in answers.recipients):
            connection.close(polite=False)  # MAIL refused, RCPT taken: a dot would be an empty mail to somebody
        else:
            lone_dot(connection)

    # The content.

    def _send(self, mail: Outgoing, answers: Answers) -> Group | None:
        """The content and, where the relay can do that, the commands of the next mail with it: these are returned."""
        connection = self.connection
        connection.transaction_over()  # the dot ends it, whatever the reply (RFC 5321, 4.1.1.4)
        following = self._following() if len(mail.envelope.data) < UNDER_WAY else None
        final = self._write_content(mail, following)
        if following and blames_the_group(final):
            give_back(self.journal, [mail, following.mail])
            connection.mistrust("PIPELINING")
            connection.close(polite=False)
            return None
        if connection.good_bye and not connection.closes():
            self._give_back(following)
            raise OutOfStep("message", 421, final.text)
        verdict = Verdict(answers.recipients, final, "message")
        if verdict.taken and len(mail.envelope.data) >= UNDER_WAY:
            mail = self.journal.left(mail)
        self.unconfirmed.add(mail, verdict)
        if connection.good_bye:
            self._give_back(following)
            raise SmtpError("message", final.code, final.text)
        return following

    def _following(self) -> Group | None:
        """The next mail, whose commands may leave with this one's content."""
        mail = self.ahead.next() if self.connection.pipelining else None
        return Group(mail, begin(self.connection, mail), BEHIND_A_DOT) if mail else None

    def _write_content(self, mail: Outgoing, following: Group | None) -> Reply:
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

    def _give_back(self, following: Group | None) -> None:
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
