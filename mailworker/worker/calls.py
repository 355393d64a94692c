"""Celery's ways to call a task, which of them `send_email` takes, and what a call asks for: in its arguments, and in
Celery's options beside them. Pure.

A mail is in the spool before any message speaks of it, and a message is a doorbell, which may be lost, doubled or never
sent. So nothing may hang on the message: no mail, and nothing that is to follow a mail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from ..errors import Unsendable
from ..mail import keys, moments
from ..mail.arguments import SIGNATURE, Call, from_arguments
from ..mail.email import Limits

_FOLLOWS: Final = (
    "nothing can follow a mail, whose doorbell may be lost or never rung; call send_email.delay(…) and then what is to "
    "follow"
)
_EACH: Final = "call send_email.many([{'to': …}, …]), or send_email.delay(…) for each mail"
_PLACE: Final = "every worker of the spool delivers its mail; leave it out"
_LIMIT: Final = "a limit would kill a worker in the middle of a mail; leave it out, or set it in celeryconfig.py"

REFUSED: Final[Mapping[str, str]] = {
    "link": _FOLLOWS,
    "link_error": "a mail that fails is a dead letter, which `mailworker dead list` shows; leave it out",
    "chain": _FOLLOWS,
    "chord": _FOLLOWS,
    "queue": _PLACE,
    "exchange": _PLACE,
    "routing_key": _PLACE,
    "router": _PLACE,
    "priority": "every mail goes in its order, and a doorbell's place says nothing; leave it out",
    "time_limit": _LIMIT,
    "soft_time_limit": _LIMIT,
    **dict.fromkeys(SIGNATURE.parameters.keys() - {"expires", "headers"}, "is an argument of the mail: kwargs={…}"),
}
"""Options of `apply_async`. The others are about the message (headers, serializer, …), which is a doorbell of ours
whatever they say."""

Times = tuple[Any, Any, Any]
"""`countdown`, `eta` and `expires` as they were passed."""

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


NO_TIME: Final = (None, None, None)
"""A call without `countdown`, `eta` and `expires`."""


def check(options: Mapping[str, Any]) -> None:
    """Raises `TypeError` for an option that would put a mail, or what follows it, at risk."""
    for name, value in options.items():
        if name in REFUSED and value is not None and value not in ([], ()):
            if name == "reply_to" and "@" not in str(value):
                continue  # Celery's own, which a group sets
            raise TypeError(f"send_email: {name}: {REFUSED[name]}")


def refuse(method: str) -> TypeError:
    """What a way to call raises that would put a mail into a message: it says what to write instead."""
    return TypeError(f"send_email.{method}: {CANVAS[method]}")


def read(args: Any, kwargs: Any, limits: Limits, task_id: Any = None, times: Times = NO_TIME) -> Call:
    """What a call says in its arguments and in Celery's options; a matter may stand in one of the two.

    Raises `TypeError` for what is wrong in the call, `Unsendable` for what can never be a mail.
    """
    call = from_arguments(args, kwargs, limits)
    if task_id is None and times == NO_TIME and not (call.expires or call.wait):
        return call
    _check_not_twice(kwargs or {}, task_id, times)
    now = datetime.now(UTC)
    call = replace(
        call, id=call.id or _prefixed(keys.mail_id, "task_id", task_id),
        wait=call.wait or _prefixed(_wait, times, now), expires=call.expires or _prefixed(_expires, times[2], now),
    )  # fmt: skip
    check_times(call)
    return call


def check_times(call: Call) -> None:
    """Raises `Unsendable` for a mail that could never go."""
    if call.expires and call.expires <= (time.time() + call.wait) * 1000:
        raise Unsendable("bad_field", f"expires: is {'before the mail may go' if call.wait else 'over already'}")


def read_message(mail_id: str, args: Any, kwargs: Any, headers: Times, limits: Limits) -> Call:
    """As `read`, of a message that another program wrote: any text is an id, and what is no time is none.

    A message may come twice. So what stands under its own id is not compared; what a key of the caller's stands for is,
    unless a template says it, which may say something else the second time.
    """
    now = datetime.now(UTC)
    call = from_arguments(args, kwargs, limits, from_message=True)
    wait = call.wait or _wait_of_a_message(headers, now)
    expires = call.expires or _expires_of_a_message(headers[2], now)
    compared = call.id is not None and not (kwargs or {}).get("template")
    return replace(call, id=call.id or mail_id, wait=wait, expires=expires, compared=compared)


def check_direct(kwargs: Mapping[str, Any]) -> None:
    """Raises `TypeError` where a call that sends there and then is to wait, or to be known by a key."""
    for name in ("send_at", "expires", "idempotency_key"):
        if kwargs.get(name) is not None:
            raise TypeError(f"send_email: {name}: send_email(…) sends there and then; call send_email.delay(…)")


def _check_not_twice(kwargs: Mapping[str, Any], task_id: Any, times: Times) -> None:
    countdown, eta, expires = times
    for names in (
        {"idempotency_key": kwargs.get("idempotency_key"), "task_id": task_id},
        {"send_at": kwargs.get("send_at"), "countdown": countdown, "eta": eta},
        {"expires": kwargs.get("expires"), "Celery's option expires": expires},
    ):
        if len(given := [name for name, value in names.items() if value is not None]) > 1:
            raise TypeError(f"send_email: {given[0]}: {given[1]} is there as well; pass one of them")


def _wait(times: Times, now: datetime) -> float:
    countdown, eta, _ = times
    if countdown is not None:
        return max(0.0, moments.seconds("countdown", countdown))
    return 0.0 if eta is None else max(0.0, moments.wait("eta", eta, now, naive=True))


def _expires(expires: Any, now: datetime) -> int:
    return 0 if expires is None else moments.unix_ms("expires", expires, now)


def _prefixed(read_it: Callable[..., Any], *arguments: Any) -> Any:
    """Whose option it is."""
    try:
        return read_it(*arguments)
    except TypeError as error:
        raise TypeError(f"send_email: {error}") from None


def _wait_of_a_message(headers: Times, now: datetime) -> float:
    try:
        return _wait(headers, now)
    except TypeError:
        return 0.0
    except Unsendable:  # so late that it is no argument of ours; it is no reason to send the mail at once
        return float(moments.LONGEST)


def _expires_of_a_message(expires: Any, now: datetime) -> int:
    """Celery writes a moment, and takes one without a zone for UTC."""
    try:
        return (
            0 if expires is None else int((now.timestamp() + moments.wait("expires", expires, now, naive=True)) * 1000)
        )
    except (TypeError, Unsendable):
        return 0
