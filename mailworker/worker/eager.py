"""Is Celery told to run tasks where they are called (`task_always_eager`), in our app or in the program's own?

A program's tests say so of its own app; they mean that nothing leaves the process.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from celery import Celery, _state

logger = logging.getLogger(__name__)


def is_on(ours: Any) -> bool:
    """`ours` is the app of our tasks. Makes no app where the program has none."""
    return bool(ours.conf.task_always_eager) or _said_by(_state._tls.current_app or _state.default_app)


def _said_by(host: Celery | None) -> bool:
    # Celery's fallback, which it makes for whoever asks for an app and has none, is not the program's word.
    if host is None or (host.main == "default" and not host.configured):
        return False
    try:
        return bool(host.conf.task_always_eager)
    except Exception:  # noqa: BLE001 - settings that cannot be read are no matter of ours
        return False


@cache
def warn() -> None:
    """Once: in a test it is what is wanted, elsewhere it is not."""
    logger.warning(
        "Celery's task_always_eager is on: mails are kept in mailworker.testing.outbox and not sent. "
        "MAILWORKER_EAGER=send or spool lets them go"
    )
