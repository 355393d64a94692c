"""What a relay has taught: what it does not bear, how many mails a connection carries, how many recipients a mail."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Set
from typing import Final

from .relay import Relay

LESSON_HOLDS: Final = 600
"""Seconds for which what a relay did wrong is believed of it: it may have been restarted, or mended."""

SUSPICION_HOLDS: Final = 60
"""The same, where it may have been something else: the connection broke, and nobody said why."""


class Lessons:
    """Of one relay, each believed for a while."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._learned = relay
        self._learned_until = 0.0
        self._most_recipients = 0
        self._most_recipients_until = 0.0

    def relay(self) -> Relay:
        """The relay without what it is known not to bear."""
        if time.monotonic() > self._learned_until:
            self._learned = self._relay
        return self._learned

    def learn(self, ended_after: int | None, mistrusted: Set[str], suspected: Set[str]) -> None:
        """From a connection that is over: the extensions that it goes without from now on, and the mails that the
        relay took before it ended the session, if it did. The next one is closed before the relay does that, so that
        no mail is left in doubt."""
        known = self.relay()
        without = mistrusted | suspected
        learned = dataclasses.replace(
            known,
            mails=min(known.mails, ended_after or known.mails),
            chunking=known.chunking and "CHUNKING" not in without,
            pipelining=known.pipelining and "PIPELINING" not in without,
            dsn=known.dsn and "DSN" not in without,
        )
        if learned != known:
            holds = SUSPICION_HOLDS if suspected - mistrusted else LESSON_HOLDS
            self._learned, self._learned_until = learned, time.monotonic() + holds

    def recipients(self) -> int:
        """How many the relay takes in one transaction; 0 where no limit is known."""
        if not self._most_recipients or time.monotonic() > self._most_recipients_until:
            return 0
        return self._most_recipients

    def takes_recipients(self, most: int) -> None:
        known = self.recipients()
        self._most_recipients = min(known or most, most)
        self._most_recipients_until = time.monotonic() + LESSON_HOLDS
