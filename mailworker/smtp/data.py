"""Without CHUNKING (RFC 5321, 3.3): MAIL, RCPT…, DATA, the content, the dot.

With PIPELINING the content of one mail and MAIL, RCPT… and DATA of the next leave in one write (RFC 2920, 3.1): a
stream of mails costs a round trip each. Without, every command waits for its reply.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ..errors import SmtpError
from ..mime import Envelope
from ..retry import Verdict
from .connection import LARGE, Connection
from .replies import Reply
from .transaction import (
    Journal,
    Opening,
    Outgoing,
    begin,
    give_back,
    next_mail,
    out_of_sequence,
    patience,
    read_final,
    read_mail,
    read_recipients,
    read_reset,
)

AT_ONCE: Final = 0.005
"""Seconds of mails that are committed at once. Where the relay takes several in that time, the journal is not asked
for each; where it is slow, no mail is committed long before it leaves."""

STALE: Final = 0.05
"""Seconds after which a mail that was committed before its turn is asked for anew."""

_DOT = re.compile(rb"\r\n\.")


def one_by_one(connection: Connection, journal: Journal) -> None:
    """Sends until the journal has no more, or the connection has carried its share.

    Raises `SmtpError`; then a committed mail without a verdict is in doubt. Returns with the connection closed where
    the journal forbids a mail that the relay waits for: there is no other way out of DATA.
    """
    ahead = _Ahead(connection, journal)
    try:
        opened = _open_next(connection, ahead)
        while opened is not None:
            mail, opening = opened
            if not opening.ready:
                _refused(connection, journal, mail, opening)
                opened = _open_next(connection, ahead)
            elif ahead.commit(mail):
                opened = _send(connection, ahead, mail, opening)
            else:
                connection.close(polite=False)
                opened = None
    finally:
        ahead.give_back()


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


def _open_next(connection: Connection, ahead: _Ahead) -> _Opened | None:
    mail = ahead.next()
    if mail is None:
        return None
    reset, lines = begin(connection, mail.envelope)
    with _not_its_fault(ahead, mail):
        if not connection.pipelining:
            return mail, _ask(connection, lines, reset)
        group = _group(lines)
        connection.write([group], "MAIL", patience(connection.relay.deadlines.reply, len(group)))
        return mail, _read_opening(connection, mail.envelope, reset)


@contextlib.contextmanager
def _not_its_fault(ahead: _Ahead, mail: Outgoing | None) -> Iterator[None]:
    """No content of this mail has left. Gives it back when the relay says that it ends the session."""
    try:
        yield
    except BaseException as error:
        ahead.give_back()
        if mail is not None:
            if isinstance(error, SmtpError) and error.code:
                ahead.journal.again(mail)
            else:
                ahead.journal.withdraw(mail)
        raise


def _group(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "DATA", ""]).encode("utf-8")


def _read_opening(connection: Connection, envelope: Envelope, reset: bool) -> Opening:
    if reset:
        read_reset(connection)
    mail = read_mail(connection)
    _in_sequence(mail)
    recipients = read_recipients(connection, len(envelope.recipients))
    return Opening(mail, recipients, None if connection.good_bye else _go_ahead(connection))


def _in_sequence(reply: Reply) -> None:
    """Raises before a dot could end the mail that the relay believes to be open."""
    if out_of_sequence(reply):
        raise SmtpError("MAIL", reply.code, reply.text)


def _ask(connection: Connection, lines: list[str], reset: bool) -> Opening:
    """The same, one command at a time, and no further than there is a use in it."""
    if reset:
        _say(connection, lines[0], "MAIL")
        read_reset(connection)
    _say(connection, lines[reset], "MAIL")
    mail = read_mail(connection)
    _in_sequence(mail)
    recipients: list[Reply] = []
    for line in lines[reset + 1 :]:
        if mail.positive and not connection.good_bye:
            _say(connection, line, "RCPT")
            recipients += read_recipients(connection, 1)
    opening = Opening(mail, tuple(recipients))
    if connection.good_bye or not opening.accepted:
        return opening
    _say(connection, "DATA", "DATA")
    return replace(opening, data=_go_ahead(connection))


def _say(connection: Connection, line: str, phase: str) -> None:
    connection.write([line.encode("utf-8") + b"\r\n"], phase, connection.relay.deadlines.reply)


def _go_ahead(connection: Connection) -> Reply:
    """354, or a refusal."""
    reply = connection.replies.read("DATA", connection.relay.deadlines.reply)
    connection.good_bye = reply.code == 421
    if reply.positive:
        raise SmtpError("DATA", 0, f"the relay is out of step: {reply.code}")
    return reply


def _refused(connection: Connection, journal: Journal, mail: Outgoing, opening: Opening) -> None:
    verdict = opening.refusal()
    journal.done(mail, verdict)
    if connection.good_bye:
        raise SmtpError(verdict.phase, 421, "the relay says good-bye")
    if opening.data is None or not opening.data.intermediate:
        return
    if any(reply.positive for reply in opening.recipients):
        connection.close(polite=False)  # MAIL refused, RCPT taken: a dot would be an empty mail to somebody
    else:
        # It waits for a message to nobody: end that at once (RFC 2920, 3.1).
        connection.write([b".\r\n"], "DATA", connection.relay.deadlines.reply)
        connection.reply("DATA")


def _send(connection: Connection, ahead: _Ahead, mail: Outgoing, opening: Opening) -> _Opened | None:
    """The content and, where the relay can do that, the opening of the next mail with it."""
    journal = ahead.journal
    parts = _stuffed(mail.envelope.data)
    size = sum(map(len, parts))
    connection.clean = True  # the dot ends the transaction, whatever the reply (RFC 5321, 4.1.1.4)
    following = ahead.next() if connection.pipelining else None
    reset = False
    if following is not None:
        reset, lines = begin(connection, following.envelope)
        parts.append(_group(lines))
    try:
        final = _write_content(connection, parts, size)
    except BaseException as error:
        if isinstance(error, SmtpError) and connection.written < size:
            journal.done(mail, Verdict((), None, "content"))
        ahead.give_back()
        give_back(journal, [following] if following else [])
        raise
    journal.done(mail, Verdict(opening.recipients, final, "message"))
    with _not_its_fault(ahead, following):
        if connection.good_bye:
            raise SmtpError("message", final.code, final.text)
        if following is not None:
            return following, _read_opening(connection, following.envelope, reset)
    return _open_next(connection, ahead)


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
