"""A desk: an owner's name and its warm connection, held by one task at a time.

A prefork child has one desk for its life; a process with threads or greenlets as many as tasks run at once.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from .smtp.connection import Connection, open_connection
from .smtp.relay import Relay


class Line:
    """The warm connection to the relay: opened when needed, kept while it is good."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self._connection: Connection | None = None

    def get(self) -> Connection:
        """A connection ready for MAIL. Raises `SmtpError`."""
        if self._connection is not None and not self._connection.reusable():
            self.drop()
        if self._connection is None:
            self._connection = open_connection(self.relay)
        return self._connection

    def learn(self, mails: int) -> None:
        """The relay closed after so many mails: close before it does, so that none is left in doubt."""
        if 0 < mails < self.relay.mails:
            self.relay = dataclasses.replace(self.relay, mails=mails)

    def drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclasses.dataclass(frozen=True, slots=True)
class Desk:
    owner: str
    line: Line


class Desks:
    """The desks of this process. `worker` is the name under which its pulse is known to the spool."""

    def __init__(self, worker: str, relay: Relay) -> None:
        self.worker = worker
        self.relay = relay
        self._numbers = itertools.count()
        self._free: deque[Desk] = deque()

    @contextmanager
    def sit(self) -> Iterator[Desk]:
        """The desk used last, or a new one where all are taken."""
        try:
            desk = self._free.pop()
        except IndexError:
            desk = Desk(f"{self.worker}/{os.getpid()}.{next(self._numbers)}", Line(self.relay))
        try:
            yield desk
        finally:
            self._free.append(desk)
