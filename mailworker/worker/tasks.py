"""The three Celery tasks. Each hands its work to a module that knows nothing of Celery."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, ParamSpec

from celery import Task
from celery.exceptions import Retry

from .. import runtime, stopping
from ..delivery import bridge as bridging
from ..delivery.attempt import Attempt
from ..errors import MailFailed, SpoolError
from ..mail import arguments
from ..outcome import Deferred, Failed, Held, OutcomeSoFar, Returned
from ..spool.redis_errors import words
from . import carriers, events, sent_by_name
from .app import app
from .names import BRIDGE, DELIVER, OWN, PRIVATE_REQUEST, SEND_EMAIL, SITE
from .raw_sender import SendRaw
from .spooling_task import SendEmail, send_directly

logger = logging.getLogger(__name__)

P = ParamSpec("P")


def _typed(signature: Callable[P, str]) -> Callable[[Callable[..., Any]], SendEmail[P]]:
    """Declares the task of that signature: callers are shown it, and held to it."""
    return app.task(  # type: ignore[no-any-return]
        bind=True, base=SendEmail, name=SEND_EMAIL, throws=(MailFailed, SpoolError), shared=False
    )


@_typed(arguments.send_email)
def send_email(self: Task, *args: Any, **kwargs: Any) -> str | None:
    """Sends a mail: `send_email.delay(to=…, subject=…, body=…)` keeps it in the spool and returns.

    to, cc, bcc, reply_to: an address, `Name <address>`, a list of these, or {address: name}
    subject, body, html:   str. Of HTML alone a text part is made; with body="" there is none
    sender, return_path:   the author, where it is not the site's; MAIL FROM, "" for the null sender
    attachments:           a list of paths, (name, content), (name, content, type)
    inline:                {cid: path or tuple}, which the HTML shows as `cid:…`
    headers:               {name: value or list of values}
    list_unsubscribe:      https: and mailto: URLs, for one click
    dsn:                   {"notify": "NEVER", or of "SUCCESS", "FAILURE", "DELAY"; "ret": "FULL" or "HDRS"}
    template, context:     a name in MAILWORKER_TEMPLATES, and its variables
    idempotency_key:       str: the same key within a day is one mail
    send_at, expires:      a datetime with a time zone, or seconds from now

    Raises `TypeError` for wrong arguments, `Unsendable` for what can never be a mail, `IdempotencyError` for another
    mail under the same key, and `SpoolError` where Redis did not take it.

    `send_email(…)` sends there and then and returns the Message-ID. Nobody tries again: it raises `MailFailed` where
    the relay refuses for good, `MailDeferred` where it refuses for now, and `SmtpError` where there is no session.
    """
    if self.request.called_directly or self.request.is_eager:
        return send_directly(args, kwargs, app)
    mail_id = sent_by_name.id_of(self.request.id)
    if args or kwargs:  # sent by name, with the mail in the message
        with sent_by_name.back_unless_spooled():
            mail_id = sent_by_name.accept(mail_id, args, kwargs, sent_by_name.times_of(self.request)).id
    elif not _for_this_site(self):
        return None
    attempt = _deliver([mail_id]).get(mail_id)
    if attempt is not None:
        _tell_celery(attempt.outcome)
    return None


send_raw: Final = SendRaw(send_email)


@app.task(bind=True, name=DELIVER, Request=PRIVATE_REQUEST, throws=(SpoolError,), shared=False)
def deliver(self: Task, ids: list[str]) -> dict[str, int]:
    """Delivers these mails of the spool. Returns how many had which outcome."""
    if not _for_this_site(self) or not isinstance(ids, list):
        return {}
    begun = time.monotonic()
    attempts = _deliver([mail_id for mail_id in ids if isinstance(mail_id, str)]).values()
    events.tell(app, self.request.hostname, events.dead_letters(attempts), time.monotonic() - begun)
    return events.summary(attempts)


@app.task(bind=True, name=BRIDGE, Request=PRIVATE_REQUEST, send_events=False, throws=(SpoolError,), shared=False)
def bridge(self: Task, token: str) -> None:
    """Claims what waits in the legacy lists and what is due, and rings for it. A lone mail it delivers itself."""
    if not _for_this_site(self) or not isinstance(token, str) or not token:
        return
    if stopping.begun():
        bridging.free_lock(runtime.spool(), token)  # the lock is another worker's now
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


def _tell_celery(outcome: OutcomeSoFar) -> None:
    """So that Flower shows a deferred mail as RETRY and a failed one as FAILURE."""
    match outcome:
        case Failed() | Held():
            raise MailFailed(outcome.reason)
        case Deferred() | Returned():
            raise Retry(exc=events.deferral(outcome), when=outcome.delay)


def _ring(mail_id: str) -> None:
    """Names the task when it is called: to look at it here would make it, before a site's own file is on top."""
    send_email.ring(mail_id)


carriers.register(app, _ring)
