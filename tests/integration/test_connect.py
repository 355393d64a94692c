"""The connections that the spool keeps should never give one command the answer of another."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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


@pytest.fixture
def refusing() -> Iterator[Callable[[str], str]]:
    """A server that says the same to each command. Returns its URL."""
    said = {}

    class Refuse(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while received := self.request.recv(65_536):
                commands = len(re.findall(rb"(?:^|\r\n)\*[0-9]+\r\n", received))
                self.request.sendall(commands * (b"-" + said["reply"] + b"\r\n"))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()

        def start(reply: str) -> str:
            said["reply"] = reply.encode()
            return f"redis://127.0.0.1:{server.server_address[1]}/0"

        yield start
        server.shutdown()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("NOAUTH Authentication required.", redis.AuthenticationError),
        ("NOPERM this user has no permissions to run the 'ping' command", redis.exceptions.NoPermissionError),
        ("LOADING Redis is loading the dataset in memory", redis.exceptions.BusyLoadingError),
        ("BUSY Redis is busy running a script.", redis.ResponseError),
        ("MISCONF Redis is configured to save", redis.ResponseError),
        ("DENIED Redis is running in protected mode", redis.RedisError),
        ("ERR max number of clients reached", redis.RedisError),
    ],
)
def test_a_server_that_refuses_even_to_be_asked_is_told_as_it_says(
    refusing: Callable[[str], str], reply: str, error: type[Exception]
) -> None:
    client: Any = connect(refusing(reply))
    for call in (client.ping, lambda: Caller(client)("PING")):
        with pytest.raises(error):
            call()
