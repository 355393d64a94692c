"""The watcher: the boot-step that starts a worker's threads. One for each legacy list waits for new entries and rings
the bridge, and one more is the pulse.

It makes `celery -A mailworker worker` alone the whole system. Idle, it asks Redis once a second.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from celery import bootsteps
from celery.worker import state

from .. import runtime, stopping
from ..errors import NewerFormat, SpoolError, WrongFormat
from ..findings import PROBLEM
from ..spool import Spool
from ..spool.owner import BEAT_SECONDS
from .closing import Closing
from .forks import gate
from .introduction import introduce
from .listener import Listener
from .names import BRIDGE
from .pulse import Pulse

logger = logging.getLogger(__name__)


class Watcher(bootsteps.StartStopStep):  # type: ignore[misc]
    """The threads. They start after the first children, which so need not wait for a Redis that is away."""

    requires = (Closing, "celery.worker.components:Pool")

    def start(self, parent: Any) -> None:
        def ring(token: str) -> None:
            parent.app.tasks[BRIDGE].apply_async((token,))

        introduce(runtime.settings(), _hands(parent))
        gate.watch()
        closing = parent.blueprint[Closing.name]
        spool = runtime.make_spool(runtime.settings())
        _wait_for_an_older_version(spool)
        pulse = Pulse(spool, runtime.worker_name(), lambda: _pool_size(parent), _end_worker)
        # The pulse has a thread of its own: a broker that hangs must not make this worker look dead.
        loops = {"pulse": pulse.run} | {queue: Listener(spool, queue, ring).run for queue in spool.queues}
        for name, loop in loops.items():
            thread = threading.Thread(target=loop, args=(closing.closed,), name=f"mailworker-{name}", daemon=True)
            thread.start()
            closing.threads.append(thread)

    def stop(self, parent: Any) -> None:
        """Not yet: see `Closing`."""

    terminate = stop


def _wait_for_an_older_version(spool: Spool) -> None:
    """Its workers are at work in their spool. No doorbell is answered here until they have ended, which they could
    answer. A Redis that is away is waited for later, as ever."""
    told = False
    while not stopping.begun():
        try:
            spool.migrate()
        except NewerFormat as error:
            _end_worker(error)
        except WrongFormat as error:
            if not told:
                logger.warning("%s; until then this worker waits", error)
            told = True
            time.sleep(BEAT_SECONDS)
        except SpoolError:
            return
        else:
            return


def _end_worker(error: NewerFormat) -> None:
    """As after SIGTERM, but with the exit code of what a person has to mend."""
    if not stopping.begun():
        logger.critical("%s; this worker stops", error)
        stopping.begin()
        state.should_stop = PROBLEM


def _pool_size(worker: Any) -> int:
    return int(worker.concurrency or 1)


def _hands(worker: Any) -> str:
    """How many mails go at once, for people."""
    pool = getattr(worker.pool_cls, "__module__", str(worker.pool_cls))
    kinds = {"thread": "threads", "gevent": "greenlets", "eventlet": "greenlets", "solo": "one process", "prefork": ""}
    kind = next((name for part, name in kinds.items() if part in pool), "") or "pool children"
    return kind if kind == "one process" else f"{_pool_size(worker)} {kind}"
