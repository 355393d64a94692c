"""The repairs to Celery's Redis transport change how fast it is and what it survives, and nothing for anybody else."""

from __future__ import annotations

import os
import subprocess
import sys

import kombu
import pytest
from kombu.transport import redis as stock

from mailworker.worker import transport
from mailworker.worker.transport import Connection
from tests.conftest import RedisServer
from tests.integration.certificates import CA


def test_a_channel_keeps_its_client_as_long_as_its_connections(redis_server: RedisServer) -> None:
    with Connection(redis_server.url) as connection:
        channel = connection.default_channel
        with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
            assert first is second
        channel._disconnect_pools()
        with channel.conn_or_acquire() as third:
            assert third is not first
            assert third.ping()
        assert channel.client is not third  # the one that waits for messages is another


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("redis://127.0.0.1/0", transport.Transport),
        ("rediss://127.0.0.1/0", transport.Transport),
        ("redis+socket:///nowhere", transport.Transport),
        ("sentinel://127.0.0.1;sentinel://127.0.0.2", transport.SentinelTransport),
    ],
)
def test_each_kind_of_redis_has_the_repairs_and_keeps_them_at_a_failover(url: str, wanted: type) -> None:
    connection = Connection(url)
    assert connection.get_transport_cls() is wanted
    assert connection.clone().get_transport_cls() is wanted
    assert connection.Pool(2).new().get_transport_cls() is wanted
    if ";" in url:
        connection.maybe_switch_next()
        assert connection.get_transport_cls() is wanted
    assert (connection.transport.Channel.QoS, type(connection.transport.cycle)) == (transport.QoS, transport.Poller)
    if url.startswith("rediss"):
        assert connection.ssl  # and not clear text


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("rediss://127.0.0.1:1/0", "{'ssl_cert_reqs': 'required'}"),
        (f"rediss://127.0.0.1:1/0?ssl_ca_certs={CA}", f"{{'ssl_cert_reqs': 'required', 'ssl_ca_certs': '{CA}'}}"),
        ("rediss://127.0.0.1:1/0?ssl_cert_reqs=none", "{'ssl_cert_reqs': 'none'}"),
        ("redis://127.0.0.1:1/0", "False"),
    ],
)
def test_a_certificate_is_checked_unless_the_url_says_otherwise(url: str, wanted: str) -> None:
    code = "from mailworker import app; print(app.connection_for_write().ssl)"
    environment = {"PATH": os.environ["PATH"], "MAILWORKER_REDIS_URL": url}
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip() == wanted


def test_other_brokers_are_left_alone() -> None:
    assert "mailworker" not in Connection("amqp://").get_transport_cls().__module__
    assert "mailworker" not in Connection("memory://").get_transport_cls().__module__


def test_a_host_s_own_connections_are_as_kombu_made_them(redis_server: RedisServer) -> None:
    from mailworker import app

    with app.connection_for_write() as ours, app.pool.acquire() as pooled, app.producer_pool.acquire() as producer:
        for connection in (ours, pooled, producer.connection):
            assert connection.get_transport_cls() is transport.Transport
    with kombu.Connection(redis_server.url) as connection:
        assert connection.get_transport_cls() is stock.Transport
        assert connection.default_channel.QoS is stock.QoS
        assert type(connection.transport.cycle) is stock.MultiChannelPoller
    assert stock.Channel._create_client.__module__ == "kombu.transport.redis"


@pytest.mark.parametrize("answer", ["ack", "reject", "requeue", "reject_log_error", "ack_log_error"])
def test_an_answer_that_comes_after_its_channel_was_closed_is_no_error(redis_server: RedisServer, answer: str) -> None:
    """An AttributeError here ended the worker: Redis was killed just as a child had answered."""
    with Connection(redis_server.url) as connection:
        queue = kombu.Queue("late", kombu.Exchange("late"), routing_key="late", channel=connection.default_channel)
        queue.declare()
        connection.Producer().publish({}, exchange="late", routing_key="late")
        message = queue.get(no_ack=False)
        assert message is not None
        message.channel.close()
        message.channel._disconnect_pools()  # as where Redis was gone already
        if answer.endswith("_log_error"):
            getattr(message, answer)(transport.logger, connection.connection_errors)
        else:
            getattr(message, answer)()
