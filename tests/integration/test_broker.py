"""The repairs to Celery's Redis transport should change how fast it is, and nothing else."""

from __future__ import annotations

from kombu import Connection

from mailworker import broker
from tests.conftest import RedisServer


def test_a_channel_keeps_its_client_as_long_as_its_connections(redis_server: RedisServer) -> None:
    broker.repair()
    with Connection(redis_server.url) as connection:
        channel = connection.default_channel
        with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
            assert first is second
        channel._disconnect_pools()
        with channel.conn_or_acquire() as third:
            assert third is not first
            assert third.ping()
        assert channel.client is not third  # the one that waits for messages is another
