"""A connection to the Redis that holds the legacy lists and the spool: one server, or the master behind Sentinel."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from .. import keepalive
from ..keepalive import FORGOTTEN
from .sentinel import sentinels
from .server import Server, options_of, server

SOON: Final = 1
"""Seconds for the answer of a connection that was idle."""

UNSENT: Final = "there was no connection, and no command left"
"""The note on an error after which nothing can arrive late."""


def connect(url: str, timeout: float = 10) -> redis.Redis:
    """A client that never repeats a command by itself: a script whose answer was lost may have run.

    `timeout` in seconds for each answer.
    """
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": timeout,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": FORGOTTEN,
        "retry": Retry(NoBackoff(), 0),
    }
    behind = sentinels(url)
    options |= options_of(url)
    if behind is None:
        return _impatient(_connect(server(url), options))
    sentinel: Any = Sentinel  # redis-py has no types for it
    finder = sentinel(behind.hosts, sentinel_kwargs={"socket_timeout": 2, "socket_connect_timeout": 2}, **options)
    login = {"username": behind.user or None, "password": behind.password or None, "ssl": behind.tls}
    client: redis.Redis = finder.master_for(behind.master, db=behind.database, **login)
    return _impatient(client)


def _impatient(client: redis.Redis) -> redis.Redis:
    """A connection that was idle and does not answer soon is replaced, and the command goes over the new one."""
    pool: Any = client.connection_pool
    kind: Any = pool.connection_class
    if issubclass(kind, redis.Connection):
        pool.connection_kwargs["socket_keepalive_options"] = keepalive.options()
    pool.connection_class = type(kind.__name__, (_Impatient, kind), {})
    return client


class _Impatient:
    """To be mixed into a connection class of redis-py, whose own check waits as long as for any other answer, and
    then fails the command."""

    _asking = False

    def check_health(self) -> None:
        connection: Any = self
        if self._asking or time.monotonic() <= connection.next_health_check:
            return
        self._asking = True  # connecting asks, too: what a new connection says is said to the command
        try:
            connection._sock.settimeout(SOON)
            connection._send_ping()
        except redis.ResponseError:
            pass  # a refusal is an answer
        except (redis.RedisError, OSError):
            connection.disconnect()
            connection.connect()
        finally:
            self._asking = False
            if connection._sock is not None:
                connection._sock.settimeout(connection.socket_timeout)


def _connect(place: Server, options: dict[str, Any]) -> redis.Redis:
    options |= {"db": place.database, "username": place.user or None, "password": place.password or None}
    if place.path:
        return redis.Redis(unix_socket_path=place.path, **options)
    return redis.Redis(host=place.host, port=place.port, ssl=place.tls, **options)


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
            try:
                return self._pool.get_connection()
            except Exception as error:
                error.add_note(UNSENT)
                raise

    def _give_up(self, connection: Any) -> None:
        """What ended this connection most likely ended the others. The pool looks at each before it lends it again."""
        with contextlib.suppress(IndexError):
            while True:
                connection.disconnect()
                self._pool.release(connection)
                connection = self._kept.pop()
