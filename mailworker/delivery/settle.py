"""The outcomes of one batch on their way into the spool; once they are written, observers are told of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from ..errors import SpoolError
from ..outcome import Returned, Sent
from ..spool import Settled, Spool
from .attempt import Attempt, Observer, tell
from .batch_limits import BatchLimits

logger = logging.getLogger(__name__)

STOP_SECONDS: Final = 30.0
"""For which a stop waits for a Redis that takes no outcomes: less than service managers wait before they kill."""

TOGETHER: Final = 50
"""Mails that were sent are told together, up to so many."""

_QUIET: Final = (Sent, Returned)

PAUSES: Final = (0.1, 5.0)
"""The first and the longest pause before Redis is asked again to take outcomes, in seconds."""

TELLS: Final = 60.0
"""Seconds between two lines of the log about a Redis that takes none."""


class Settling:
    """Written are outcomes in the order in which they were added."""

    def __init__(self, spool: Spool, owner: str, relay: str, observers: Sequence[Observer]) -> None:
        self._spool = spool
        self._owner = owner
        self._relay = relay
        self._observers = observers
        self._unwritten: list[Attempt] = []
        self._untold: list[Attempt] = []
        self._to_be_told_at_once = False

    def add(self, attempt: Attempt) -> None:
        self._unwritten.append(attempt)
        if not isinstance(attempt.outcome, _QUIET):
            self._to_be_told_at_once = True

    def write(self, commit: Sequence[str] = (), end: bool = False) -> Settled:
        """Marks the mails in `commit` as about to be sent, in the same step. `end` is that of the batch.

        Raises `SpoolError`: then nothing is known to be written, and all of it is written again.
        """
        outcomes = [(attempt.id, attempt.outcome) for attempt in self._unwritten]
        settled = self._spool.settle(self._relay, self._owner, outcomes, commit, end)
        self._untold += self._unwritten
        self._unwritten = []
        if end or self._to_be_told_at_once or len(self._untold) >= TOGETHER:
            self._tell()
        return settled

    def write_all(self, limits: BatchLimits) -> int:
        """The last ones of the batch, however long Redis is away; or, where the worker stops and Redis stays away, they
        are given up: then those mails are in doubt. Returns how many connections the relay bears, 0 where no limit is
        known."""
        pause, tell_at = PAUSES[0], 0.0
        stopped: float | None = None
        while True:
            try:
                settled = self.write(end=True)
            except SpoolError as error:
                now = time.monotonic()
                if now >= tell_at:
                    logger.warning("%s; %d outcomes wait for it", error, len(self._unwritten))
                    tell_at = now + TELLS
                if stopped is None and limits.stopping():
                    stopped = now
                if limits.hurried() or (stopped is not None and time.monotonic() - stopped > STOP_SECONDS):
                    self._give_up()
                    return 0
                time.sleep(pause)
                pause = min(pause * 2, PAUSES[1])
            else:
                return settled.bears

    def _give_up(self) -> None:
        logger.error("the worker stops, and Redis took no outcomes of %d mails", len(self._unwritten))
        self._unwritten = []
        self._tell()

    def _tell(self) -> None:
        untold, self._untold, self._to_be_told_at_once = self._untold, [], False
        if untold:
            tell(self._observers, untold)
