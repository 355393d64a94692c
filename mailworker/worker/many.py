"""Many mails with one call: a list of arguments, or one mail and its recipients, in steps that are each accepted as a
whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, Final

from ..delivery.accept import to_be_accepted
from ..delivery.outbox import OutboxSpool
from ..errors import IdempotencyError, MailworkerError, ManyError
from ..mail.arguments import IN_ORDER, Call, Several
from ..mail.email import Limits
from ..spool import Accepted, New, Spool, steps
from .calls import check_times

Progress = Callable[[int, int | None], object]
"""Told how many mails are safe, and of how many where that is known."""

_EXPECTED: Final = "a dict of arguments, as {'to': …, 'subject': …, 'body': …}, or a tuple (to, subject, body)"
_EXPECTED_RECIPIENT: Final = "an address, a (to, context), or a dict of arguments"


def calls_of(name: str, items: Iterable[Any], shared: Mapping[str, Any], limits: Limits) -> Iterator[Call]:
    """What each of `items` asks for; `name` is that of the argument that holds them.

    Raises `TypeError` and `Unsendable` for what is wrong in `shared`, and `ManyError` where an item is wrong.
    """
    several = Several(shared, limits)
    iterator = iter(items)
    for index in itertools.count():
        try:
            item = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            raise ManyError(f"{name}[{index}]: what should give it raised {type(error).__name__}", index) from error
        try:
            call = several.call(_arguments(name, item))
            check_times(call)
        except (TypeError, MailworkerError) as error:
            raise ManyError(f"{name}[{index}]: {str(error).removeprefix('send_email: ')}", index) from error
        yield call


def accept_all(
    spool: Spool | OutboxSpool, name: str, calls: Iterable[Call], of: int | None, ring: Callable[[str], None],
    progress: Progress | None,
) -> list[str]:  # fmt: skip
    """The ids, in their order. Raises `ManyError`, which says how many are safe: all those of the steps before."""
    ids: list[str] = []
    for step in _steps(spool, calls, ids):
        for accepted in _accepted(spool, name, step, ids):
            ids.append(accepted.id)
            if accepted.ring:
                ring(accepted.id)
        if progress is not None:
            progress(len(ids), of)
    return ids


def send_all(name: str, calls: Iterable[Call], send: Callable[[Call], str]) -> list[str]:
    """Each is sent there and then, and nothing has a record of it. The ids. Raises `ManyError`."""
    ids: list[str] = []
    try:
        for call in calls:
            ids.append(send(call))
    except ManyError as error:
        raise error.after(ids) from error.__cause__
    except MailworkerError as error:
        raise ManyError(f"{name}[{len(ids)}]: {error}", len(ids)).after(ids) from error
    return ids


def number_of(items: Any) -> int | None:
    """None where nobody knows before the end."""
    return len(items) if isinstance(items, Sized) else None


def _steps(spool: Spool | OutboxSpool, calls: Iterable[Call], ids: list[str]) -> Iterator[list[New]]:
    """A test's outbox builds each mail at once, and is to say of which it cannot."""
    most = {"mails_at_most": 1} if isinstance(spool, OutboxSpool) else {}
    try:
        yield from steps(map(to_be_accepted, calls), **most)
    except ManyError as error:
        raise error.after(ids) from error.__cause__


def _accepted(spool: Spool | OutboxSpool, name: str, step: Sequence[New], ids: list[str]) -> Sequence[Accepted]:
    try:
        return spool.accept_many(step)
    except IdempotencyError as error:
        index = len(ids) + (error.index or 0)
        text = str(IdempotencyError(error.mail_id))
        raise ManyError(f"{name}[{index}]: {text}", index).after(ids) from error
    except MailworkerError as error:
        raise ManyError(f"{name}[{len(ids)}]: {error}", len(ids)).after(ids) from error


def _arguments(name: str, item: Any) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return item
    if name == "recipients":
        if isinstance(item, str):
            return {"to": item}
        if isinstance(item, tuple | list) and len(item) == 2:
            return {"to": item[0], "context": item[1]}
        raise TypeError(f"expected {_EXPECTED_RECIPIENT}, got {type(item).__name__}")
    if isinstance(item, tuple) and len(item) <= len(IN_ORDER):  # as Celery's `chunks` and `starmap` take them
        return dict(zip(IN_ORDER, item, strict=False))
    raise TypeError(f"expected {_EXPECTED}, got {type(item).__name__}")
