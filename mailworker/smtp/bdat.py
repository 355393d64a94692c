"""With PIPELINING and CHUNKING (RFC 2920, 3030): RSET, MAIL, RCPT… and BDAT LAST of a mail in one write, and the next
mails behind it without waiting, up to a window of mails that are not answered."""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Final

from ..errors import SmtpError
from ..retry import Verdict
from .connection import LARGE, Connection
from .replies import LATE, Reply
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

UNDER_WAY: Final = 8 * 1024 * 1024
"""Octets of content not answered, beyond which no further mail is begun."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that left as a whole. `reset` where RSET went before it."""

    mail: Outgoing
    reset: bool


def stream(connection: Connection, journal: Journal) -> None:
    """Sends until the journal has no more, or the connection has carried its share.

    Raises `SmtpError`; then the mails without a verdict that were not given back are in doubt. Returns with the
    connection closed where the relay does not know BDAT after all.
    """
    _Stream(connection, journal).run()


class _Stream:
    def __init__(self, connection: Connection, journal: Journal) -> None:
        self.connection = connection
        self.journal = journal
        self.under_way: deque[Sent] = deque()
        self.misplaced: list[Outgoing] = []
        """Not taken because the relay has lost the thread."""

    def run(self) -> None:
        try:
            self._run()
        finally:
            give_back(self.journal, self.misplaced)
        if self.misplaced:
            raise SmtpError("MAIL", 503, "the relay has lost the thread")

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

    def _start(self) -> bool:
        """Commits and writes what the window has room for, large mails one by one. False when there is no more."""
        group: list[Outgoing] = []
        size = 0
        more = True
        while more and len(self.under_way) + len(group) < self.connection.relay.window and size < LARGE:
            mail = next_mail(self.connection, self.journal, len(group))
            more = mail is not None
            if mail is not None:
                group.append(mail)
                size += len(mail.envelope.data)
        if group:
            self._write(self.journal.commit(group))
        return more

    def _has_room(self) -> bool:
        octets = sum(len(sent.mail.envelope.data) for sent in self.under_way)
        return len(self.under_way) < self.connection.relay.window and octets < UNDER_WAY

    def _write(self, mails: list[Outgoing]) -> None:
        parts: list[bytes] = []
        ends = [0]
        sent: list[Sent] = []
        for mail in mails:
            data = mail.envelope.data
            reset, lines = begin(self.connection, mail.envelope)
            sent.append(Sent(mail, reset))
            parts += ("\r\n".join([*lines, f"BDAT {len(data)} LAST", ""]).encode("utf-8"), data)
            ends.append(ends[-1] + len(parts[-2]) + len(data))
        try:
            self.connection.write(parts, "message", patience(self.connection.relay.deadlines.final, ends[-1]))
        except SmtpError:
            whole = sum(end <= self.connection.written for end in ends[1:])
            self.under_way.extend(sent[:whole])
            self._broke_off(mails[whole:], self.connection.written - ends[whole])
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

    def _settle(self) -> None:
        """The replies to the oldest mail, and its verdict."""
        connection, sent = self.connection, self.under_way[0]
        try:
            if sent.reset:
                read_reset(connection)
            opening = Opening(read_mail(connection), read_recipients(connection, len(sent.mail.envelope.recipients)))
            over = connection.good_bye  # RCPT got the last word, and the content none
            final = opening.recipients[-1] if over else read_final(connection)
        except SmtpError as error:
            if error.code == 421:  # it took neither this mail nor, if it closes as it says, those behind it
                self._good_bye(including=True)
            elif error.configuration:  # it wants a login: for this mail as for those behind it
                self._all_again()
            raise
        if not connection.accepted and _unknown(opening, final):
            # It may have read the content as commands, so nothing it says from now on can be trusted.
            connection.mistrusted.add("CHUNKING")
            connection.close(polite=False)
            self._all_again()
            return
        self.under_way.popleft()
        if out_of_sequence(opening.mail) and not final.positive:
            # What is under way may have been taken all the same; nothing more is begun.
            connection.broken = True
            self.misplaced.append(sent.mail)
            return
        connection.clean = final.positive and not self.under_way
        verdict = opening.refusal() if over else _verdict(opening, final)
        self.journal.done(sent.mail, verdict)
        if connection.good_bye:
            self._good_bye(including=False)
            raise SmtpError(verdict.phase, final.code, final.text)

    def _good_bye(self, including: bool) -> None:
        """After 421 nothing more is taken (RFC 5321, 3.8); what a relay that stays open took after all is in doubt."""
        try:
            self.connection.replies.read("good-bye", 1)
            closed = False
        except SmtpError as error:
            closed = error.text != LATE
        if closed:
            self._all_again()
        elif including:
            give_back(self.journal, [self.under_way.popleft().mail])

    def _all_again(self) -> None:
        give_back(self.journal, [sent.mail for sent in self.under_way])
        self.under_way.clear()


def _unknown(opening: Opening, final: Reply) -> bool:
    """True where the relay, which announced CHUNKING, does not know BDAT. One that took a mail so far does."""
    return final.code in (500, 502) or (opening.accepted and final.code in (501, 503, 504))


def _verdict(opening: Opening, final: Reply) -> Verdict:
    if opening.accepted or final.positive:
        return Verdict(opening.recipients, final, "message")
    return opening.refusal()
