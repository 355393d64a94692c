"""What the log tells of the mails of an owner that is gone."""

from __future__ import annotations

import logging
from collections.abc import Iterable

logger = logging.getLogger(__name__)


def given_up(told: Iterable[str]) -> None:
    """What a script found in a dead owner's hands, as `in_doubt <id>` or `<reason> <id>`."""
    for line in told:
        word, _, mail_id = line.partition(" ")
        if word == "doubt":
            logger.warning("mail %s is in doubt: who sent it is gone", mail_id)
        else:
            logger.warning("mail %s is a dead letter: %s", mail_id, word)
