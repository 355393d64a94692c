"""Without CHUNKING (RFC 5321, 3.3): MAIL, RCPT…, DATA, the content, the dot.

With PIPELINING the content of one mail and MAIL, RCPT… and DATA of the next leave in one write (RFC 2920, 3.1): a
stream of mails costs a round trip each. Without, every command waits for its reply.
"""

from __future__ import annotations

import re
import time
from collections import deque
from typing import Final

from ..envelope import Envelope
from ..errors import OutOfStep, SmtpError
from .complaints import blames_the_group, refuses_the_command, says_pipelining
from .connection import LARGE, Connection
from .journal import Journal, Outgoing, give_back
from .replies import Reply
from .transaction import (
    HASTY,
    Opening,
    ask,
    begin,
    closes,
    go_ahead,
    in_sequence,
    next_mail,
    patience,
    read_final,
    read_mail,
    read_recipients,
    read_reset,
)
from .verdict import Verdict

AT_ONCE: Final = 0.005
"""Seconds of mails that are committed at once. Where the relay takes several in that time, the journal is not asked
for each; where it is slow, no mail is committed long before it leaves."""

STALE: Final = 0.05
"""Seconds after which a mail that was committed before its turn is asked for anew."""

MOST_ALONE: Final = 5
"""Mails refused with a group of commands that are asked for again one command at a time. Then it is believed."""

_DOT = re.compile(rb"\r\n\.")


def one_by_one(connection: Connection, journal: Journal) -> None:
    """Sends until the journal has no more, or the connection has carried its share.

    Raises `SmtpError`; then a committed mail without a verdict is in doubt. Returns with the connection closed where
    the journal forbids a mail that the relay waits for (there is no other way out of DATA), and where the relay
    turned out not to bear commands that come together.
    """
    _OneByOne(connection, journal).run()


class _Held:
    """Verdicts since the relay last proved to be in step. 354 proves it: nothing else is answered so.

    Until then one reply too many, somewhere, may have made them another mail's.
    """

    MOST: Final = 10

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._verdicts: list[tuple[Outgoing, Verdict]] = []

    def add(self, mail: Outgoing, verdict: Verdict) -> None:
        self._verdicts.append((mail, verdict))
        if len(self._verdicts) > self.MOST:
            self.tell(len(self._verdicts) - self.MOST)

    def tell(self, count: int | None = None) -> None:
        told = self._verdicts[:count]
        del self._verdicts[: len(told)]
        for mail, verdict in told:
            self._journal.done(mail, verdict)

    def doubt(self) -> None:
        """They are not to be believed. What left as a whole is in doubt, what did not was not sent."""
        verdicts, self._verdicts = self._verdicts, []
        for mail, verdict in reversed(verdicts):
            if verdict.phase != "message":
                self._journal.again(mail)


class _Ahead:
    """The journal's mails one by one, and those of them that are committed before their turn."""

    def __init__(self, connection: Connection, journal: Journal) -> None:
        self.connection = connection
        self.journal = journal
        self._waiting: deque[Outgoing] = deque()
        self._committed: set[str] = set()
        self._at = time.monotonic()

    def next(self) -> Outgoing | None:
        if self._waiting and not self.connection.broken and time.monotonic() - self._at < STALE:
            return self._waiting.popleft()
        self.give_back()
        return next_mail(self.connection, self.journal)

    def commit(self, mail: Outgoing) -> bool:
        """True where its content may leave. Commits with it those behind it that leave within a few ms, too."""
        if mail.id in self._committed:
            return True
        group = [mail]
        size, most = len(mail.envelope.data), self._most()
        while len(group) < most and size < LARGE:
            follower = next_mail(self.connection, self.journal, len(group) - 1)
            if follower is None:
                break
            group.append(follower)
            size += len(follower.envelope.data)
        allowed = self.journal.commit(group)
        self._at = time.monotonic()
        self._committed = {one.id for one in allowed}
        self._waiting.extend(one for one in allowed if one is not mail)
        return mail.id in self._committed

    def _most(self) -> int:
        """As many as went in that time of late, up to the window."""
        if not self._committed:
            return 1
        pace = (time.monotonic() - self._at) / len(self._committed)
        return min(self.connection.relay.window, int(AT_ONCE / max(pace, 1e-6)))

    def give_back(self) -> None:
        """What waits here did not begin to leave."""
        give_back(self.journal, self._waiting)
        self._committed -= {mail.id for mail in self._waiting}
        self._waiting.clear()


_Opened = tuple[Outgoing, Opening]


class _OneByOne:
    def __init__(self, connection: Connection, journal: Journal) -> None:
        self.connection = connection
        self.journal = journal
        self.ahead = _Ahead(connection, journal)
        self.held = _Held(journal)
        self._alone = 0

    def run(self) -> None:
        try:
            opened = self._open_next()
            while opened is not None:
                opened = self._go_on(*opened)
            if not self.connection.broken:
                self.connection.expect_silence("message")
        except OutOfStep:
            self.held.doubt()
            raise
        finally:
            self.ahead.give_back()
            self.held.tell()

    def _go_on(self, mail: Outgoing, opening: Opening) -> _Opened | None:
        if not opening.ready:
            self._refused(mail, opening)
            return self._open_next()
        self.held.tell()
        try:
            self.connection.expect_silence("DATA", content=True)
        except BaseException as error:
            self._not_its_fault(mail, error)
            raise
        if self.ahead.commit(mail):
            return self._send(mail, opening)
        self.connection.close(polite=False)
        return None

    # MAIL, RCPT… and DATA.

    def _open_next(self) -> _Opened | None:
        connection = self.connection
        mail = self.ahead.next()
        if mail is None:
            return None
        reset, lines = begin(connection, mail.envelope)
        if not connection.pipelining:
            try:
                return mail, ask(connection, lines, reset)
            except BaseException as error:
                self._not_its_fault(mail, error)
                raise
        group = _group(lines)
        shape = lines[0][:4]
        try:
            connection.expect_silence("MAIL")
            connection.write([group], "MAIL", patience(connection.relay.deadlines.reply, len(group)))
        except BaseException as error:
            self._not_its_fault(mail, error)
            raise
        return self._answered(mail, reset, lines, shape)

    def _answered(self, mail: Outgoing, reset: bool, lines: list[str], shape: str) -> _Opened | None:
        """To a group that has left. None where the session ends without an error, because the relay does not bear what
        it announced, for any sign of that."""
        try:
            return self._understood(mail, self._read_opening(mail.envelope, reset, shape), lines, shape)
        except BaseException as error:
            self._not_its_fault(mail, error)
            if not isinstance(error, _BadGroup):
                raise
            (self.connection.mistrusted if error.said else self.connection.suspected).add("PIPELINING")
            self.connection.close(polite=False)
            return None

    def _not_its_fault(self, mail: Outgoing | None, error: BaseException) -> None:
        """No content of this mail has left. Gives it back when the relay says that it ends the session."""
        self.ahead.give_back()
        if mail is None:
            return
        if isinstance(error, _BadGroup) or (isinstance(error, SmtpError) and error.code):
            self.journal.again(mail)
        else:
            self.journal.withdraw(mail)

    def _read_opening(self, envelope: Envelope, reset: bool, shape: str) -> Opening:
        """Raises `_BadGroup` where it is the group that the relay does not bear, as far as one can know."""
        connection = self.connection
        proven = shape in connection.proven
        enough = bool(connection.proven) and shape != "dot"  # it bears some groups: 421 means what it says
        if not proven:
            connection.patience = min(connection.relay.deadlines.reply, HASTY)
        try:
            if reset:
                read_reset(connection)
            mail = read_mail(connection)
            if blames_the_group(mail):
                raise _BadGroup(said=True)
            in_sequence(mail)
            recipients = read_recipients(connection, len(envelope.recipients))
            opening = Opening(mail, recipients, None if connection.good_bye else go_ahead(connection))
        except OutOfStep:
            raise
        except SmtpError as error:
            if says_pipelining(error.text):
                raise _BadGroup(said=True) from error
            if not proven and not error.configuration and not (enough and error.code == 421):
                late = error.code == 0 and not connection.ended_by_relay and error.phase != "MAIL"
                raise _BadGroup(said=late or error.code >= 500) from error
            raise
        finally:
            connection.patience = connection.relay.deadlines.reply
        if any(map(blames_the_group, opening.refusals())):
            raise _BadGroup(said=True)
        if connection.good_bye and not proven and not enough and len(opening.recipients) == 1:
            raise _BadGroup(said=False)
        return opening

    def _understood(self, mail: Outgoing, opening: Opening, lines: list[str], shape: str) -> _Opened:
        """What a relay refuses before it has taken any such group may be refused because of the group."""
        connection = self.connection
        if opening.ready:
            connection.proven.add(shape)
            return mail, opening
        proven = shape in connection.proven
        if connection.good_bye or self._alone >= MOST_ALONE or (proven and not _no_order(opening)):
            return mail, opening
        if opening.data is not None and opening.data.intermediate:
            if any(reply.positive for reply in opening.recipients):
                return mail, opening
            self._lone_dot()
        self._alone += 1
        try:
            alone = ask(connection, ["RSET", *[line for line in lines if line != "RSET"]], reset=True)
        except SmtpError as error:
            if connection.ended_by_relay:
                raise _BadGroup(said=False) from error
            raise
        if alone.ready or (alone.accepted and not opening.accepted):
            connection.mistrusted.add("PIPELINING")
        return mail, alone

    def _refused(self, mail: Outgoing, opening: Opening) -> None:
        connection = self.connection
        verdict = opening.refusal()
        self.held.add(mail, verdict)
        if connection.good_bye:
            raise SmtpError(verdict.phase, 421, "the relay says good-bye")
        if opening.data is None or not opening.data.intermediate:
            return
        if any(reply.positive for reply in opening.recipients):
            connection.close(polite=False)  # MAIL refused, RCPT taken: a dot would be an empty mail to somebody
        else:
            self._lone_dot()

    def _lone_dot(self) -> None:
        """The relay waits for a message to nobody: end that at once (RFC 2920, 3.1)."""
        self.connection.write([b".\r\n"], "DATA", self.connection.relay.deadlines.reply)
        self.connection.reply("DATA")

    # The content.

    def _send(self, mail: Outgoing, opening: Opening) -> _Opened | None:
        """The content and, where the relay can do that, the opening of the next mail with it."""
        connection, journal = self.connection, self.journal
        parts = _stuffed(mail.envelope.data)
        size = sum(map(len, parts))
        connection.clean = True  # the dot ends the transaction, whatever the reply (RFC 5321, 4.1.1.4)
        following = self.ahead.next() if connection.pipelining else None
        reset, lines = begin(connection, following.envelope) if following else (False, [])
        connection.written = 0
        try:
            if size > LARGE:
                self._write_ahead(parts)
                size = len(parts[-1])
            final = _write_content(connection, [*parts, _group(lines)] if following else parts, size)
            if refuses_the_command(final) and not says_pipelining(final.text):
                raise OutOfStep("message", 0, f"the relay is out of step: {final.code}")
        except BaseException as error:
            if connection.written < size:
                journal.done(mail, Verdict((), None, "content"))
            elif following and isinstance(error, SmtpError) and "dot" not in connection.proven:
                connection.suspected.add("PIPELINING")
            self.ahead.give_back()
            give_back(journal, [following] if following else [])
            raise
        if following and blames_the_group(final):
            give_back(journal, [mail, following])
            connection.mistrusted.add("PIPELINING")
            connection.close(polite=False)
            return None
        if connection.good_bye and not closes(connection):
            self.ahead.give_back()
            give_back(journal, [following] if following else [])
            raise OutOfStep("message", 421, final.text)
        self.held.add(mail, Verdict(opening.recipients, final, "message"))
        if connection.good_bye:
            ended = SmtpError("message", final.code, final.text)
            self._not_its_fault(following, ended)
            raise ended
        if following is None:
            return self._open_next()
        return self._answered(following, reset, lines, "dot")

    def _write_ahead(self, parts: list[bytes]) -> None:
        """All of a large content but the dot. What the relay says to it by then is no answer to the whole."""
        connection = self.connection
        seconds = patience(connection.relay.deadlines.final, sum(map(len, parts)))
        connection.write([b"".join(parts[:1]), *parts[1:-1]], "message", seconds)
        connection.written = 0
        del parts[:-1]
        connection.expect_silence("message", content=True)


class _BadGroup(Exception):
    """The relay does not bear commands that come together. `said` where it left no doubt."""

    def __init__(self, said: bool) -> None:
        super().__init__(said)
        self.said = said


def _no_order(opening: Opening) -> bool:
    """It took MAIL and a recipient, and says that DATA does not follow from that."""
    return opening.accepted and opening.data is not None and opening.data.code == 503


def _group(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "DATA", ""]).encode("utf-8")


def _stuffed(data: bytes) -> list[bytes]:
    """The content with its dots doubled and the dot behind it (RFC 5321, 4.5.2). No copy where there is no such dot."""
    if _DOT.search(data):  # looks twice as fast as `replace` does
        data = data.replace(b"\r\n.", b"\r\n..")
    return [b"." if data.startswith(b".") else b"", data, b".\r\n"]


def _write_content(connection: Connection, parts: list[bytes], size: int) -> Reply:
    try:
        connection.write(parts, "message", patience(connection.relay.deadlines.final, size))
    except SmtpError:
        if connection.written < size:
            raise
        connection.replies.last_words()  # the mail left as a whole: its reply may be here
    return read_final(connection)
