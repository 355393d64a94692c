"""Celery's Redis transport (kombu 5.7.0) with repairs, for this app's connections and nobody else's.

When Redis dies while doorbells are unacknowledged, kombu closes the channel, and the channel tries to give them back
over a connection that has no client any more. The AttributeError is none of the errors that Celery expects there, and
ends the worker's main process (seen in 2 of 16 kills of Redis). Nothing is lost by not giving them back: the reconciler
rings again. The same goes for an answer that a child gave just before, and that is worked on after the channel was
closed.

With greenlets, a worker that has all the messages it may have sleeps for two seconds, and no acknowledgement wakes it:
186 mails a second where threads send 466.

For every message that is published or acknowledged a Redis client is made, which knows hundreds of commands: a quarter
of the main process's work, and of a producer's call. Here the channel keeps one.

An error reply of Redis (`MISCONF`, `NOREPLICAS`, `READONLY`, `BUSY`, …) is none of the errors that Celery expects, and
ends the worker. Here each is a lost connection: Celery says so, waits and connects again, and a connection counts as
one only where Redis takes a write.

A full Redis is no such case: it still gives messages out, and only that frees memory. What is to be written meanwhile
is small and bounded (a doorbell, the note that one is in hand, a reply to `celery inspect`), so it is written by a
script whose first write asks for no memory; Redis looks at its limit before the first one only.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from queue import Empty
from typing import Any, Final

import redis
from kombu.connection import Connection as StockConnection
from kombu.connection import ConnectionPool, PooledConnection
from kombu.transport import redis as stock
from kombu.transport import virtual

from ..spool import redis_errors

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.02
"""Seconds until a consumer that may not have more messages looks whether it now may."""


_WHEN_FULL: Final = """
redis.call('DEL', ARGV[1])
local at = 2
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, last))
  at = last + 1
end
"""
_DIGEST: Final = hashlib.sha1(_WHEN_FULL.encode(), usedforsecurity=False).hexdigest()

Command = tuple[Any, ...]


class Seldom:
    """Says the same thing once a minute at most."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def warn(self, text: str, *arguments: Any) -> None:
        now = time.monotonic()
        if now - self._said.get(text, -60.0) >= 60:
            self._said[text] = now
            logger.warning(text, *arguments)


_seldom = Seldom()


class QoS(stock.QoS):
    """What is noted of a doorbell that is in hand. Where Redis refuses it, the doorbell is answered all the same: one
    that is lost then is rung again."""

    def append(self, message: Any, delivery_tag: str) -> None:
        try:
            super().append(message, delivery_tag)
        except redis.ResponseError as error:
            virtual.QoS.append(self, message, delivery_tag)
            info = message.delivery_info
            kept = stock.dumps([message._raw, info["exchange"], info["routing_key"]])
            self._write(
                error,
                ("ZADD", self.unacked_index_key, time.time(), delivery_tag),
                ("HSET", self.unacked_key, delivery_tag, kept),
            )

    def ack(self, delivery_tag: str) -> None:
        if self._is_late(delivery_tag):
            return
        try:
            super().ack(delivery_tag)
        except redis.ResponseError as error:
            self._remove(error, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if self._is_late(delivery_tag):
            return
        try:
            super().reject(delivery_tag, requeue)
        except redis.ResponseError as error:
            self._remove(error, delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        try:
            super().restore_by_tag(tag, client, leftmost)
        except redis.ResponseError as error:
            if not redis_errors.is_full(error):
                raise
            self.channel.when_full([*self._gone(tag), *self._back(tag, leftmost)])

    def restore_visible(self, *args: Any, **options: Any) -> None:
        try:
            super().restore_visible(*args, **options)
        except redis.ResponseError as error:  # what it would give back is rung for again in any case
            _seldom.warn("broker: doorbells of the gone are not given back (%s)", redis_errors.words(error))

    def restore_unacked_once(self, *args: Any, **options: Any) -> None:
        try:
            super().restore_unacked_once(*args, **options)
        except (AttributeError, redis.RedisError):
            logger.warning("the broker is gone with %d doorbells unanswered; they are rung again", len(self._delivered))

    def _is_late(self, tag: str) -> bool:
        """A child's answer was read just before the connection was lost, and is worked on after it."""
        if self.channel.connection is not None:
            return False
        virtual.QoS.ack(self, tag)
        return True

    def _remove(self, error: redis.ResponseError, tag: str) -> None:
        self._write(error, *self._gone(tag))
        virtual.QoS.ack(self, tag)

    def _gone(self, tag: str) -> list[Command]:
        return [("ZREM", self.unacked_index_key, tag), ("HDEL", self.unacked_key, tag)]

    def _back(self, tag: str, leftmost: bool) -> list[Command]:
        """What puts the message back onto its queue."""
        with self.channel.conn_or_acquire() as client:
            kept = client.hget(self.unacked_key, tag)
        if not kept:
            return []
        notes = _Notes()
        message, exchange, routing_key = stock.loads(stock.bytes_to_str(kept))
        self.channel._do_restore_message(message, exchange, routing_key, notes, leftmost)
        return notes.commands

    def _write(self, error: redis.ResponseError, *commands: Command) -> None:
        try:
            if redis_errors.is_full(error):
                self.channel.when_full(commands)
                return
        except redis.ResponseError as another:
            error = another
        _seldom.warn("broker: what is in hand is not noted there (%s)", redis_errors.words(error))


def _without_transactions(client: Any) -> Any:
    """Within MULTI a full Redis refuses whatever it is, an LLEN too. kombu says where it needs a transaction."""
    pipeline = client.pipeline
    client.pipeline = lambda transaction=False, *arguments: pipeline(transaction, *arguments)
    return client


class _Notes:
    """Stands where kombu expects a pipeline, and keeps what it is told."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def lpush(self, *arguments: Any) -> None:
        self.commands.append(("LPUSH", *arguments))

    def rpush(self, *arguments: Any) -> None:
        self.commands.append(("RPUSH", *arguments))


class Poller(stock.MultiChannelPoller):
    """What consumers without an event loop wait in: those of `-P gevent`, `eventlet` and `solo`."""

    def get(self, callback: Any, timeout: float | None = None) -> Any:
        if any(channel.active_queues and not channel.qos.can_consume() for channel in self._channels):
            timeout = _LOOK_SECONDS
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
            return _without_transactions(super()._create_client(asynchronous))
        client = self.__dict__.get("_kept_client")
        if client is None or client.connection_pool is not self.pool:
            client = self._kept_client = _without_transactions(super()._create_client())
        return client

    def _nothing(self) -> str:
        """A key that is never there, of a name that each user of the broker may write to."""
        return str(self.keyprefix_queue % "nothing")

    def when_full(self, commands: Sequence[Command]) -> None:
        """Runs these though memory is full. The second word of each is its key. Raises what Redis says."""
        prefix = self.global_keyprefix
        parts: list[Any] = [prefix + self._nothing()]
        for name, key, *rest in commands:
            parts += [len(rest) + 2, name, prefix + key, *rest]
        client = redis.Redis(connection_pool=self.pool)
        try:
            client.execute_command("EVALSHA", _DIGEST, 0, *parts)
        except redis.exceptions.NoScriptError:
            client.execute_command("EVAL", _WHEN_FULL, 0, *parts)

    def must_take_writes(self) -> None:
        """Raises what Redis says where it takes none. One that is full takes this one."""
        with self.conn_or_acquire() as client:
            try:
                client.delete(self._nothing())
            except redis.exceptions.NoPermissionError:  # on this command or key alone, maybe
                return

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        def commands() -> list[Command]:
            key = self._q_for_pri(queue, self._get_message_priority(message, reverse=False))
            expiry = self._expires.get(queue)
            keys = [self._q_for_pri(queue, step) for step in self.priority_steps] if expiry else []
            return [("LPUSH", key, stock.dumps(message)), *(("PEXPIRE", key, expiry) for key in keys)]

        self._also_when_full(lambda: super(KeptClient, self)._put(queue, message, **options), commands)

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        def commands() -> list[Command]:
            key = self.keyprefix_queue % (exchange,)
            member = self.sep.join([routing_key or "", pattern or "", queue or ""])
            if queue in self._expires:
                end = time.time() * 1000 + self._binding_ttl(queue)
                return [("SADD", key, member), ("ZADD", self.keyprefix_binding_deadlines, "GT", int(end), exchange)]
            return [("SADD", key, member), ("SADD", self.keyprefix_binding_permanent % (exchange,), member)]

        bind = super()._queue_bind
        self._also_when_full(lambda: bind(exchange, routing_key, pattern, queue), commands)

    def _also_when_full(self, write: Callable[[], None], commands: Callable[[], list[Command]]) -> None:
        try:
            write()
        except redis.ResponseError as error:
            if not redis_errors.is_full(error):
                raise
            self.when_full(commands())

    def maybe_refresh_binding_expiry(self) -> None:
        try:
            super().maybe_refresh_binding_expiry()
        except redis.ResponseError as error:  # tried again at the next look
            _seldom.warn("broker: bindings are not renewed (%s)", redis_errors.words(error))

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (ValueError, TypeError) as error:  # no JSON, or no reply of Redis
            logger.warning("broker: what came from its queue is no message (%s), and is dropped", type(error).__name__)
            self.client.connection.disconnect()
            raise Empty from None


class Channel(KeptClient):
    """A channel of `Transport`."""


class SentinelChannel(KeptClient, stock.SentinelChannel):
    """A channel of `SentinelTransport`."""

    from_transport_options = (
        *KeptClient.from_transport_options,
        *stock.SentinelChannel.from_transport_options,
    )


class Transport(stock.Transport):
    """Redis, with our channel and poller. Any error of Redis is a lost connection."""

    Channel: Any = Channel
    connection_errors = (*stock.Transport.connection_errors, redis.RedisError)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cycle: Any = Poller()

    def establish_connection(self) -> Any:
        connection = super().establish_connection()
        try:
            self._avail_channels[-1].must_take_writes()
        except redis.RedisError:
            self.close_connection(connection)
            raise
        return connection

    def _deliver(self, message: Any, queue: str) -> None:
        properties = message.get("properties") if isinstance(message, dict) else None
        if not isinstance(properties, dict) or not {"delivery_info", "delivery_tag"} <= properties.keys():
            logger.warning("broker: what came from its queue is no message of Celery's, and is dropped")
            return
        super()._deliver(message, queue)


class SentinelTransport(Transport, stock.SentinelTransport):
    """The same for a Redis behind Sentinel."""

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

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """Celery waits for up to half a minute between two attempts; mail waits with it."""
        return super().ensure_connection(
            *args, **{"interval_start": 1, "interval_step": 1, "interval_max": 8} | options
        )

    def __eqhash__(self) -> Any:
        """kombu keeps pools for the whole process by this: a host's app with the same URL has its own."""
        return hash((Connection, super().__eqhash__()))

    def Pool(self, limit: int | None = None, **options: Any) -> ConnectionPool:
        return Pool(self, limit, **options)


class Pooled(PooledConnection, Connection):
    """One of a pool, which kombu would make of its own class."""


class Pool(ConnectionPool):
    """Of connections as ours."""

    def new(self) -> Pooled:
        return Pooled(self, **dict(self.connection._info(resolve=False)))
