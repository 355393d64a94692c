"""Tells Flower, and whoever else listens to Celery's events, of a mail that no task of its own delivered."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from ..delivery.attempt import Attempt
from ..errors import MailDeferred, MailFailed, where
from ..outcome import Deferred, Failed, Held, OutcomeSoFar, Sent
from .names import SEND_EMAIL

logger = logging.getLogger(__name__)


def tell(app: Celery, hostname: str, attempts: Collection[Attempt], seconds: float) -> None:
    """For each mail a `send_email` under its id that this worker received, began and ended. Never raises."""
    if not attempts or not app.conf.worker_send_task_events:
        return
    try:
        with app.events.default_dispatcher(hostname=hostname, buffer_while_offline=False) as dispatcher:
            for attempt in attempts:
                dispatcher.send("task-received", uuid=attempt.id, name=SEND_EMAIL, args="()", kwargs="{}", retries=0)
                dispatcher.send("task-started", uuid=attempt.id)
                kind, fields = _end(attempt.outcome, seconds)
                dispatcher.send(kind, uuid=attempt.id, **fields)
    except (OperationalError, redis.RedisError, OSError) as error:
        logger.info("an event was lost (%s)", type(error).__name__)
    except Exception as error:  # noqa: BLE001 - a bug here must not fail a task whose mails are delivered
        logger.error("events were lost: %s", where(error))


def dead_letters(attempts: Iterable[Attempt]) -> list[Attempt]:
    """Those of a batch that a person must look at: told by their own ids, since the batch itself succeeded."""
    return [attempt for attempt in attempts if isinstance(attempt.outcome, Failed | Held)]


def summary(attempts: Iterable[Attempt]) -> dict[str, int]:
    """How many had which outcome: the result of a batch, as Flower shows it."""
    return dict(Counter(type(attempt.outcome).__name__.lower() for attempt in attempts))


def _end(outcome: OutcomeSoFar, seconds: float) -> tuple[str, dict[str, Any]]:
    match outcome:
        case Sent():
            return "task-succeeded", {"result": "None", "runtime": seconds}
        case Failed() | Held():
            error = repr(MailFailed(outcome.reason))
            return "task-failed", {"exception": error, "traceback": error}
        case _:
            error = repr(deferral(outcome))
            return "task-retried", {"exception": error, "traceback": error}


def deferral(outcome: OutcomeSoFar) -> MailDeferred:
    """What a person reads of a mail that waits: no address, and nothing that the relay said."""
    if not isinstance(outcome, Deferred):
        return MailDeferred("waits for the relay")
    said = f"{outcome.code} at {outcome.phase}" if outcome.code else f"{outcome.phase}: no reply"
    return MailDeferred(f"{said}; next attempt in {outcome.delay:.0f} s")
