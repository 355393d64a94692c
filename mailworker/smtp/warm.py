"""The warm connection to a relay: opened when needed, kept while it is good."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import deque
from typing import Final

from .connection import Connection
from .opening import open_connection
from .relay import Relay

logger = logging.getLogger(__name__)

LESSON_HOLDS: Final = 600
"""Seconds for which what a relay did wrong is believed of it: it may have been restarted, or mended."""

SUSPICION_HOLDS: Final = 60
"""The same, where it may have been something else: the connection broke, and nobody said why."""

SLOW: Final = 3.0
"""Seconds without a verdict after which the relay is late with a mail, at least."""

LATEST: Final = 30.0
"""The same, at most: where the relay is slow with each mail, others would be no faster."""


class WarmConnection:
    """The warm connection to the relay: opened when needed, kept while it is good. Learns what the relay can bear."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self._connection: Connection | None = None
        self._learned: Relay = relay
        self._until = 0.0
        self._most = 0
        self._most_until = 0.0
        self.pace: deque[float] = deque(maxlen=5)
        """Seconds that the last mails took."""
        self._slower_told = float(-LESSON_HOLDS)
        self.bears = 0
        """Connections that the relay bears from all of us together; 0 where no limit is known."""
        self._opening = 0.0
        """Seconds that the last connection took to be made: a relay may greet late on purpose."""

    def tell_slower(self, seconds: float, text: str) -> None:
        """Into the log, no more than once in so many seconds: it comes again and again."""
        now = time.monotonic()
        if now - self._slower_told > seconds:
            self._slower_told = now
            logger.warning(text)

    def recipients(self) -> int:
        """How many the relay takes in one transaction; 0 where no limit is known."""
        return self._most if self._most and time.monotonic() < self._most_until else 0

    def takes_recipients(self, most: int) -> None:
        known = self.recipients()
        self._most, self._most_until = min(known or most, most), time.monotonic() + LESSON_HOLDS

    def patience(self, opening: bool = False) -> float:
        """Seconds after which the relay is late with a mail, or with letting a connection be opened."""
        usual = sorted(self.pace)[len(self.pace) // 2] if self.pace else 0.0
        if opening:
            usual = max(usual, self._opening)
        return min(max(4 * usual, SLOW), LATEST)

    def kept(self) -> Connection | None:
        """The connection that is there, if it may be used; one that may not is closed."""
        if self._connection is not None and not self._connection.reusable():
            self.drop()
        if self._connection is not None and not self._connection.answers():
            # What ended it is no lesson about the relay: something on the way has forgotten it.
            self._connection.close(polite=False)
            self._connection = None
        return self._connection

    def connect(self) -> Connection:
        """A new one. Raises `SmtpError`."""
        begun = time.monotonic()
        self._connection = open_connection(self._as_known())
        self._opening = time.monotonic() - begun
        return self._connection

    def get(self) -> Connection:
        """A connection ready for MAIL. Raises `SmtpError`."""
        return self.kept() or self.connect()

    def drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.broken or connection.mistrusted:
            self._learn(connection)
        connection.close()

    def _as_known(self) -> Relay:
        if time.monotonic() > self._until:
            self._learned = self.relay
        return self._learned

    def _learn(self, connection: Connection) -> None:
        """Close before the relay does, so that no mail is left in doubt; and leave off what it does not know."""
        known = self._as_known()
        without = connection.mistrusted | connection.suspected
        learned = dataclasses.replace(
            known,
            mails=min(known.mails, connection.accepted or known.mails) if connection.ended_by_relay else known.mails,
            chunking=known.chunking and "CHUNKING" not in without,
            pipelining=known.pipelining and "PIPELINING" not in without,
        )
        if learned != known:
            holds = SUSPICION_HOLDS if connection.suspected - connection.mistrusted else LESSON_HOLDS
            self._learned, self._until = learned, time.monotonic() + holds
