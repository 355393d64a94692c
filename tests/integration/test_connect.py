"""The connections that the spool keeps should never give one command the answer of another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from mailworker.spool.connect import Caller, connect
from tests.conftest import RedisServer


class TimeLimit(BaseException):
    pass


@pytest.fixture
def caller(redis_server: RedisServer) -> Caller:
    return Caller(connect(redis_server.url))


def test_a_connection_is_used_again(caller: Caller) -> None:
    assert caller("CLIENT", "ID") == caller("CLIENT", "ID")


def test_an_answer_that_was_not_waited_for_is_nobody_else_s(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    caller("PING")

    def strike(*_: object, **__: object) -> None:
        raise TimeLimit

    with monkeypatch.context() as patch:
        patch.setattr(redis.Connection, "read_response", strike)
        with pytest.raises(TimeLimit):
            caller("ECHO", "first")
    assert caller("ECHO", "second") == b"second"


def test_many_commands_have_their_answers_in_order(caller: Caller) -> None:
    assert caller.many([("ECHO", str(number)) for number in range(5)]) == [b"0", b"1", b"2", b"3", b"4"]


def test_an_error_among_many_leaves_no_answer_behind(caller: Caller) -> None:
    with pytest.raises(redis.ResponseError):
        caller.many([("ECHO", "first"), ("GET",), ("ECHO", "third")])
    assert caller("ECHO", "fourth") == b"fourth"


def test_an_error_of_a_command_costs_no_connection(caller: Caller) -> None:
    before = caller("CLIENT", "ID")
    with pytest.raises(redis.ResponseError):
        caller("GET")
    assert caller("CLIENT", "ID") == before


def test_a_connection_that_the_server_closed_fails_once(caller: Caller, redis_server: RedisServer) -> None:
    redis_server.client().client_kill_filter(_id=str(caller("CLIENT", "ID")))
    with pytest.raises(redis.ConnectionError):
        caller("PING")
    assert caller("PING") == b"PONG"


def test_one_that_failed_takes_the_others_with_it(caller: Caller, redis_server: RedisServer) -> None:
    """Whatever closed one has closed all, and a command is repeated only once."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: caller("BLPOP", "nothing", "0.3"), range(4)))
    assert len(caller._kept) == 4
    redis_server.client().client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(redis.ConnectionError):
        caller("PING")
    assert caller("PING") == b"PONG"
