"""Mails that are committed before their turn, where the relay takes several in the time of a call of the journal."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from .connection import Connection
from .journal import Journal, Outgoing, give_back
from .transaction import next_mail
from .writing import LARGE

AT_ONCE: Final = 0.005
"""Seconds of mails that are committed at once. Where the relay takes several in that time, the journal is not asked
for each; where it is slow, no mail is committed long before it leaves."""

STALE: Final = 0.05
"""Seconds after which a mail that was committed before its turn is asked for anew."""


class Ahead:
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
        seconds_each = (time.monotonic() - self._at) / len(self._committed)
        return min(self.connection.relay.window, int(AT_ONCE / max(seconds_each, 1e-6)))

    def again(self, mail: Outgoing) -> None:
        """A mail that came from here was not sent: it comes again, and is committed anew."""
        self._committed.discard(mail.id)
        self.journal.again(mail)

    def give_back(self) -> None:
        """What waits here did not begin to leave."""
        give_back(self.journal, self._waiting)
        self._committed -= {mail.id for mail in self._waiting}
        self._waiting.clear()
