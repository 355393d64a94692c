"""The connections that a relay bears, where it limits them: a place is waited for, taken, and given back.

How many there are is in the spool, as all workers share them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..errors import SmtpError, SpoolError
from ..smtp.connection import Connection
from ..smtp.refusals import crowded, perhaps_crowded
from ..smtp.warm import WarmConnection
from ..spool import Spool

logger = logging.getLogger(__name__)

FOR_A_PLACE: Final = 5.0
"""Seconds that a batch waits for one of the connections that the relay bears; then others may have its mails."""

LOOKS: Final = (0.05, 0.25)
"""Seconds between two looks for such a place: at first, and where none is found within a second."""


@dataclass(slots=True)
class Limit:
    """Of a relay's connections, as a slot knows it from batch to batch."""

    bears: int = 0
    """From all workers together; 0 where no limit is known."""


class Places:
    """Of one owner, for one batch."""

    def __init__(self, spool: Spool, owner: str, warm: WarmConnection, limit: Limit) -> None:
        self._spool = spool
        self._owner = owner
        self._warm = warm
        self._relay = warm.relay.name
        self._limit = limit
        self.waiting = False
        """For a place: then nothing is late."""

    def connect(self, more: Callable[[], bool]) -> Connection | None:
        """The warm connection or a new one, when the relay has a place for it. None where it had none in time, or there
        are no `more` mails. Raises `SmtpError`, `SpoolError`."""
        kept = self._warm.kept()
        if kept is not None:
            return kept
        try:
            return self._wait(more)
        except SpoolError:
            self._warm.drop()
            raise
        finally:
            self.waiting = False

    def _wait(self, more: Callable[[], bool]) -> Connection | None:
        begun = time.monotonic()
        while more():
            connection = self._try() if self._is_free() else None
            if connection is not None:
                self._limit.bears = self._spool.connected(self._relay, self._owner).bears
                return connection
            self.waiting = True
            waited = time.monotonic() - begun
            if waited > FOR_A_PLACE:
                return None
            time.sleep(LOOKS[waited > 1])
        return None

    def _is_free(self) -> bool:
        if not self._limit.bears:
            return True
        place = self._spool.may_connect(self._relay, self._owner)
        self._limit.bears = place.bears
        return place.free

    def _try(self) -> Connection | None:
        """None where the relay has no place for one more."""
        try:
            return self._warm.connect()
        except SmtpError as error:
            if not self.are_taken(error):
                raise
        return None

    def are_taken(self, error: SmtpError) -> bool:
        """The relay refused one connection more, while others of ours work: that is no outage. Raises `SpoolError`."""
        wordless = not crowded(error.phase, error.code, error.text)
        if error.configuration or (wordless and not perhaps_crowded(error)):
            return False
        place = self._spool.relay_full(self._relay, self._owner, wordless)
        self._limit.bears = place.bears
        return place.free

    def make_room(self, bears: int) -> None:
        """At a batch's end. Where the relay bears fewer connections than there are children, an idle one would keep
        others' mail waiting. `bears` is how many it bears, 0 where no limit is known."""
        if not (bears or self._limit.bears):
            return
        self._limit.bears = bears
        self._warm.drop()
        try:
            self._spool.disconnected(self._relay, self._owner)
        except SpoolError:
            logger.info("Redis does not answer; it takes this connection for open until the next one")
