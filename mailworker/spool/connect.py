"""A connection to the Redis that holds the legacy lists and the spool: one server, or the master behind Sentinel."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Sequence
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


class Caller:
    """Runs commands over connections of the client's pool, and keeps them.

    A pool takes a lock, looks at the socket and counts, before and after each command: a third of the CPU of a short
    script. Raises what the client would. That a connection was closed meanwhile is found out by the command itself, so
    this is for those that may be repeated.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._kept: deque[Any] = deque()

    def __call__(self, *command: Any) -> Any:
        connection = self._lend()
        try:
            connection.send_command(*command)
            answer = connection.read_response()
        except redis.ResponseError:
            self._kept.append(connection)
            raise
        except BaseException:  # a time limit, too: an answer still to come must not be the next command's
            self._give_up(connection)
            raise
        self._kept.append(connection)
        return answer

    def many(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Their answers in this order, with one round trip."""
        connection = self._lend()
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            answers = [connection.read_response() for _ in commands]
        except BaseException:  # an error of one of them, too: the other answers are still to come
            self._give_up(connection)
            raise
        self._kept.append(connection)
        return answers

    def _lend(self) -> Any:
        try:
            return self._kept.pop()
        except IndexError:
            return self._pool.get_connection()

    def _give_up(self, connection: Any) -> None:
        """What ended this connection most likely ended the others. The pool looks at each before it lends it again."""
        with contextlib.suppress(IndexError):
            while True:
                connection.disconnect()
                self._pool.release(connection)
                connection = self._kept.pop()
