"""What a caller passes to `send_email`: its signature, which stands here alone, and what a call asks for."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from os import PathLike
from typing import Any, Final, TypedDict

from . import entry, frame, keys, moments
from .complete import finished, rendered
from .email import Email, Limits, RawMail, check_recipients
from .fields import FIELDS
from .known_files import KnownFiles

Recipients = (
    str
    | list[str]
    | tuple[str, ...]
    | set[str]
    | frozenset[str]
    | Iterator[str]
    | Mapping[str, str | None]
    | Mapping[int, str]
)
"""An address, `Name <address>`, several of these, or {address: name}; a number as key is what PHP makes of a list."""

Attached = (
    str | PathLike[str] | Message | tuple[str, bytes | str] | tuple[str | None, bytes | str | Message, str | None]
)
"""A path, which is read at the call; `(name, content)` or `(name, content, type)`; a message."""


class Mail(TypedDict, total=False):
    """The arguments of one mail, for `send_email.many`."""

    to: Recipients
    subject: str
    body: str | None
    html: str | None
    cc: Recipients | None
    bcc: Recipients | None
    reply_to: Recipients | None
    sender: str | None
    return_path: str | None
    headers: Mapping[str, str | list[str]] | None
    attachments: Iterable[Attached] | None
    inline: Mapping[str, Attached] | None
    list_unsubscribe: str | list[str] | tuple[str, ...] | None
    dsn: Mapping[str, str | list[str]] | None
    template: str | None
    context: Mapping[str, Any] | None
    idempotency_key: str | None
    send_at: datetime | timedelta | float | str | None
    expires: datetime | timedelta | float | str | None


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
    send_at: datetime | timedelta | float | str | None = None,
    expires: datetime | timedelta | float | str | None = None,
) -> str:
    """The signature that callers see and `from_arguments` binds with; what is called is the task of that name."""
    raise NotImplementedError


SIGNATURE: Final = inspect.signature(send_email, eval_str=True)

_PARAMETERS: Final = frozenset(SIGNATURE.parameters)
IN_ORDER: Final = tuple(
    name for name, parameter in SIGNATURE.parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
)
"""Those that may be passed without their names."""
_USUAL: Final = frozenset(IN_ORDER)
_CONTENT: Final = ("html", "template", "attachments", "inline")
"""One of these is there, or a body, or there is no mail."""
_READERS: Final = {field.name: field.kind.from_argument for field in FIELDS}
_READERS_OF_MESSAGE: Final = {
    field.name: getattr(field.kind, "from_message", field.kind.from_argument) for field in FIELDS
}


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
    compared: bool = True
    """Is another mail under the same id an error?"""


def from_arguments(args: Any, kwargs: Any, limits: Limits, from_message: bool = False) -> Call:
    """What the arguments of one call say. `from_message` where another program wrote them: no path of its is read.

    Raises `TypeError` for wrong arguments, `Unsendable` for what can never be a mail.
    """
    passed = _passed(tuple(args or ()), kwargs or {})
    if passed.keys() == _USUAL and passed["body"] is not None:
        return Call(_plain(passed, limits))
    return _any(passed, limits, _READERS_OF_MESSAGE if from_message else _READERS)


class Several:
    """Calls that have some arguments in common, each of which is read once."""

    def __init__(self, shared: Mapping[str, Any], limits: Limits) -> None:
        """Raises as `from_arguments`."""
        self._shared = _passed((), shared)
        self._limits = limits
        self._files = KnownFiles(limits)
        known = {
            name: read(name, value, limits)
            for name, read in _READERS.items()
            if (value := self._shared.get(name)) is not None
        }
        self._readers = {name: _known(known[name]) if name in known else read for name, read in _READERS.items()}

    def call(self, own: Mapping[str, Any]) -> Call:
        """Of the arguments that only this one has, in which a file may be one of an earlier call. They count where an
        argument is there twice; a context has the variables of both. Raises as `from_arguments`."""
        passed = _passed((), own)
        common, own_context = self._shared.get("context"), passed.get("context")
        if isinstance(common, Mapping) and isinstance(own_context, Mapping):
            passed["context"] = {**common, **own_context}
        own_readers = {name: _READERS[name] for name in passed if name in _READERS}
        readers = {**self._readers, **own_readers} if own_readers else self._readers
        return _any({**self._shared, **self._files.looked_up(passed)}, self._limits, readers)


def _known(content: Any) -> Any:
    return lambda name, value, limits: content


def _any(passed: Mapping[str, Any], limits: Limits, readers: Mapping[str, Any]) -> Call:
    passed = {name: value for name, value in passed.items() if value is not None or name in IN_ORDER[:2]}
    _check_needed(passed)
    passed = rendered(passed, limits)
    email = _email(passed, limits, readers)
    check_recipients(email, limits)
    (entry if frame.is_plain(email) else frame).check_size(email, limits)
    return call_of(email, passed)


def _passed(args: tuple[Any, ...], kwargs: Any) -> dict[str, Any]:
    """By name what was passed. Raises `TypeError` in Python's words for what the signature has not."""
    if isinstance(kwargs, Mapping) and len(args) <= len(IN_ORDER) and kwargs.keys() <= _PARAMETERS:
        by_position = dict(zip(IN_ORDER, args, strict=False))
        if not by_position.keys() & kwargs.keys():
            return {**by_position, **kwargs}
    try:
        return SIGNATURE.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"send_email: {error}") from None


def _check_needed(passed: Mapping[str, Any]) -> None:
    if passed.keys().isdisjoint(("to", "cc", "bcc")):
        raise TypeError("send_email: missing a required argument: 'to'")
    if "subject" not in passed and "template" not in passed:
        raise TypeError("send_email: missing a required argument: 'subject'")
    if "body" not in passed and not any(passed.get(name) for name in _CONTENT):
        raise TypeError("send_email: missing a required argument: 'body' (or html, template, attachments)")


def _plain(passed: Mapping[str, Any], limits: Limits) -> Email:
    """The usual mail, which most are."""
    email = Email(*[_READERS[name](name, passed[name], limits) for name in IN_ORDER])
    check_recipients(email, limits)
    entry.check_size(email, limits)
    return email


def _email(passed: Mapping[str, Any], limits: Limits, readers: Mapping[str, Any]) -> Email:
    contents: dict[str, Any] = {"to": (), "subject": b"", "body": None}
    for name, read in readers.items():
        if name in passed:
            contents[name] = read(name, passed[name], limits)
    return finished(Email(**contents), "body" in passed)


def call_of(mail: Email | RawMail, passed: Mapping[str, Any]) -> Call:
    """The mail, with what was passed beside it: `idempotency_key`, `send_at`, `expires`. Raises `TypeError`,
    `Unsendable`."""
    now = datetime.now(UTC)
    key, send_at, expires = (passed.get(name) for name in ("idempotency_key", "send_at", "expires"))
    return Call(
        mail,
        None if key is None else keys.id_of_key("idempotency_key", key),
        0.0 if send_at is None else max(0.0, moments.from_now("send_at", send_at, now)),
        0 if expires is None else moments.unix_ms("expires", expires, now),
    )
