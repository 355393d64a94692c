"""What a caller passes to `send_email`: its signature, which stands here alone, and what a call asks for. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .email import Email, Limits, check_recipients
from .entry import check_size
from .fields import FIELDS

Recipients = (
    str | list[str] | tuple[str, ...] | set[str] | frozenset[str] | Mapping[str, str | None] | Mapping[int, str]
)
"""An address, `Name <address>`, several of these, or {address: name}; a number as key is what PHP makes of a list."""


def send_email(to: Recipients, subject: str, body: str) -> str:
    """The signature that callers see and `from_arguments` binds with; what is called is the task of that name."""
    raise NotImplementedError


SIGNATURE: Final = inspect.signature(send_email, eval_str=True)


@dataclass(frozen=True, slots=True)
class Call:
    """What one call asks for: a mail, and beside it what is no part of the mail."""

    email: Email
    id: str | None = None
    """The mail's, where the caller chose one: the same id within a day sends no second mail."""
    wait: float = 0.0
    """Seconds until the mail may go."""


def from_arguments(args: Any, kwargs: Any, limits: Limits) -> Call:
    """What the arguments of one call say. An id and a time come as options of Celery's: see `worker.calls`.

    Raises `TypeError` for wrong arguments, `Unsendable` for what can never be a mail.
    """
    try:
        passed = SIGNATURE.bind(*(args or ()), **(kwargs or {})).arguments
    except TypeError as error:
        raise TypeError(f"send_email: {error}") from None
    email = Email(
        **{
            field.name: field.kind.from_argument(field.name, passed[field.name])
            for field in FIELDS
            if field.name in passed
        }
    )
    check_recipients(email, limits)
    check_size(email, limits)
    return Call(email)
