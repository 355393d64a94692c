"""Celery's ways to call a task, which of them `send_email` takes, and what a call asks for: in its arguments, and in
Celery's options beside them. Pure.

A mail is in the spool before any message speaks of it, and a message is a doorbell, which may be lost, doubled or never
sent. So nothing may hang on the message: no mail, and nothing that is to follow a mail.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from ..mail.arguments import Call, from_arguments
from ..mail.email import Limits

_FOLLOWS: Final = (
    "nothing can follow a mail, whose doorbell may be lost or never rung; call send_email.delay(…) and then what is to "
    "follow"
)
_EACH: Final = "call send_email.delay(…) for each mail"
_PLACE: Final = "every worker of the spool delivers its mail; leave it out"
_LIMIT: Final = "a limit would kill a worker in the middle of a mail; leave it out, or set it in celeryconfig.py"

REFUSED: Final[Mapping[str, str]] = {
    "expires": "a mail that was accepted is sent or becomes a dead letter; leave it out",
    "link": _FOLLOWS,
    "link_error": "a mail that fails is a dead letter, which `mailworker dead list` shows; leave it out",
    "chain": _FOLLOWS,
    "chord": _FOLLOWS,
    "queue": _PLACE,
    "exchange": _PLACE,
    "routing_key": _PLACE,
    "router": _PLACE,
    "time_limit": _LIMIT,
    "soft_time_limit": _LIMIT,
}
"""Options of `apply_async`. The others are about the message (headers, priority, serializer, …), which is a doorbell of
ours whatever they say."""

_SIGNATURE: Final = (
    "a signature puts the mail into a message, which may be lost without a record; call send_email.delay(…) where the "
    "mail is to be sent, or in a task of your own where it is to follow another one"
)
_INSIDE: Final = "the spool tries again by itself; a task that sends mail calls send_email.delay(…)"

CANVAS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("signature", "subtask", "s", "si", "signature_from_request", "subtask_from_request"), _SIGNATURE),
    **dict.fromkeys(("chunks", "map", "starmap"), _EACH),
    **dict.fromkeys(("retry", "replace", "add_to_chord"), _INSIDE),
}
"""Methods of a task that end in a message with arguments."""


_LONGEST_ID: Final = 255


def check(options: Mapping[str, Any]) -> None:
    """Raises `TypeError` for an option that would put a mail, or what follows it, at risk."""
    for name, value in options.items():
        if name in REFUSED and value is not None and value not in ([], ()):
            raise TypeError(f"send_email: {name}: {REFUSED[name]}")


def refuse(method: str) -> TypeError:
    """What a way to call raises that would put a mail into a message: it says what to write instead."""
    return TypeError(f"send_email.{method}: {CANVAS[method]}")


def read(args: Any, kwargs: Any, limits: Limits, task_id: Any = None, countdown: Any = None, eta: Any = None) -> Call:
    """Raises `TypeError` for what is wrong in the call, `Unsendable` for what can never be a mail."""
    chosen, wait = mail_id(task_id), delay(countdown, eta, datetime.now(UTC))
    return replace(from_arguments(args, kwargs, limits), id=chosen, wait=wait)


def read_message(mail_id: str, args: Any, kwargs: Any, eta: Any, limits: Limits) -> Call:
    """As `read`, of a message that another program wrote: any text is an id, and what is no time is none."""
    return replace(from_arguments(args, kwargs, limits), id=mail_id, wait=_wait_of_message(eta))


def _wait_of_message(eta: Any) -> float:
    try:
        return delay(None, eta, datetime.now(UTC))
    except TypeError:
        return 0.0


def mail_id(task_id: Any) -> str | None:
    """Raises `TypeError` for what is no id."""
    if task_id is None or isinstance(task_id, str):
        if task_id and (len(task_id) > _LONGEST_ID or not task_id.isprintable()):
            raise TypeError(f"send_email: task_id: expected up to {_LONGEST_ID} printable characters")
        return task_id or None
    raise TypeError(f"send_email: task_id: expected a string, got {type(task_id).__name__}")


def delay(countdown: Any, eta: Any, now: datetime) -> float:
    """Seconds to wait, 0 for none. An `eta` without a time zone is in UTC. Raises `TypeError`."""
    if countdown is not None:
        if isinstance(countdown, bool) or not isinstance(countdown, int | float) or not math.isfinite(countdown):
            raise TypeError("send_email: countdown: expected seconds as a number")
        return max(0.0, float(countdown))
    if eta is None:
        return 0.0
    try:
        moment = datetime.fromisoformat(eta) if isinstance(eta, str) else eta
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, float((moment - now).total_seconds()))
    except (AttributeError, TypeError, ValueError):
        raise TypeError("send_email: eta: expected a datetime") from None
