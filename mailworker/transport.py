"""Celery's Redis transport (kombu 5.7.0) with three repairs, for this app's connections and nobody else's.

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

from kombu.connection import Connection as StockConnection
from kombu.connection import ConnectionPool, PooledConnection
from kombu.transport import redis as stock

logger = logging.getLogger(__name__)

_PATIENCE: Final = 0.02
"""Seconds until a consumer that may not have more messages looks whether it now may."""


class QoS(stock.QoS):
    def restore_unacked_once(self, *args: Any, **options: Any) -> None:
        try:
            super().restore_unacked_once(*args, **options)
        except AttributeError:
            logger.warning("the broker is gone with %d doorbells unanswered; they are rung again", len(self._delivered))


class Poller(stock.MultiChannelPoller):
    """What consumers without an event loop wait in: those of `-P gevent`, `eventlet` and `solo`."""

    def get(self, callback: Any, timeout: float | None = None) -> Any:
        if any(channel.active_queues and not channel.qos.can_consume() for channel in self._channels):
            timeout = _PATIENCE
        return super().get(callback, timeout)


class KeptClient(stock.Channel):
    """What a channel on Redis does otherwise, behind Sentinel too."""

    QoS = QoS
    # Options that are `Channel`'s attributes: with them two sites in one database have no key in common.
    from_transport_options: Any = (
        *stock.Channel.from_transport_options,
        "keyprefix_queue",
        "keyprefix_binding_deadlines",
        "keyprefix_binding_permanent",
    )

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous)
        client = self.__dict__.get("_kept_client")
        if client is None or client.connection_pool is not self.pool:
            client = self._kept_client = super()._create_client()
        return client


class Channel(KeptClient):
    """A channel of `Transport`."""


class SentinelChannel(KeptClient, stock.SentinelChannel):
    """A channel of `SentinelTransport`."""

    from_transport_options = (
        *KeptClient.from_transport_options,
        *stock.SentinelChannel.from_transport_options,
    )


class Transport(stock.Transport):
    Channel: Any = Channel

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cycle: Any = Poller()


class SentinelTransport(Transport, stock.SentinelTransport):
    Channel = SentinelChannel


_OURS: Final = {stock.Transport: Transport, stock.SentinelTransport: SentinelTransport}


class Connection(StockConnection):
    """Takes our transports where kombu has its own for Redis, also at a fail-over, at which it reads the URL anew.

    A path in `broker_transport` would not do: with one kombu takes `rediss://` for clear text, and loses it at the
    first fail-over.
    """

    def get_transport_cls(self) -> Any:
        chosen = super().get_transport_cls()
        return _OURS.get(chosen, chosen)

    def Pool(self, limit: int | None = None, **options: Any) -> ConnectionPool:
        return Pool(self, limit, **options)


class Pooled(PooledConnection, Connection):
    """One of a pool, which kombu would make of its own class."""


class Pool(ConnectionPool):
    def new(self) -> Pooled:
        return Pooled(self, **dict(self.connection._info(resolve=False)))
