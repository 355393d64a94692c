"""Keeps mail out of what Celery says about its tasks: events, `celery inspect`, log records, message headers.

A doorbell carries no mail. A call by name (`app.send_task("mailworker.send_email", kwargs=…)`, other languages) has the
mail as its arguments, and Celery would repeat those in all these places. And any error may quote what it did not like.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from celery.worker.request import Request
from kombu.utils.objects import cached_property

from .. import runtime
from ..errors import where
from .guest import GuestAMQP
from .names import BRIDGE, DELIVER, OWN, SITE

DOORBELLS: Final = frozenset({DELIVER, BRIDGE})
"""Tasks that carry ids and nothing else. The arguments of all others are hidden: somebody may send mail in them."""
HIDDEN: Final = "(hidden)"
HARMLESS: Final = frozenset({
    "MailDeferred", "MailFailed", "Retry", "SoftTimeLimitExceeded", "SpoolError", "Terminated", "TimeLimitExceeded",
    "WorkerLostError",
})  # fmt: skip
"""Errors whose text is known to hold no address. Of any other only the name is shown."""


def redacted_arguments(arguments: Sequence[Any] | Mapping[str, Any] | None) -> str:
    """What is shown for a task's arguments: that there are none, or that they are hidden."""
    if arguments:
        return HIDDEN
    return "{}" if isinstance(arguments, Mapping) else "()"


def redacted_error(exception: str) -> str:
    """The `repr` of an exception, without its text where that might quote a mail."""
    name = exception.partition("(")[0]
    return exception if name in HARMLESS else f"{name}({HIDDEN})"


class UnreadableMessages(logging.Filter):
    """On the logger to which Celery writes a message that it cannot read, with all of its contents. Leaves out the
    contents."""

    LOGGER = "celery.worker.consumer.consumer"

    def filter(self, record: logging.LogRecord) -> bool:
        text = str(record.msg)
        if "full contents of the message" in text or text.startswith("Can't decode message body"):
            first = text.splitlines()[0].partition("%")[0].rstrip(": ")
            kind = repr(record.args[0]) if "unregistered" in first and isinstance(record.args, tuple) else ""
            record.msg, record.args, record.exc_info = f"{first} {kind} (its contents are not shown)", (), None
        return True


class FailedTasks(logging.Filter):
    """On the logger to which Celery writes that a task raised. Of a bug of ours it leaves the kind, files, lines and
    functions, and not the text, which may quote a mail."""

    LOGGER = "celery.app.trace"

    def filter(self, record: logging.LogRecord) -> bool:
        args = record.args
        if not isinstance(args, Mapping) or not str(args.get("name")).startswith("mailworker."):
            return True
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None and type(error).__name__ not in HARMLESS:
            record.args = {**args, "exc": where(error)}
            record.exc_info = record.exc_text = None
            record.data = record.args
        return True


def redact_the_log() -> None:
    """For the whole process, so a worker of ours does it and nobody else."""
    for redactor in (UnreadableMessages(), FailedTasks()):
        logging.getLogger(redactor.LOGGER).addFilter(redactor)


class PrivateRequest(Request):  # type: ignore[misc]  # celery has no types
    """A task in a worker: what it tells of itself holds no mail. The task itself gets everything."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # Whoever sent it: no doorbell expires, waits in a worker, or ends a child that has a mail in hand.
        headers = options["headers"]
        times = {"mail_eta": headers.get("eta"), "mail_expires": headers.get("expires")}
        headers = {**headers, **times, "eta": None, "expires": None, "timelimit": (None, None)}
        headers["shadow"] = None  # a name that the log and Flower would show
        super().__init__(*args, **(options | {"headers": headers}))
        if self.type not in DOORBELLS:
            self._argsrepr = redacted_arguments(self.args)
            self._kwargsrepr = redacted_arguments(self.kwargs)
            self.request_dict.update(argsrepr=self._argsrepr, kwargsrepr=self._kwargsrepr)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        # Receivers of Celery's signal look at the task's request; Celery shows it to them after a lost child alone.
        self.task.request_stack.push(self._context)
        try:
            super().on_timeout(soft, timeout)
        finally:
            self.task.request_stack.pop()

    def info(self, safe: bool = False) -> dict[str, Any]:
        return dict(super().info(safe=True if self.type not in DOORBELLS else safe))

    def send_event(self, type: str, **fields: Any) -> None:
        if "exception" in fields:
            redacted = redacted_error(fields["exception"])
            if redacted != fields["exception"]:  # the last line of a traceback is the error's text
                fields["traceback"] = redacted
            fields["exception"] = redacted
        super().send_event(type, **fields)


class PrivateAMQP(GuestAMQP):
    """What this app's producers publish: neither the headers of a message nor its `task-sent` event repeat the mail."""

    def as_task_v2(
        self, task_id: str, name: str, args: Any = None, kwargs: Any = None, *more: Any, **options: Any
    ) -> Any:
        if name not in DOORBELLS:
            options.update(argsrepr=redacted_arguments(args or ()), kwargsrepr=redacted_arguments(kwargs or {}))
        message = super().as_task_v2(task_id, name, args, kwargs, *more, **options)
        if self._prefix != OWN:
            message.headers[SITE] = self._prefix
        return message

    @cached_property
    def _prefix(self) -> str:
        return runtime.settings().spool_prefix
