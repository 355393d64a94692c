"""What a caller passes to `send_email`: its signature, which stands here alone, and what a call asks for."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from os import PathLike
from typing import Any, Final

from .email import Email, Limits, RawMail, check_recipients
from .entry import check_size
from .fields import FIELDS

Recipients = (
    str | list[str] | tuple[str, ...] | set[str] | frozenset[str] | Mapping[str, str | None] | Mapping[int, str]
)
"""An address, `Name <address>`, several of these, or {address: name}; a number as key is what PHP makes of a list."""

Attached = str | PathLike[str] | tuple[str, bytes | str] | tuple[str, bytes | str, str]
"""A path, which is read at the call; `(name, content)` or `(name, content, type)`."""


def send_email(
    to: Recipients = (),
    subject: str = "",
    body: str | None = None,
    *,
    html: str | None = None,
    cc: Recipients | None = (),
    bcc: Recipients | None = (),
    reply_to: Recipients | None = (),
    sender: str | None = None,
    return_path: str | None = None,
    headers: Mapping[str, str | list[str]] | None = None,
    attachments: Iterable[Attached] | None = (),
    inline: Mapping[str, Attached] | None = None,
    list_unsubscribe: str | list[str] | tuple[str, ...] | None = None,
    dsn: Mapping[str, str | list[str]] | None = None,
    template: str | None = None,
    context: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    send_at: datetime | float | None = None,
    expires: datetime | float | timedelta | None = None,
) -> str:
    """The signature that callers see and `from_arguments` binds with; what is called is the task of that name."""
    raise NotImplementedError


SIGNATURE: Final = inspect.signature(send_email, eval_str=True)

_PARAMETERS: Final = frozenset(SIGNATURE.parameters)
_IN_ORDER: Final = ("to", "subject", "body")
"""Those that may be passed without their names."""
_USUAL: Final = frozenset(_IN_ORDER)
_CONTENT: Final = ("body", "html", "template", "attachments", "inline")
"""One of these is there, or there is no mail."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one call asks for: a mail, and beside it what is no part of the mail."""

    mail: Email | RawMail
    id: str | None = None
    """The mail's, where the caller chose one: the same id within a day sends no second mail."""
    wait: float = 0.0
    """Seconds until the mail may go."""
    expires: int = 0
    """Unix time in ms after which it is not sent any more, 0 for never."""


def from_arguments(args: Any, kwargs: Any, limits: Limits) -> Call:
    """What the arguments of one call say. An id and a time come as options of Celery's: see `worker.calls`.

    Raises `TypeError` for wrong arguments, `Unsendable` for what can never be a mail.
    """
    passed = _passed(tuple(args or ()), kwargs or {})
    if not passed.keys() >= _USUAL:
        _check_needed(passed)
    contents = {
        field.name: field.kind.from_argument(field.name, passed[field.name])
        for field in FIELDS
        if field.name in passed and (passed[field.name] is not None or field.name in _IN_ORDER[:2])
    }
    email = Email(**{"to": (), "subject": b"", "body": None, **contents})
    check_recipients(email, limits)
    check_size(email, limits)
    return Call(email)


def _passed(args: tuple[Any, ...], kwargs: Any) -> dict[str, Any]:
    """By name what was passed. Raises `TypeError` in Python's words for what the signature has not."""
    if isinstance(kwargs, Mapping) and len(args) <= len(_IN_ORDER) and kwargs.keys() <= _PARAMETERS:
        by_position = dict(zip(_IN_ORDER, args, strict=False))
        if not by_position.keys() & kwargs.keys():
            return {**by_position, **kwargs}
    try:
        return SIGNATURE.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"send_email: {error}") from None


def _check_needed(passed: Mapping[str, Any]) -> None:
    if "to" not in passed and "cc" not in passed and "bcc" not in passed:
        raise TypeError("send_email: missing a required argument: 'to'")
    if "subject" not in passed and passed.get("template") is None:
        raise TypeError("send_email: missing a required argument: 'subject'")
    if all(passed.get(name) is None for name in _CONTENT):
        raise TypeError("send_email: missing a required argument: 'body' (or html, template, attachments)")
