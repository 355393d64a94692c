"""The three Celery tasks. Each hands its work to a module that knows nothing of Celery."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

from celery import Task, states
from celery.exceptions import Reject, Retry
from celery.result import AsyncResult, EagerResult
from kombu.utils.uuid import uuid

from .. import runtime, stopping
from ..delivery import bridge as bridging
from ..delivery.attempt import Attempt
from ..delivery.direct import send_now
from ..errors import MailFailed, SpoolError, Unsendable
from ..mail import arguments, entry
from ..mail.email import Email
from ..outcome import Deferred, Failed, Held, Returned, Step
from ..spool import Accepted
from ..spool.redis_errors import words
from . import calls, events
from .app import app
from .names import BRIDGE, DELIVER, OWN, SEND_EMAIL, SITE

logger = logging.getLogger(__name__)


PRIVATE = "mailworker.worker.privacy:PrivateRequest"


class SendEmail(Task):  # type: ignore[misc]  # celery has no types
    """Checks the arguments where it is called, spools the mail, then rings: the message carries the id alone."""

    typing = False
    Request = PRIVATE

    def apply_async(
        self, args: Any = None, kwargs: Any = None, task_id: str | None = None, countdown: float | None = None,
        eta: datetime | None = None, **options: Any,
    ) -> AsyncResult:  # fmt: skip
        """`task_id` is the mail's id: the same id within a day sends no second mail. `countdown` and `eta` wait in
        the spool. Of other options see `calls`.

        Raises `TypeError` for wrong arguments, `Unsendable` for what can never be a mail, `SpoolError` when the
        mail could not be made safe.
        """
        calls.check(options)
        chosen, wait = calls.mail_id(task_id), calls.delay(countdown, eta, datetime.now(UTC))
        email = self._email(args, kwargs)
        if self.app.conf.task_always_eager:
            return self._send_eagerly(email, chosen)
        accepted = runtime.spool().accept(chosen or uuid(), entry.to_entry(email), wait, keyed=chosen is not None)
        if accepted.ring:
            self.ring(accepted.id)
        result = self.AsyncResult(accepted.id)
        result.ignored = True  # what became of a mail is in the spool: nobody waits for it here
        return result

    def ring(self, mail_id: str, **options: Any) -> None:
        """A doorbell for a mail that is in the spool. Never raises: a doorbell that is lost is rung again."""
        try:
            super().apply_async((), {}, task_id=mail_id, **options)
        except Exception as error:  # noqa: BLE001 - the mail is safe: to its sender this is no failure
            logger.warning("the broker does not take the doorbell (%s); the mail is safe and goes later", words(error))

    def apply(self, args: Any = None, kwargs: Any = None, task_id: str | None = None, **options: Any) -> EagerResult:
        """Sends there and then, as a direct call does, and raises what that raises: nothing has a record of it."""
        calls.check(options)
        return self._send_eagerly(self._email(args, kwargs), calls.mail_id(task_id))

    def _send_eagerly(self, email: Email, task_id: str | None) -> EagerResult:
        return EagerResult(task_id or uuid(), _send_now(email), states.SUCCESS, name=self.name)

    def _email(self, args: Any, kwargs: Any) -> Email:
        return arguments.email_of(args, kwargs, runtime.settings().limits)


def _send_now(email: Email) -> str:
    settings = runtime.settings()
    return send_now(email, settings.mail_from, settings.relay, settings.retries)


def _refusing(method: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise calls.refuse(method)

    return refuse


for _method in calls.CANVAS:
    setattr(SendEmail, _method, _refusing(_method))


@app.task(bind=True, base=SendEmail, name=SEND_EMAIL, throws=(MailFailed, SpoolError), shared=False)
def send_email(self: SendEmail, *args: Any, **kwargs: Any) -> str | None:
    """`send_email.delay(to=…, subject=…, body=…)`; `to` is an address, `Name <address>`, a list, or {address: name}.

    Called directly it sends there and then and returns the Message-ID; see `direct.send_now` for what it raises.
    """
    if self.request.called_directly or self.request.is_eager:
        return _send_now(self._email(args, kwargs))
    mail_id = arguments.readable(self.request.id)
    if args or kwargs:  # sent by name with the mail as arguments: first of all it is made safe
        with _back_unless_spooled():
            mail_id = _spool_arguments(self, mail_id, args, kwargs).id
    elif not _for_this_site(self):
        return None
    attempt = _deliver([mail_id]).get(mail_id)
    if attempt is not None:
        _tell_celery(attempt.outcome)
    return None


def _spool_arguments(task: Task, mail_id: str, args: Any, kwargs: Any) -> Accepted:
    """What is safe now, and whether it has to be rung for.

    Raises `MailFailed` for what can never be a mail, once it is a dead letter with the arguments as they came.
    """
    try:
        payload = entry.to_entry(send_email._email(args, kwargs))
    except (TypeError, Unsendable) as error:
        reason = error.reason if isinstance(error, Unsendable) else "bad_arguments"
        accepted = runtime.spool().accept(mail_id, arguments.as_they_came(args, kwargs), keyed=True)
        if accepted.new:  # another one that waits under this id may be a good mail
            with runtime.slots().take() as slot:
                runtime.delivery().refuse(slot, accepted.id, reason, str(error))
        raise MailFailed(reason) from None
    try:
        wait = calls.delay(None, task.request.get("mail_eta"), datetime.now(UTC))
    except TypeError:
        wait = 0.0
    return runtime.spool().accept(mail_id, payload, wait, keyed=True)


@contextlib.contextmanager
def _back_unless_spooled() -> Iterator[None]:
    """The mail is in the message alone: where Redis does not take it, back with it, and not in a hot loop."""
    try:
        yield
    except SpoolError as error:
        time.sleep(1)
        raise Reject(str(error), requeue=True) from None


def _spool_what_canvas_carries(sender: Any, **_: Any) -> None:
    """`celery.map` and its like, sent by name from another program, would call `send_email` there and then, without a
    record, and end at the first mail that fails. Here each mail has its own record."""
    for name, starred in arguments.CARRIERS.items():
        sender.tasks.pop(name, None)
        sender.task(bind=True, name=name, Request=PRIVATE, shared=False, lazy=False)(_spooling(starred))


def _spooling(starred: bool) -> Callable[..., None]:
    def spool_each(self: Task, task: Any, it: Any, *_: Any) -> None:
        if not isinstance(task, dict) or task.get("task") != send_email.name:
            raise TypeError("mailworker runs no tasks but its own")
        with _back_unless_spooled():
            for mail_id, args in arguments.each(self.request.id, it, starred):
                with contextlib.suppress(MailFailed):  # it is a dead letter, and the next one goes on
                    accepted = _spool_arguments(self, mail_id, args, {})
                    if accepted.ring:
                        send_email.ring(accepted.id)

    return spool_each


if app.finalized:  # in a worker, before it loads its tasks
    _spool_what_canvas_carries(app)
else:  # Celery registers its own of these names when the app is finalized
    app.on_after_finalize.connect(_spool_what_canvas_carries, weak=False)


@app.task(bind=True, name=DELIVER, Request=PRIVATE, throws=(SpoolError,), shared=False)
def deliver(self: Task, ids: list[str]) -> dict[str, int]:
    """Delivers these mails of the spool. Returns how many had which outcome."""
    if not _for_this_site(self) or not isinstance(ids, list):
        return {}
    begun = time.monotonic()
    attempts = _deliver([mail_id for mail_id in ids if isinstance(mail_id, str)]).values()
    events.tell(app, self.request.hostname, events.dead_letters(attempts), time.monotonic() - begun)
    return events.summary(attempts)


@app.task(bind=True, name=BRIDGE, Request=PRIVATE, send_events=False, throws=(SpoolError,), shared=False)
def bridge(self: Task, token: str) -> None:
    """Claims what waits in the legacy lists and what is due, and rings for it. A lone mail it delivers itself."""
    if not _for_this_site(self) or not isinstance(token, str) or not token:
        return
    if stopping.begun():
        bridging.give_back(runtime.spool(), token)  # the lock is another worker's now
        return
    with runtime.slots().take() as slot:
        rest = bridging.run(runtime.spool(), slot.owner, token, _ring_for, stopping.begun)
        if rest.again:
            ring_bridge(slot.owner)
    if rest.lone is not None:
        begun = time.monotonic()
        attempts = _deliver([rest.lone]).values()
        events.tell(app, self.request.hostname, attempts, time.monotonic() - begun)


def _ring_for(doorbells: Iterable[list[str]]) -> None:
    with app.producer_or_acquire() as producer:
        for ids in doorbells:
            if len(ids) == 1:
                send_email.ring(ids[0], producer=producer)
            else:
                deliver.apply_async((ids,), producer=producer)


def ring_bridge(token: str) -> None:
    """Never raises: the lock ends by itself, and a watcher rings again."""
    try:
        bridge.apply_async((token,))
    except Exception as error:  # noqa: BLE001 - whatever the broker says
        logger.warning("the broker does not take the doorbell (%s)", words(error))


def _for_this_site(task: Task) -> bool:
    """Not where another site's worker rang: ids that a program chose may be known to both."""
    return bool(task.request.get(SITE, OWN) == runtime.settings().spool_prefix)


def _deliver(ids: list[str]) -> dict[str, Attempt]:
    if not ids:
        return {}
    with runtime.slots().take() as slot:
        return runtime.delivery().deliver(slot, ids, ring_bridge)


def _tell_celery(outcome: Step) -> None:
    """So that Flower shows a deferred mail as RETRY and a failed one as FAILURE."""
    match outcome:
        case Failed() | Held():
            raise MailFailed(outcome.reason)
        case Deferred() | Returned():
            raise Retry(exc=events.deferral(outcome), when=outcome.delay)
