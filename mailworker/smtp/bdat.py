"""With PIPELINING and CHUNKING (RFC 2920, 3030): RSET, MAIL, RCPT… and BDAT LAST of a mail in one write, and the next
mails behind it without waiting, up to a window of mails that are not answered."""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Final

from ..errors import SmtpError
from ..retry import Verdict
from .connection import Connection
from .replies import Reply
from .transaction import (
    Journal,
    Opening,
    Outgoing,
    begin,
    give_back,
    next_mail,
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
    under_way: deque[Sent] = deque()
    more = True
    while more or under_way:
        if more and len(under_way) <= connection.relay.window // 2:
            more = _start(connection, journal, under_way)
        while under_way:
            _settle(connection, journal, under_way)
            if not connection.replies.buffered:
                break


def _start(connection: Connection, journal: Journal, under_way: deque[Sent]) -> bool:
    """Commits and writes what the window has room for. False when there is no more."""
    group: list[Outgoing] = []
    size = sum(len(sent.mail.envelope.data) for sent in under_way)
    more = True
    while more and len(under_way) + len(group) < connection.relay.window and size < UNDER_WAY:
        mail = next_mail(connection, journal, len(group))
        more = mail is not None
        if mail is not None:
            group.append(mail)
            size += len(mail.envelope.data)
    if group:
        _write(connection, journal, journal.commit(group), under_way)
    return more


def _write(connection: Connection, journal: Journal, mails: list[Outgoing], under_way: deque[Sent]) -> None:
    if not mails:
        return
    parts: list[bytes] = []
    ends: list[int] = []
    sent: list[Sent] = []
    for mail in mails:
        data = mail.envelope.data
        reset, lines = begin(connection, mail.envelope)
        sent.append(Sent(mail, reset))
        parts += ("\r\n".join([*lines, f"BDAT {len(data)} LAST", ""]).encode("utf-8"), data)
        ends.append(len(parts[-2]) + len(data) + (ends[-1] if ends else 0))
    try:
        connection.write(parts, "message", patience(connection, ends[-1]))
    except SmtpError:
        whole = sum(end <= connection.written for end in ends)
        under_way.extend(sent[:whole])
        if whole < len(mails):
            _broke_off(journal, mails[whole:], ends[whole] - connection.written)
        _last_words(connection, journal, under_way)
        raise
    under_way.extend(sent)


def _broke_off(journal: Journal, unsent: list[Outgoing], lacking: int) -> None:
    """Mails that did not leave as a whole were not sent. The first may be why, where its content was under way."""
    if lacking < len(unsent[0].envelope.data):
        journal.done(unsent.pop(0), Verdict((), None, "content"))
    give_back(journal, unsent)


def _last_words(connection: Connection, journal: Journal, under_way: deque[Sent]) -> None:
    """What the relay answered before the connection broke counts."""
    connection.replies.last_words()
    with contextlib.suppress(SmtpError):
        while under_way:
            _settle(connection, journal, under_way)


def _settle(connection: Connection, journal: Journal, under_way: deque[Sent]) -> None:
    """The replies to the oldest mail, and its verdict."""
    sent = under_way[0]
    try:
        if sent.reset:
            read_reset(connection)
        opening = Opening(read_mail(connection), read_recipients(connection, sent.mail.envelope))
        final = read_final(connection)
    except SmtpError as error:
        if error.code:  # said by the relay, which therefore took neither this mail nor those behind it
            _all_again(journal, under_way)
        raise
    if _unknown(opening, final):
        # It may have read the content as commands, so nothing it says from now on can be trusted.
        connection.mistrusted.add("CHUNKING")
        connection.close(polite=False)
        _all_again(journal, under_way)
        return
    under_way.popleft()
    connection.clean = final.positive and not under_way
    journal.done(sent.mail, _verdict(opening, final))
    if connection.good_bye:
        _all_again(journal, under_way)
        raise SmtpError("message", final.code, final.text)


def _all_again(journal: Journal, under_way: deque[Sent]) -> None:
    give_back(journal, [sent.mail for sent in under_way])
    under_way.clear()


def _unknown(opening: Opening, final: Reply) -> bool:
    """True where the relay announced CHUNKING and does not know BDAT."""
    return final.code in (500, 502) or (opening.accepted and final.code in (501, 503, 504))


def _verdict(opening: Opening, final: Reply) -> Verdict:
    if opening.accepted or final.positive:
        return Verdict(opening.recipients, final, "message")
    return opening.refusal()
