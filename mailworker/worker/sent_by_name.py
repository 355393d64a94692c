"""Mail that another program sent by the task's name, with its arguments in the message.

It is in that message alone, so first of all it gets a record. From there on it is like any other mail of the spool.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from celery.exceptions import Reject

from .. import runtime
from ..delivery.accept import accept as give_a_record
from ..errors import IdempotencyError, MailFailed, SpoolError, Unsendable
from ..mail.arguments import Call
from ..spool import Accepted
from . import calls


def times_of(request: Any) -> calls.Times:
    """When its program wanted it to be sent, and until when: see `privacy`."""
    return None, request.get("mail_eta"), request.get("mail_expires")


def id_of(task_id: Any) -> str:
    """Another program's id may be any text; what is no UTF-8 is written out."""
    return str(task_id).encode("utf-8", "backslashreplace").decode()


def accept(mail_id: str, args: Any, kwargs: Any, times: calls.Times) -> Accepted:
    """Gives the mail its record. Raises `SpoolError` where that fails.

    What can never be a mail becomes a dead letter, which keeps the arguments as they came; then `MailFailed` is raised.
    """
    try:
        call = _read(mail_id, args, kwargs, times)
    except (TypeError, Unsendable) as error:
        reason = error.reason if isinstance(error, Unsendable) else "bad_arguments"
        _bury(mail_id, args, kwargs, reason, str(error))
        raise MailFailed(reason) from None
    try:
        return give_a_record(runtime.spool(), call)
    except IdempotencyError as error:
        _bury(mail_id, args, kwargs, "bad_arguments", str(error))
        raise MailFailed("bad_arguments") from None


def keep(mail_id: str, args: Any, kwargs: Any, times: calls.Times) -> str:
    """Gives the mail its record, and returns the id under which it has it. What is no mail becomes a dead letter when
    its turn comes. Raises `SpoolError`."""
    try:
        return give_a_record(runtime.spool(), _read(mail_id, args, kwargs, times)).id
    except (TypeError, Unsendable, IdempotencyError):
        return _as_it_came(mail_id, args, kwargs).id


def _read(mail_id: str, args: Any, kwargs: Any, times: calls.Times) -> Call:
    return calls.read_message(mail_id, args, kwargs, times, runtime.settings().limits)


def _bury(mail_id: str, args: Any, kwargs: Any, reason: str, detail: str) -> None:
    accepted = _as_it_came(mail_id, args, kwargs)
    if accepted.new:  # another one that waits under this id may be a good mail
        with runtime.slots().take() as slot:
            runtime.delivery().refuse(slot, accepted.id, reason, detail)


def _as_it_came(mail_id: str, args: Any, kwargs: Any) -> Accepted:
    """The record of what is no mail: it has the arguments."""
    payload = json.dumps({"args": args, "kwargs": kwargs}).encode("utf-8")
    return runtime.spool().accept(mail_id, payload, keyed=True)


@contextlib.contextmanager
def back_unless_spooled() -> Iterator[None]:
    """Where Redis does not take the mail, its message goes back to the broker, and not in a hot loop."""
    try:
        yield
    except SpoolError as error:
        time.sleep(1)
        raise Reject(str(error), requeue=True) from None
