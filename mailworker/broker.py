"""One repair to Celery's Redis transport, without which a worker does not outlive its broker.

When Redis dies while doorbells are unacknowledged, kombu closes the channel, and the channel tries to give them back
over a connection that has no client any more. The AttributeError is none of the errors that Celery expects there, and
ends the worker's main process (kombu 5.7.0; seen in 2 of 16 kills of Redis). Nothing is lost by not giving them back:
the reconciler rings again.
"""

from __future__ import annotations

import logging
from typing import Any

from kombu.transport import redis as transport

logger = logging.getLogger(__name__)


class QoS(transport.QoS):
    def restore_unacked_once(self, *args: Any, **options: Any) -> None:
        try:
            super().restore_unacked_once(*args, **options)
        except AttributeError:
            logger.warning("the broker is gone with %d doorbells unanswered; they are rung again", len(self._delivered))


def outlive_redis() -> None:
    """For every Redis channel that this process opens, behind Sentinel too."""
    transport.Channel.QoS = QoS
