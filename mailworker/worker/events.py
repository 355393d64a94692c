"""Tells Flower, and whoever else listens to Celery's events, of a mail that no task of its own delivered."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from ..errors import MailDeferred, MailFailed
from ..outcome import Deferred, Failed, Held, Outcome, Returned, Sent
from .names import SEND_EMAIL

logger = logging.getLogger(__name__)


def tell(app: Celery, hostname: str, outcomes: Mapping[str, Outcome], seconds: float) -> None:
    """For each mail a `send_email` under its id that this worker received, began and ended. Never raises."""
    if not outcomes or not app.conf.worker_send_task_events:
        return
    try:
        with app.events.default_dispatcher(hostname=hostname, buffer_while_offline=False) as dispatcher:
            for mail_id, outcome in outcomes.items():
                dispatcher.send("task-received", uuid=mail_id, name=SEND_EMAIL, args="()", kwargs="{}", retries=0)
                dispatcher.send("task-started", uuid=mail_id)
                kind, fields = _end(outcome, seconds)
                dispatcher.send(kind, uuid=mail_id, **fields)
    except (OperationalError, redis.RedisError, OSError) as error:
        logger.info("an event was lost (%s)", type(error).__name__)


def dead_letters(outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Those of a batch that a person must look at: told by their own ids, since the batch itself succeeded."""
    return {mail_id: outcome for mail_id, outcome in outcomes.items() if isinstance(outcome, Failed | Held)}


def _end(outcome: Outcome, seconds: float) -> tuple[str, dict[str, Any]]:
    match outcome:
        case Sent():
            return "task-succeeded", {"result": "None", "runtime": seconds}
        case Failed() | Held():
            error = repr(MailFailed(outcome.reason))
            return "task-failed", {"exception": error, "traceback": error}
        case _:
            error = repr(deferral(outcome))
            return "task-retried", {"exception": error, "traceback": error}


def deferral(outcome: Deferred | Returned) -> MailDeferred:
    """What a person reads of a mail that waits: no address, and nothing that the relay said."""
    if isinstance(outcome, Returned):
        return MailDeferred("waits for the relay")
    said = f"{outcome.code} at {outcome.phase}" if outcome.code else f"{outcome.phase}: no reply"
    return MailDeferred(f"{said}; next attempt in {outcome.delay:.0f} s")
