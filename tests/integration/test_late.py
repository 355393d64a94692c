"""A script that arrives late, after its caller went on, should do nothing; what an owner forgot should not stay in its
hand.

TCP sends what a socket has been given also after `close()`: a command whose answer was not waited for may run minutes
later, on a connection that its caller has long left.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from mailworker.errors import SpoolError
from mailworker.outcome import Deferred, Failed, Sent
from mailworker.spool import New, Spool, connect, scripts, token_of
from tests.conftest import RedisServer
from tests.spools import spool_of

QUEUE = "queue:email"
A, B = "w:1/1.1.0", "w:1/2.1.0"


class Holder:
    """A proxy that keeps the next requests with a word in them to itself and hangs up. `deliver` sends them on."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.word, self.count = b"", 0
        self.held: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, word: str, count: int = 1) -> None:
        self.word, self.count = word.encode(), count

    def deliver(self) -> list[bytes]:
        """What Redis says to each."""
        answers = []
        for request in self.held:
            with socket.create_connection(("127.0.0.1", self._port), timeout=5) as late:
                late.sendall(request)
                answers.append(late.recv(65536))
        return answers

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)) as server:
            threading.Thread(target=self._back, args=(server, client), daemon=True).start()
            while request := client.recv(1 << 20):
                if self.count and self.word in request:
                    self.count -= 1
                    self.held.append(request)
                    break
                server.sendall(request)
            client.shutdown(socket.SHUT_RDWR)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while answer := server.recv(1 << 20):
                client.sendall(answer)


@pytest.fixture
def holder(redis_server: RedisServer) -> Iterator[Holder]:
    holder = Holder(redis_server.port)
    yield holder
    holder.close()


@pytest.fixture
def near(client: redis.Redis) -> Spool:
    """Somebody else, whose commands arrive."""
    return spool_of(client, [QUEUE], batch=10)


@pytest.fixture
def spool(holder: Holder, near: Spool) -> Spool:
    """Its scripts are loaded, so that each is one request."""
    for script in near.runner.scripts.values():
        near.client.script_load(script.text)
    near.beat("w:0", 1, [])  # the spool is there: nothing is migrated
    near.release("w:0", died=False)
    return spool_of(connect(f"redis://127.0.0.1:{holder.port}/0"), [QUEUE], batch=10)


def everything(client: redis.Redis) -> dict[bytes, object]:
    """All keys but for what changes with each look."""
    readers: dict[bytes, Callable[[bytes], object]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"list": lambda key: client.lrange(key, 0, -1),
    }
    return {key: readers[client.type(key)](key) for key in client.scan_iter() if key != b"mailworker:called_off"}  # type: ignore[index,union-attr]


def _accept(spool: Spool, near: Spool) -> None:
    spool.accept("m", b"{}")
    near.take(B, ["m"])
    near.settle("default", B, [("m", Sent())], end=True)


def _accept_many(spool: Spool, near: Spool) -> None:
    spool.accept_many([New("m", b"{}"), New("n", b"{}", keyed=True)])
    near.take(B, ["m", "n"])
    near.settle("default", B, [("m", Sent()), ("n", Sent())], end=True)


def _take(spool: Spool, near: Spool) -> None:
    near.accept("m", b"{}")
    spool.take(A, ["m"])
    spool.settle("default", A, [], ["m"])


def _settle(spool: Spool, near: Spool) -> None:
    near.accept("m", b"{}")
    spool.take(A, ["m"])
    spool.settle("default", A, [("m", Deferred(0, 450, "RCPT", "later"))], end=True)
    spool.take(A, ["m"])


def _claim(spool: Spool, near: Spool) -> None:
    near.client.lpush(QUEUE, b"x")
    with pytest.raises(SpoolError):
        spool.claim(A, "", 10)
    spool.release(A, died=False)


def _unlock(spool: Spool, near: Spool) -> None:
    near.client.lpush(QUEUE, b"x", b"y")
    spool.claim(A, "", 10)
    spool.unlock(A)
    near.client.lpush(QUEUE, b"z", b"z")
    spool.claim(A, "", 10)


def _look(spool: Spool, near: Spool) -> None:
    near.client.lpush(QUEUE, b"x")
    token = token_of("w:1")
    spool.look(token)
    near.release(token, died=False)


def _release(spool: Spool, near: Spool) -> None:
    near.accept("m", b"{}")
    spool.take(A, ["m"])
    spool.release(A, died=True)
    near.take(A, ["m"])
    near.settle("default", A, [], ["m"])


def _beat(spool: Spool, near: Spool) -> None:
    spool.beat("w:1", 5, [])
    near.release("w:1", died=False)


def _wake(spool: Spool, near: Spool) -> None:
    near.accept("m", b"{}")
    spool.wake(["m"])
    near.claim(B, "", 10)
    near.unlock(B)


def _up(spool: Spool, near: Spool) -> None:
    spool.relay_works("default")
    near.relay_failed("default", "bad password", configuration=True)


def _down(spool: Spool, near: Spool) -> None:
    spool.relay_failed("default", "bad password", configuration=True)
    near.relay_works("default")


def _dead(near: Spool) -> None:
    near.accept("m", b"{}")
    near.take(B, ["m"])
    near.settle("default", B, [("m", Failed("refused", "no"))], end=True)


def _retry(spool: Spool, near: Spool) -> None:
    _dead(near)
    spool.retry(["m"])
    near.take(B, ["m"])
    near.settle("default", B, [("m", Failed("refused", "no"))], end=True)


def _drop(spool: Spool, near: Spool) -> None:
    _dead(near)
    spool.drop(["m"])
    near.client.delete("mailworker:mail:m")
    _dead(near)


def _give_back(spool: Spool, near: Spool) -> None:
    near.accept("m", b"{}")
    with pytest.raises(SpoolError):
        spool.give_back([("m", QUEUE, b"x")])
    spool.give_back([])


def _hasten(spool: Spool, near: Spool) -> None:
    near.accept("m", b"{}", delay=60)
    spool.hasten(["m"])
    near.take(B, [near.claim(B, "", 10).together[0]])
    near.settle("default", B, [("m", Deferred(60, 450, "RCPT", "later"))], end=True)


def _connected(spool: Spool, near: Spool) -> None:
    spool.connected("default", A)
    near.disconnected("default", A)


def _disconnected(spool: Spool, near: Spool) -> None:
    spool.disconnected("default", A)
    near.connected("default", A)


def _may_connect(spool: Spool, near: Spool) -> None:
    spool.may_connect("default", A)
    near.disconnected("default", A)


def _full(spool: Spool, near: Spool) -> None:
    near.beat("w:1", 5, [])
    near.connected("default", "w:1")
    spool.relay_full("default", A, wordless=False)
    near.relay_failed("default", "bad password", configuration=True)


def _migrate(spool: Spool, near: Spool) -> None:
    near.client.delete("mailworker:format")
    spool.wake([])
    near.client.set("mailworker:format", 3)


def _refused(spool: Spool, near: Spool) -> None:
    spool.refused("default", "m", "550 no", 3, "550 no", "relay:25")
    near.relay_works("default")


WALKS = {
    scripts.Accept: _accept, scripts.AcceptMany: _accept_many,
    scripts.Beat: _beat, scripts.Claim: _claim, scripts.Connected: _connected,
    scripts.Disconnected: _disconnected, scripts.Drop: _drop, scripts.GiveBack: _give_back, scripts.Hasten: _hasten,
    scripts.Look: _look, scripts.MayConnect: _may_connect, scripts.Migrate: _migrate, scripts.Refused: _refused,
    scripts.RelayFailed: _down, scripts.RelayFull: _full, scripts.RelayWorks: _up, scripts.Release: _release,
    scripts.Retry: _retry, scripts.Settle: _settle, scripts.Take: _take, scripts.Unlock: _unlock, scripts.Wake: _wake,
}  # fmt: skip


def test_every_script_has_its_walk() -> None:
    assert set(scripts.ALL) - {scripts.CallOff} == set(WALKS)


@pytest.mark.parametrize("script", WALKS, ids=scripts.name_of)
def test_a_script_that_arrives_after_its_caller_went_on_does_nothing(
    script: Any, spool: Spool, near: Spool, holder: Holder
) -> None:
    holder.hold(near.runner.scripts[script].digest)
    WALKS[script](spool, near)
    before = everything(near.client)
    assert holder.held
    answers = holder.deliver()
    assert all(answer.startswith(b"-CALLED_OFF") for answer in answers)
    assert everything(near.client) == before


def test_what_was_given_up_is_called_off_before_anything_else_is_done(
    spool: Spool, near: Spool, holder: Holder
) -> None:
    near.accept("first", b"{}")
    near.accept("second", b"{}")
    holder.hold(near.runner.scripts[scripts.Take].digest, 2)
    with pytest.raises(SpoolError):
        spool.take(A, ["first"])
    assert [record.id for record in spool.take(A, ["second"]).records] == ["second"]
    assert all(answer.startswith(b"-CALLED_OFF") for answer in holder.deliver())
    assert near.settle("default", A, [], ["second"]).may_go == ["second"]


def test_a_take_that_ran_and_whose_answer_was_lost_hands_out_the_same_again(near: Spool) -> None:
    near.client.lpush(QUEUE, b"x")
    near.accept("m", b"{}")
    first, again = near.take(A, ["m"]), near.take(A, ["m"])
    assert [record.id for record in first.records] == [record.id for record in again.records] == ["m"]


@pytest.mark.parametrize("next_step", ["claim", "take", "end"])
def test_what_an_owner_took_and_never_heard_of_goes_on_with_its_next_step(next_step: str, near: Spool) -> None:
    near.accept("m", b"{}")
    near.take(A, ["m"])  # its answer was lost twice
    if next_step == "claim":
        near.claim(A, "", 10)
    elif next_step == "take":
        near.take(A, ["other"])
    else:
        near.settle("default", A, [], end=True)
    assert near.client.hget("mailworker:mail:m", "state") == b"queued"
    assert [record.id for record in near.take(B, ["m"]).records] == ["m"]


def test_a_bridge_that_gives_its_ring_back_forgets_nothing_it_took(near: Spool) -> None:
    near.client.lpush(QUEUE, b"x", b"y")
    near.claim(A, "", 10)
    near.accept("m", b"{}")
    near.take(A, ["m"])
    near.unlock(A)
    assert near.release(A, died=True) == 1


def test_the_ring_of_who_died_before_it_rang_is_free_at_once(near: Spool) -> None:
    near.accept("m", b"{}")
    near.client.lpush(QUEUE, b"x")
    assert near.take(A, ["m"]).ring
    assert not near.look("another").ring
    near.release(A, died=True)
    assert near.look("another").ring
    near.release("another", died=False)
    assert near.look(token_of("w:1")).ring
    near.release("w:1", died=True)  # the worker whose watcher rang
    assert near.look("another").ring


def test_a_child_that_has_but_the_ring_in_hand_is_missed_when_it_dies(near: Spool) -> None:
    near.client.lpush(QUEUE, b"x")
    assert near.take(A, ["gone"]).ring
    assert A in near.beat("w:1", 1, [])


def test_a_ring_that_nobody_answers_ends_within_five_seconds(near: Spool) -> None:
    near.client.lpush(QUEUE, b"x")
    near.look("lost with the broker")
    assert 0 < near.client.pttl("mailworker:bridge_lock") <= 5000


def _probe(near: Spool) -> str:
    """The breaker is open and a probe is due: the mail that the bridge sends."""
    near.client.hset("mailworker:relay:default", mapping={"failures": 3, "open_until": 1, "interval": 15000})
    return near.claim(B, "", 10).together[0]


@pytest.mark.parametrize("what", ["is no mail", "is gone", "its child dies", "its doorbell dies"])
def test_a_probe_that_says_nothing_of_the_relay_leaves_its_turn_to_the_next_mail_at_once(
    what: str, near: Spool
) -> None:
    near.client.lpush(QUEUE, b"x", b"y")
    mail = _probe(near)
    near.unlock(B)
    assert near.claim(B, "", 10).together == []
    near.unlock(B)
    if what == "is no mail":
        near.take(A, [mail])
        assert near.look("t").wait_ms <= 50
        near.settle("default", A, [(mail, Failed("bad_payload", "no mail"))], end=True)
    elif what == "is gone":
        near.client.delete(f"mailworker:mail:{mail}")
        near.take(A, [mail])
    elif what == "its child dies":
        near.take(A, [mail])
        near.release(A, died=True)
    else:
        near.wake([mail])
    claim = near.claim(B, "", 10)
    assert len(claim.together + claim.alone) == 1


def test_what_never_left_need_not_be_called_off_and_much_that_did_is_in_parts(near: Spool) -> None:
    """A producer whose Redis is down for hours tries thousands of times: no memory and no huge command for that."""
    nobody = spool_of(connect("redis://127.0.0.1:1/0"), [])
    for _ in range(3):
        with pytest.raises(SpoolError):
            nobody.accept("m", b"{}")
    assert nobody.runner._lost == {}
    near.runner._lost = {b"%d" % number: None for number in range(2_500)}
    near.accept("m", b"{}")
    assert near.runner._lost == {}
    assert near.client.zcard("mailworker:called_off") == 2_500
