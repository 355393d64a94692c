"""Pure: what it means for a batch that a session broke, between the greeting and the good-bye."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from ..errors import SmtpError
from ..smtp.refusals import crowded


class Rest(Enum):
    """What becomes of the mails that the session did not end."""

    GOES_ON = auto()
    """Over a new connection."""
    WAITS_FOR_A_PLACE = auto()
    """The relay has too many connections."""
    WAITS_FOR_THE_RELAY = auto()
    """It failed: the breaker is told."""


class Break(NamedTuple):
    """`blame`: a mail that was under way, and whose content had not left, has had its attempt."""

    rest: Rest
    blame: bool


def what_broke(error: SmtpError, fresh: bool, answered: bool) -> Break:
    """`fresh` where the connection had carried no mail before, `answered` where the relay had said something about one
    of this batch's mails."""
    at_mail = error.phase == "MAIL"
    if crowded(error.phase, error.code, error.text):
        return Break(Rest.WAITS_FOR_A_PLACE, blame=False)
    if error.configuration:
        return Break(Rest.WAITS_FOR_THE_RELAY, blame=False)
    if answered or (at_mail and not fresh):  # it worked until then, or was a warm connection that had died
        return Break(Rest.GOES_ON, blame=not at_mail)
    return Break(Rest.WAITS_FOR_THE_RELAY, blame=True)
