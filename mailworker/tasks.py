"""The three Celery tasks. Each hands its work to a module that knows nothing of Celery."""

from __future__ import annotations

import inspect
import json
import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from celery import Task
from celery.exceptions import Reject, Retry
from celery.result import AsyncResult
from kombu.exceptions import OperationalError
from kombu.utils.uuid import uuid

from . import bridge as bridging
from . import deliver as delivering
from . import events, message, runtime
from .application import app
from .direct import send_now
from .errors import MailFailed, SpoolError, Unsendable
from .message import Email
from .retry import Failed, Held, Outcome, Sent

logger = logging.getLogger(__name__)


def _arguments(to: Any, subject: Any, body: Any) -> None:
    """The signature of `send_email`, to bind what a caller passes."""


_SIGNATURE = inspect.signature(_arguments)

PRIVATE = "mailworker.privacy:PrivateRequest"


class SendEmail(Task):  # type: ignore[misc]  # celery has no types
    """Checks the arguments where it is called, spools the mail, then rings: the message carries the id alone."""

    typing = False
    Request = PRIVATE

    def apply_async(
        self, args: Any = None, kwargs: Any = None, task_id: str | None = None, producer: Any = None,
        link: Any = None, link_error: Any = None, shadow: str | None = None, countdown: float | None = None,
        eta: datetime | None = None, expires: Any = None, **options: Any,
    ) -> AsyncResult:  # fmt: skip
        """`task_id` is the mail's id: the same id within a day sends no second mail. `countdown` and `eta` wait in
        the spool.

        Raises `TypeError` for wrong arguments, `Unsendable` for what can never be a mail, `SpoolError` when the
        mail could not be made safe.
        """
        email = self._email(args, kwargs)
        if expires is not None:
            raise TypeError("expires: a mail that was accepted is sent or becomes a dead letter")
        if self.app.conf.task_always_eager:
            return super().apply_async(args, kwargs, task_id=task_id, **options)
        mail_id = task_id or uuid()
        delay = countdown or (max(0.0, (_aware(eta) - datetime.now(UTC)).total_seconds()) if eta else 0.0)
        if runtime.spool().put(mail_id, _payload(email), delay, keyed=task_id is not None):
            self.ring(mail_id, producer=producer, link=link, link_error=link_error, shadow=shadow, **options)
        return self.AsyncResult(mail_id)

    def ring(self, mail_id: str, **options: Any) -> None:
        """A doorbell for a mail that is in the spool. Never raises: a doorbell that is lost is rung again."""
        try:
            super().apply_async((), {}, task_id=mail_id, **options)
        except OperationalError as error:
            logger.warning("the broker does not answer (%s); the mail is safe and goes later", type(error).__name__)

    def _email(self, args: Any, kwargs: Any) -> Email:
        try:
            bound = _SIGNATURE.bind(*(args or ()), **(kwargs or {}))
        except TypeError as error:
            raise TypeError(f"send_email: {error}") from None
        return message.from_arguments(**bound.arguments, limits=runtime.settings().limits)


@app.task(bind=True, base=SendEmail, name="mailworker.send_email", throws=(MailFailed,), shared=False)
def send_email(self: SendEmail, *args: Any, **kwargs: Any) -> str | None:
    """`send_email.delay(to=…, subject=…, body=…)`; `to` is an address, `Name <address>`, a list, or {address: name}.

    Called directly it sends there and then and returns the Message-ID; see `direct.send_now` for what it raises.
    """
    if self.request.called_directly or self.request.is_eager:
        return send_now(self._email(args, kwargs), runtime.settings())
    mail_id: str = self.request.id
    if args or kwargs:  # sent by name with the mail as arguments: first of all it is made safe
        try:
            _spool_arguments(self, mail_id, args, kwargs)
        except SpoolError as error:  # the mail is in the message alone: back with it, and not in a hot loop
            time.sleep(1)
            raise Reject(str(error), requeue=True) from None
    outcome = _deliver([mail_id]).get(mail_id)
    _tell_celery(outcome)
    return None


def _spool_arguments(task: SendEmail, mail_id: str, args: Any, kwargs: Any) -> None:
    """Raises `MailFailed` for what can never be a mail, once it is a dead letter with the arguments as they came."""
    try:
        payload = _payload(task._email(args, kwargs))
    except (TypeError, Unsendable) as error:
        reason = error.reason if isinstance(error, Unsendable) else "bad_arguments"
        runtime.spool().put(mail_id, json.dumps({"args": args, "kwargs": kwargs}).encode("utf-8"), keyed=True)
        with runtime.desks().sit() as desk:
            delivering.refuse(runtime.office(), desk, mail_id, reason, str(error))
        raise MailFailed(reason) from None
    runtime.spool().put(mail_id, payload, keyed=True)


@app.task(bind=True, name="mailworker.deliver", Request=PRIVATE, shared=False)
def deliver(self: Task, ids: list[str]) -> dict[str, int]:
    """Delivers these mails of the spool. Returns how many had which outcome."""
    begun = time.monotonic()
    outcomes = _deliver(ids)
    events.tell(app, self.request.hostname, events.dead_letters(outcomes), time.monotonic() - begun)
    summary: dict[str, int] = {}
    for outcome in outcomes.values():
        name = type(outcome).__name__.lower()
        summary[name] = summary.get(name, 0) + 1
    return summary


@app.task(bind=True, name="mailworker.bridge", Request=PRIVATE, send_events=False, shared=False)
def bridge(self: Task, token: str) -> None:
    """Claims what waits in the legacy lists and what is due, and rings for it. A lone mail it delivers itself."""
    if runtime.stopping():
        runtime.spool().release(token, died=False)  # the ring is another worker's now
        return
    with runtime.desks().sit() as desk:
        rest = bridging.run(runtime.spool(), desk.owner, token, _ring_for, runtime.stopping)
        if rest.again:
            ring_bridge(desk.owner)
    if rest.lone is not None:
        begun = time.monotonic()
        events.tell(app, self.request.hostname, _deliver([rest.lone]), time.monotonic() - begun)


def _ring_for(doorbells: Iterable[list[str]]) -> None:
    with app.producer_or_acquire() as producer:
        for ids in doorbells:
            if len(ids) == 1:
                send_email.ring(ids[0], producer=producer)
            else:
                deliver.apply_async((ids,), producer=producer)


def ring_bridge(token: str) -> None:
    """Never raises: the ring ends by itself, and a watcher rings again."""
    try:
        bridge.apply_async((token,))
    except OperationalError as error:
        logger.warning("the broker does not answer (%s)", type(error).__name__)


def _deliver(ids: list[str]) -> dict[str, Outcome]:
    with runtime.desks().sit() as desk:
        return delivering.deliver(runtime.office(), desk, ids, ring_bridge)


def _tell_celery(outcome: Outcome | None) -> None:
    """So that Flower shows a deferred mail as RETRY and a failed one as FAILURE."""
    match outcome:
        case None | Sent():
            return
        case Failed() | Held():
            raise MailFailed(outcome.reason)
        case _:
            raise Retry(exc=events.deferral(outcome), when=outcome.delay)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _payload(email: Email) -> bytes:
    """The mail as JSON of the legacy shape."""
    recipients = {mailbox.address: mailbox.name.decode("utf-8") or None for mailbox in email.to}
    fields = {"to": recipients, "subject": email.subject.decode("utf-8"), "body": email.body.decode("utf-8")}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
