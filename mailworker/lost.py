"""What a worker's main process does when a pool child died with a task in hand: its doorbell is answered elsewhere.

Celery acknowledges the message of such a task (the alternative is a hot loop), so nobody else would know of it until
the reconciler looks. Mails that the child had already taken are the watcher's matter.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError

from . import bridge, runtime
from .errors import SpoolError

logger = logging.getLogger(__name__)


def wake(name: str, task_id: str, arguments: Sequence[Any], keywords: Mapping[str, Any], error: BaseException) -> None:
    """Never raises: what cannot be woken now is rung for again later."""
    if not isinstance(error, WorkerLostError | TimeLimitExceeded):
        return
    try:
        if name == "mailworker.deliver":
            runtime.spool().wake([mail_id for mail_id in arguments[0] if isinstance(mail_id, str)])
        elif name == "mailworker.send_email":
            if keywords:  # sent by name: the mail was in the message alone
                runtime.spool().put(task_id, json.dumps(keywords).encode("utf-8"), keyed=True)
            runtime.spool().wake([task_id])
        elif name == "mailworker.bridge":
            bridge.give_back(runtime.spool(), arguments[0] if arguments else "")
    except (IndexError, TypeError):
        logger.warning("a message to %s that none of ours wrote ended a pool child", name)
    except SpoolError as failure:
        logger.warning("%s; the lost doorbell is rung again later", failure)
