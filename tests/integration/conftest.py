"""What integration tests share: a client of an empty Redis; and no connection to a relay is left open behind a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from mailworker.spool import connect
from tests.conftest import RedisServer

from . import smtp_client


@pytest.fixture(autouse=True)
def _close_connections() -> Iterator[None]:
    yield
    while smtp_client.opened:
        smtp_client.opened.pop().close()


@pytest.fixture
def client(redis_server: RedisServer) -> redis.Redis:
    """As the spool connects."""
    return connect(redis_server.url)
