"""The warm connection to a relay: opened when needed, kept while it is good."""

from __future__ import annotations

import time

from .connection import Connection
from .lessons import Lessons
from .opening import open_connection
from .pace import Pace
from .relay import Relay


class WarmConnection:
    """One at a time. What the relay teaches with one, the next one knows."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.lessons = Lessons(relay)
        self.pace = Pace()
        self._connection: Connection | None = None

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
        self._connection = open_connection(self.lessons.relay())
        self.pace.opening = time.monotonic() - begun
        return self._connection

    def get(self) -> Connection:
        """A connection ready for MAIL. Raises `SmtpError`."""
        return self.kept() or self.connect()

    def drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.broken or connection.mistrusted:
            ended_after = connection.accepted if connection.ended_by_relay else None
            self.lessons.learn(ended_after, connection.mistrusted, connection.suspected)
        connection.close()
