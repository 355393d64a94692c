"""What the relay's breaker is told by a batch: the relay failed, works again, or refuses the site. And what the log
says of that.

The breaker itself is in the spool, as all workers share it.
"""

from __future__ import annotations

import logging
import math
import time
from typing import Final

from ..errors import SmtpError
from ..smtp.refusals import Refusal, masked, too_fast
from ..smtp.relay import Relay
from ..smtp.replies import Reply
from ..spool import Spool
from .remedies import remedy

logger = logging.getLogger(__name__)

TELLS: Final = 60.0
"""Seconds between two lines of the log about a relay that takes so much in a time."""


class Seldom:
    """The log of what comes again and again: a line now and then, as a slot knows it from batch to batch."""

    def __init__(self) -> None:
        self._at = -math.inf

    def warning(self, text: str) -> None:
        now = time.monotonic()
        if now - self._at > TELLS:
            self._at = now
            logger.warning("%s", text)


class Breaker:
    """For one batch. Every method raises `SpoolError`."""

    def __init__(self, spool: Spool, relay: Relay, seldom: Seldom) -> None:
        self._spool = spool
        self._relay, self._place = relay.name, relay.place
        self._seldom = seldom

    def failed(self, error: SmtpError) -> bool:
        """There is no working session: that is the relay's fault. True where the breaker is open."""
        slower = error.phase in ("MAIL", "RCPT", "DATA", "message") and too_fast(Reply(error.code, error.text))
        is_open, wait, changed = self._spool.relay_failed(
            self._relay, _shown(error), error.configuration, self._place, slower
        )
        if slower:
            self._seldom.warning(f"relay {self._place} takes no more for now: {_redacted(error)}; mail waits")
        elif changed and error.configuration:
            mend = f"mend {remedy(error.phase)}, restart or `mailworker retry-now`"
            logger.critical(
                "relay %s: %s; mail waits; %s; next probe in %.0f s", self._place, _redacted(error), mend, wait
            )
        elif changed:
            logger.error("relay %s: %s; mail waits, next probe in %.0f s", self._place, _redacted(error), wait)
        return is_open

    def works(self) -> None:
        """The relay answered a mail."""
        if self._spool.relay_works(self._relay):
            logger.warning("relay: works again")

    def is_opened_by(self, mail_id: str, refusal: Refusal) -> bool:
        """True where this refusal of a mail, a dead letter by now, and those before it in the same words, are the
        configuration: then these mails are no dead letters any more, and wait."""
        found = self._spool.refused(self._relay, mail_id, refusal.said, refusal.enough, refusal.text, self._place)
        if found.configuration and found.opened:
            logger.critical(
                "relay %s refuses each mail: %s; mail waits, and %d that it refused wait again; mend %s, restart or "
                "`mailworker retry-now`; next probe in %.0f s",
                self._place, refusal.text, found.back, remedy(refusal.text), found.wait,
            )  # fmt: skip
        return found.configuration


def _shown(error: SmtpError) -> str:
    """For the operator: with the relay's words, addresses masked."""
    return masked(str(error))


def _redacted(error: SmtpError) -> str:
    """For the log: without the relay's words."""
    return f"{error.phase}: {error.code}" if error.code else str(error)
