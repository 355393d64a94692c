"""What the log tells of each mail: its id and what became of it. No address, no text, and no word of the relay."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

from ..outcome import Deferred, Failed, Further, Held, Sent, Step

logger = logging.getLogger(__name__)

TOGETHER: Final = 50
"""Ids of sent mails in a line: a line each would cost a twentieth of the speed."""


class Diary:
    """Of one batch. `part_of` gives the id of the dead letter that was split off this mail last."""

    def __init__(self, part_of: Callable[[str], str]) -> None:
        self._part_of = part_of
        self._sent: list[str] = []

    def note(self, outcomes: Iterable[tuple[str, Step]]) -> None:
        """These are written into the spool. Never raises."""
        for mail_id, outcome in outcomes:
            match outcome:
                case Sent():
                    self._sent.append(mail_id)
                case Failed():
                    _failed(mail_id, outcome)
                case Held():
                    _dead(mail_id, outcome.reason, "")
                case Deferred():
                    self._deferred(mail_id, outcome)
                case Further(refused=Failed() as refused):
                    _dead(self._part_of(mail_id), refused.reason, f" ({refused.code} to some of {mail_id})")
        if len(self._sent) >= TOGETHER:
            self.end()

    def end(self) -> None:
        """What was sent and not told yet."""
        if self._sent:
            logger.info("sent: %s", " ".join(self._sent))
            self._sent = []

    def _deferred(self, mail_id: str, outcome: Deferred) -> None:
        said = f"{outcome.code} at {outcome.phase}" if outcome.code else f"no reply at {outcome.phase}"
        if outcome.in_doubt:
            logger.warning("mail %s is in doubt (%s); sent again in %.0f s", mail_id, said, outcome.delay)
        else:
            logger.info("mail %s waits (%s); next attempt in %.0f s", mail_id, said, outcome.delay)
        if outcome.refused is not None:
            _dead(self._part_of(mail_id), outcome.refused.reason, f" ({outcome.refused.code} to some of {mail_id})")


def _failed(mail_id: str, outcome: Failed) -> None:
    if outcome.in_doubt:
        logger.warning("mail %s is in doubt", mail_id)
    _dead(mail_id, outcome.reason, f" ({outcome.code})" if outcome.code else "")


def _dead(mail_id: str, reason: str, more: str) -> None:
    logger.warning("mail %s is a dead letter: %s%s", mail_id, reason, more)
