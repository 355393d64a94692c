"""Is Celery told to run tasks where they are called (`task_always_eager`), in our app or in the program's own?

A program's tests say so of its own app; they mean that nothing leaves the process.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable
from functools import cache
from typing import Any, Final

from celery import Celery, _state

logger = logging.getLogger(__name__)

_NAMES: Final = ("task_always_eager", "CELERY_ALWAYS_EAGER", "CELERY_TASK_ALWAYS_EAGER")


def is_on(ours: Any) -> bool:
    """`ours` is the app of our tasks. Makes no app where the program has none."""
    if _says(ours):
        return True
    host = _state._tls.current_app or _state.default_app
    if host is not None and not _is_fallback(host):
        return _said_by(host)
    # In a thread that has no current app: whatever apps the program has.
    apps = _state._get_active_apps()
    if len(apps) == 1 and ours in apps:  # as in most programs; to walk through them takes a microsecond
        return False
    return any([_said_by(app) for app in apps if app is not ours and not _is_fallback(app)])


def _is_fallback(app: Celery) -> bool:
    """Celery makes one for whoever asks for an app and has none: that is not the program's word."""
    return app.main == "default" and not app.configured


def _said_by(host: Celery) -> bool:
    try:
        return _says(host)
    except Exception:  # noqa: BLE001 - settings that cannot be read are no matter of ours
        return False


def _says(app: Any) -> bool:
    """Celery takes 7 µs for its answer, for each mail: the usual one, that nobody ever said so, is known sooner."""
    conf = app.conf
    if app.configured and not _is_there(_names(conf.prefix), conf.maps[:-1]):
        return False
    return bool(conf.task_always_eager)


def _is_there(names: Iterable[str], maps: Iterable[Container[str]]) -> bool:
    for values in maps:
        for name in names:
            if name in values:
                return True
    return False


@cache
def _names(prefix: str | None) -> tuple[str, ...]:
    """As settings of Celery's may be called; the last of its maps has the defaults."""
    return (*((f"{prefix}TASK_ALWAYS_EAGER", f"{prefix}task_always_eager") if prefix else ()), *_NAMES)


@cache
def warn() -> None:
    """Once: in a test it is what is wanted, elsewhere it is not."""
    logger.warning(
        "Celery's task_always_eager is on: mails are kept in mailworker.testing.outbox and not sent. "
        "MAILWORKER_EAGER=send or spool lets them go"
    )
