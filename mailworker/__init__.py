"""Drains a legacy PHP mail list in Redis into Celery and delivers it over SMTP without losing a mail.

New code: `from mailworker import send_email; send_email.delay(to=…, subject=…, body=…)`.
Operators: `celery -A mailworker worker`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import (
        IdempotencyError,
        MailDeferred,
        MailFailed,
        MailworkerError,
        ManyError,
        SettingsError,
        SmtpError,
        SpoolError,
        TemplateError,
        Unsendable,
    )
    from .mail.arguments import Mail
    from .worker.app import app
    from .worker.tasks import send_email, send_raw

__version__ = "0.1.0"
__all__ = [
    "IdempotencyError",
    "Mail",
    "MailDeferred",
    "MailFailed",
    "MailworkerError",
    "ManyError",
    "SettingsError",
    "SmtpError",
    "SpoolError",
    "TemplateError",
    "Unsendable",
    "__version__",
    "app",
    "send_email",
    "send_raw",
]

_ERRORS = "mailworker.errors"
_LAZY = {
    "Mail": "mailworker.mail.arguments",
    "app": "mailworker.worker.app",
    "send_email": "mailworker.worker.tasks",
    "send_raw": "mailworker.worker.tasks",
}


def __getattr__(name: str) -> Any:
    """Celery is loaded, and the settings are read, when the app or the task is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY.get(name, _ERRORS)), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
