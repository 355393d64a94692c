"""What became of a mail in one batch, as one frozen value, and who is told of it.

The log, Celery's events, the summary of a batch: each is a function that takes attempts, and hangs on the side. Take
them away, and the mail still flows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..errors import where
from ..outcome import OutcomeSoFar, Returned

logger = logging.getLogger(__name__)


class Attempt(NamedTuple):
    """Made where the verdict is judged. A tuple, as it costs a third of a dataclass and each mail has one."""

    id: str
    relay: str
    """The relay's name; empty where none takes mail."""
    outcome: OutcomeSoFar
    """`Returned` where the relay was not asked, `Further` where some recipients have the mail and it goes on."""
    code: int = 0
    """Of the reply that decided; 0 where none came."""
    phase: str = ""
    """The command that was answered, or was not; empty where the mail was not begun."""
    seconds: float = 0.0
    """From when it was given to the session until the relay's verdict."""


Observer = Callable[[Sequence[Attempt]], None]
"""Is told of attempts once they are written into the spool."""


def returned(ids: Iterable[str], relay: str, delay: float = 0) -> dict[str, Attempt]:
    """Nothing happened to these mails."""
    outcome = Returned(delay)
    return {mail_id: Attempt(mail_id, relay, outcome) for mail_id in ids}


def tell(observers: Iterable[Observer], attempts: Sequence[Attempt]) -> None:
    """Never raises: an observer that fails stops neither a mail nor another observer."""
    for observer in observers:
        try:
            observer(attempts)
        except Exception as error:  # noqa: BLE001 - whatever it is, the mails are on their way
            logger.error("an observer of attempts failed: %s", where(error))
