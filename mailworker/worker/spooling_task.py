"""What `from mailworker import send_email` gives: Celery's ways to call a task, each of which spools the mail first."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, ParamSpec, Protocol, Unpack, overload

from celery import Task, states
from celery.result import EagerResult
from kombu.utils.uuid import uuid

from .. import runtime
from ..delivery.accept import accept
from ..delivery.direct import send_now
from ..mail.arguments import SIGNATURE, Call, Mail, Recipients
from ..spool.redis_errors import words
from . import calls, eager, many
from .celery_settings import follow
from .names import PRIVATE_REQUEST

logger = logging.getLogger(__name__)

P = ParamSpec("P")


class MailResult(Protocol):
    """Celery's `AsyncResult` of a mail, as far as it says something: what became of the mail is in the spool."""

    id: str
    """The mail's id, under which the log and `mailworker` show it."""

    def get(self, timeout: float | None = None) -> str | None:
        """Returns at once, and None: nobody waits here for a mail."""


class MailResults(Sequence[MailResult]):
    """The results of many mails, in their order."""

    def __init__(self, task: Task, ids: Sequence[str]) -> None:
        self._task = task
        self.ids = tuple(ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<MailResults: {len(self.ids)} mails>"

    @overload
    def __getitem__(self, index: int) -> MailResult: ...

    @overload
    def __getitem__(self, index: slice) -> MailResults: ...

    def __getitem__(self, index: int | slice) -> MailResult | MailResults:
        if isinstance(index, slice):
            return MailResults(self._task, self.ids[index])
        return _result(self._task, self.ids[index])


def _result(task: Task, mail_id: str) -> MailResult:
    result = task.AsyncResult(mail_id)
    result.ignored = True  # what became of a mail is in the spool: nobody waits for it here
    return result  # type: ignore[no-any-return]


class SendEmail(Task, Generic[P]):  # type: ignore[misc]  # celery has no types
    """Checks the arguments where it is called, spools the mail, then rings: the message carries the id alone."""

    typing = False
    Request = PRIVATE_REQUEST
    __signature__ = SIGNATURE

    if TYPE_CHECKING:  # what runs is Celery's: a worker takes a task with a `__call__` of its own for called directly

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> str: ...

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> MailResult:
        """When it returns, the mail is in the spool. Raises what `apply_async` raises."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: tuple[Any, ...] | list[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        countdown: float | timedelta | None = None,
        eta: datetime | str | None = None,
        expires: datetime | timedelta | float | str | None = None,
        **options: Any,
    ) -> MailResult:
        """`task_id` is the mail's id: the same id within a day sends no second mail. `countdown` and `eta` wait in
        the spool; after `expires` the mail is a dead letter. Of other options see `calls`.

        Raises `TypeError` for wrong arguments, `Unsendable` for what can never be a mail, `IdempotencyError` for
        another mail under the same id, `SpoolError` when the mail could not be made safe.
        """
        calls.check(options)
        return self.take(_read(args, kwargs, task_id, (countdown, eta, expires)))

    def take(self, call: Call) -> MailResult:
        """As `apply_async`, of a call that was read."""
        if self.is_eager():
            return self._send_eagerly(call)
        accepted = accept(runtime.intake(), call)
        if accepted.ring:
            self.ring(accepted.id)
        return _result(self, accepted.id)

    def is_eager(self) -> bool:
        """Do mails end where they are called, and have no record? Celery is told so, and the site does not object."""
        return eager.is_on(self.app) and runtime.settings().eager != "spool"

    def ring(self, mail_id: str, **options: Any) -> None:
        """A doorbell for a mail that is in the spool. Never raises: a doorbell that is lost is rung again."""
        try:
            follow(self.app)
            super().apply_async((), {}, task_id=mail_id, **options)
        except Exception as error:  # noqa: BLE001 - whatever it is, the mail is safe: to its sender this is no failure
            logger.warning("the broker does not take the doorbell (%s); the mail is safe and goes later", words(error))

    def apply(
        self,
        args: tuple[Any, ...] | list[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        countdown: float | timedelta | None = None,
        eta: datetime | str | None = None,
        expires: datetime | timedelta | float | str | None = None,
        **options: Any,
    ) -> MailResult:
        """Sends there and then, as a direct call does, and raises what that raises: nothing has a record of it. Times
        are checked, and nobody waits."""
        calls.check(options)
        return self._send_eagerly(_read(args, kwargs, task_id, (countdown, eta, expires)))

    def many(
        self,
        mails: Iterable[Mail | tuple[Recipients, str, str]] | None = None,
        *,
        recipients: Iterable[Mail | tuple[Recipients, Mapping[str, Any]] | str] | None = None,
        progress: Callable[[int, int | None], object] | None = None,
        **shared: Unpack[Mail],
    ) -> MailResults:
        """Spools `mails`, each a dict of arguments or (to, subject, body); or one mail to each of `recipients`: an
        address, a (to, context), or a dict of what is its own. `shared` are arguments that all of them have, unless
        their own say otherwise.

        Takes what comes bit by bit, in steps of some hundred mails: each step is accepted as a whole, or not at all,
        and `progress(safe, of)` is told after it. With an `idempotency_key` in each mail the same call may be repeated.

        Raises `TypeError` and `Unsendable` for what is wrong in `shared`; `ManyError` where a mail is wrong or Redis is
        away: it says which mail it is and how many are safe.
        """
        name, items = ("mails", mails) if recipients is None else ("recipients", recipients)
        if items is None or (mails is not None and recipients is not None):
            raise TypeError("send_email.many: expected one of mails and recipients")
        if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
            raise TypeError(f"send_email.many: {name}: expected a list, got {type(items).__name__}")
        calls_ = many.calls_of(name, items, shared, runtime.settings().limits)
        is_eager = self.is_eager()
        if is_eager and not _keeps(is_eager):
            return MailResults(self, many.send_all(name, calls_, lambda call: self._send_eagerly(call).id))
        spool = runtime.intake(is_eager)
        return MailResults(self, many.accept_all(spool, name, calls_, many.number_of(items), self.ring, progress))

    def _send_eagerly(self, call: Call) -> MailResult:
        call = replace(call, id=call.id or uuid())
        return EagerResult(call.id, self.send(call), states.SUCCESS, name=self.name)  # type: ignore[no-any-return]

    def send(self, call: Call) -> str:
        """Sends there and then, or keeps the mail where mails are kept. The Message-ID."""
        return _send(call, eager.is_on(self.app))


def send_directly(args: Any, kwargs: Any, app: Any) -> str:
    """What `send_email(…)` does. Raises `TypeError`, `Unsendable`, and what `send_now` raises."""
    calls.check_direct(kwargs)
    return _send(_read(args, kwargs), eager.is_on(app))


def _read(args: Any, kwargs: Any, task_id: Any = None, times: calls.Times = calls.NO_TIME) -> Call:
    return calls.read(args, kwargs, runtime.settings().limits, task_id, times)


def _keeps(is_eager: bool) -> bool:
    """Are mails kept in this process? Where that is for Celery's word alone, the log says so once."""
    kept = runtime.keeps(is_eager)
    if kept and not runtime.keeps():
        eager.warn()
    return kept


def _send(call: Call, is_eager: bool) -> str:
    """Where mails are kept, the outbox has it. The Message-ID."""
    settings = runtime.settings()
    if _keeps(is_eager):
        return settings.author.message_id(accept(runtime.intake(is_eager), call).id)
    return send_now(call.mail, settings.author, settings.relays[0])


def _refusing(method: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise calls.refuse(method)

    return refuse


for _method in calls.CANVAS:
    setattr(SendEmail, _method, _refusing(_method))

# For `help()`, shells and editors that look at what runs.
_SELF: Final = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
_DELAY: Final = SIGNATURE.replace(parameters=[_SELF, *SIGNATURE.parameters.values()], return_annotation=MailResult)
SendEmail.delay.__signature__ = _DELAY  # type: ignore[attr-defined]
