"""A connection to the Redis that holds the legacy lists and the spool: one server, or the master behind Sentinel."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from ..sentinel import sentinels


def connect(url: str, timeout: float = 10) -> redis.Redis:
    """A client that never repeats a command by itself: a script whose answer was lost may have run.

    `timeout` in seconds for each answer.
    """
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": timeout,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 30,
        "retry": Retry(NoBackoff(), 0),
    }
    behind = sentinels(url)
    if behind is None:
        return redis.Redis.from_url(url, **options)
    sentinel: Any = Sentinel  # redis-py has no types for it
    finder = sentinel(behind.hosts, sentinel_kwargs={"socket_timeout": 2, "socket_connect_timeout": 2}, **options)
    login = {"username": behind.user or None, "password": behind.password or None, "ssl": behind.tls}
    client: redis.Redis = finder.master_for(behind.master, db=behind.database, **login)
    return client
