"""Three repairs to Celery's Redis transport (kombu 5.7.0).

When Redis dies while doorbells are unacknowledged, kombu closes the channel, and the channel tries to give them back
over a connection that has no client any more. The AttributeError is none of the errors that Celery expects there, and
ends the worker's main process (seen in 2 of 16 kills of Redis). Nothing is lost by not giving them back: the reconciler
rings again.

With greenlets, a worker that has all the messages it may have sleeps for two seconds, and no acknowledgement wakes it:
186 mails a second where threads send 466.

For every message that is published or acknowledged a Redis client is made, which knows hundreds of commands: a quarter
of the main process's work, and of a producer's call. Here the channel keeps one.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from kombu.transport import redis as transport

logger = logging.getLogger(__name__)

_PATIENCE: Final = 0.02
"""Seconds until a consumer that may not have more messages looks whether it now may."""


class QoS(transport.QoS):
    def restore_unacked_once(self, *args: Any, **options: Any) -> None:
        try:
            super().restore_unacked_once(*args, **options)
        except AttributeError:
            logger.warning("the broker is gone with %d doorbells unanswered; they are rung again", len(self._delivered))


class Poller(transport.MultiChannelPoller):
    """What consumers without an event loop wait in: those of `-P gevent`, `eventlet` and `solo`."""

    def get(self, callback: Any, timeout: float | None = None) -> Any:
        if any(channel.active_queues and not channel.qos.can_consume() for channel in self._channels):
            timeout = _PATIENCE
        return super().get(callback, timeout)


_make_client = transport.Channel._create_client


def _create_client(channel: Any, asynchronous: bool = False) -> Any:
    if asynchronous:
        return _make_client(channel, asynchronous)
    client = channel.__dict__.get("_kept_client")
    if client is None or client.connection_pool is not channel.pool:
        client = channel._kept_client = _make_client(channel)
    return client


def repair() -> None:
    """For every Redis channel that this process opens, behind Sentinel too."""
    transport.Channel._create_client = _create_client  # type: ignore[method-assign]
    transport.Channel.QoS = QoS
    transport.MultiChannelPoller = Poller  # type: ignore[misc]  # the transport looks it up there
