"""`celery.map` and its like: Celery's own tasks, with which another program sends several mails in one message.

Celery's would call `send_email` there and then, without a record, and end at the first mail that fails. Ours give each
mail a record of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from celery import Celery, Task

from ..errors import MailFailed
from . import sent_by_name
from .names import CHUNKS, MAP, PRIVATE_REQUEST, SEND_EMAIL, STARMAP

CARRIERS: Final[Mapping[str, bool]] = {MAP: False, STARMAP: True, CHUNKS: True}
"""True where each item holds several arguments."""


def mails(task_id: Any, items: Sequence[Any], starred: bool) -> Iterator[tuple[str, Any]]:
    """The id and the arguments of each mail of a carrier: the same whenever it is asked."""
    for number, item in enumerate(items):
        yield f"{sent_by_name.id_of(task_id)}-{number}", item if starred else [item]


def register(app: Celery, ring: Callable[[str], None]) -> None:
    """Puts ours in the place of Celery's own, which Celery registers when the app is finalized."""

    def replace(*_: Any, **__: Any) -> None:
        for name, starred in CARRIERS.items():
            app.tasks.pop(name, None)
            app.task(bind=True, name=name, Request=PRIVATE_REQUEST, shared=False, lazy=False)(_spooling(starred, ring))

    if app.finalized:  # in a worker, before it loads its tasks
        replace()
    else:
        app.on_after_finalize.connect(replace, weak=False)


def _spooling(starred: bool, ring: Callable[[str], None]) -> Callable[..., None]:
    def spool_each(self: Task, task: Any, it: Any, *_: Any) -> None:
        if not isinstance(task, dict) or task.get("task") != SEND_EMAIL:
            raise TypeError("mailworker runs no tasks but its own")
        with sent_by_name.back_unless_spooled():
            for mail_id, args in mails(self.request.id, it, starred):
                with contextlib.suppress(MailFailed):  # it is a dead letter, and the next one goes on
                    accepted = sent_by_name.accept(mail_id, args, {}, sent_by_name.times_of(self.request))
                    if accepted.ring:
                        ring(accepted.id)

    return spool_each
