"""What a worker's main process does when a pool child died with a task in hand: its doorbell is answered elsewhere.

Celery acknowledges the message of such a task (the alternative is a hot loop), so nobody else would know of it until
its mails are due again; and of a mail that was in the message alone nobody ever. Mails that the child had already taken
are the pulse's matter.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError

from .. import runtime
from ..delivery import bridge
from ..errors import SpoolError
from . import carriers, sent_by_name
from .calls import Times
from .carriers import CARRIERS
from .names import BRIDGE, DELIVER, SEND_EMAIL

logger = logging.getLogger(__name__)


def wake(
    name: str, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], times: Times, error: BaseException
) -> None:
    """Never raises: what cannot be woken now is rung for again later. `times` are another program's message's."""
    if not isinstance(error, WorkerLostError | TimeLimitExceeded):
        return
    try:
        _wake(name, task_id, args, kwargs, times)
    except (IndexError, KeyError, TypeError, ValueError):
        logger.warning("a message to %s that none of ours wrote ended a pool child", name)
    except SpoolError as failure:
        logger.warning("%s; the lost doorbell is rung again later", failure)


def _wake(name: str, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], times: Times) -> None:
    spool = runtime.spool()
    if name == DELIVER:
        spool.wake([mail_id for mail_id in args[0] if isinstance(mail_id, str)])
    elif name == SEND_EMAIL:
        mail_id = sent_by_name.id_of(task_id)
        if args or kwargs:
            mail_id = sent_by_name.keep(mail_id, args, kwargs, times)
        spool.wake([mail_id])
    elif name in CARRIERS:
        items = kwargs["it"] if "it" in kwargs else args[1]
        for mail_id, each in carriers.mails(task_id, items, CARRIERS[name]):
            spool.wake([sent_by_name.keep(mail_id, each, {}, times)])
    elif name == BRIDGE:
        bridge.free_lock(spool, args[0] if args else "")
