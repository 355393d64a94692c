"""What the log tells of each mail: its id and what became of it. No address, no text, and no word of the relay."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from ..outcome import Deferred, Failed, Further, Held, Sent
from ..spool import Abandoned
from .attempt import Attempt

logger = logging.getLogger(__name__)


class AttemptLog:
    """`part_of` gives the id of the dead letter that was split off a mail last."""

    def __init__(self, part_of: Callable[[str], str]) -> None:
        self._part_of = part_of

    def __call__(self, attempts: Sequence[Attempt]) -> None:
        sent = []
        for attempt in attempts:
            if isinstance(attempt.outcome, Sent):
                sent.append(attempt.id)
            else:
                self._tell(attempt)
        if sent:  # in one line: a line each would cost a twentieth of the speed
            logger.info("sent: %s", " ".join(sent))

    def _tell(self, attempt: Attempt) -> None:
        match attempt.outcome:
            case Failed() as outcome:
                _failed(attempt.id, outcome)
            case Held(reason=reason):
                _dead(attempt.id, reason, "")
            case Deferred() as outcome:
                _deferred(attempt.id, outcome)
                self._split_off(attempt.id, outcome.refused)
            case Further(refused=refused):
                self._split_off(attempt.id, refused)

    def _split_off(self, mail_id: str, refused: Failed | None) -> None:
        """A dead letter for some of a mail's recipients."""
        if refused is not None:
            _dead(self._part_of(mail_id), refused.reason, f" ({refused.code} to some of {mail_id})")


def log_abandoned(mail: Abandoned) -> None:
    """What a worker that is gone had in hand."""
    if mail.reason is None:
        logger.warning("mail %s is in doubt: who sent it is gone", mail.id)
    else:
        _dead(mail.id, mail.reason, "")


def _deferred(mail_id: str, outcome: Deferred) -> None:
    said = f"{outcome.code} at {outcome.phase}" if outcome.code else f"no reply at {outcome.phase}"
    if outcome.in_doubt:
        logger.warning("mail %s is in doubt (%s); sent again in %.0f s", mail_id, said, outcome.delay)
    else:
        logger.info("mail %s waits (%s); next attempt in %.0f s", mail_id, said, outcome.delay)


def _failed(mail_id: str, outcome: Failed) -> None:
    if outcome.in_doubt:
        logger.warning("mail %s is in doubt", mail_id)
    _dead(mail_id, outcome.reason, f" ({outcome.code})" if outcome.code else "")


def _dead(mail_id: str, reason: str, more: str) -> None:
    logger.warning("mail %s is a dead letter: %s%s", mail_id, reason, more)
