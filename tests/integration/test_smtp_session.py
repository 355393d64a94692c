"""Sending over an open connection: what goes over the wire, in how many round trips, and who gets which verdict."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from typing import Any

import pytest

from mailworker.envelope import Envelope
from mailworker.errors import SmtpError
from mailworker.smtp import session
from mailworker.smtp.journal import Outgoing

from . import smtp_server as behave
from .smtp_client import (
    PIPELINED,
    STEP_BY_STEP,
    STREAMING,
    WAYS,
    Journal,
    ids,
    mail,
    mails,
    open_connection,
    proven,
    relay_of,
    send,
    send_all,
)
from .smtp_server import Session, SmtpServer, after, answer, each, where, without

# The wire.


def test_with_chunking_a_mail_is_one_write() -> None:
    with SmtpServer() as server, closing(open_connection(relay_of(server))) as connection:
        send(connection, [mail("first")])
        before = len(server.commands())
        send(connection, [mail("a", "b@c.d", "e@f.g")])
        assert server.commands()[before:] == [
            "MAIL FROM:<site@example.com> SIZE=35",
            "RCPT TO:<b@c.d>",
            "RCPT TO:<e@f.g>",
            "BDAT 35 LAST",
        ]


def test_a_stream_of_mails_resets_before_each_that_follows_an_unanswered_one() -> None:
    with (
        SmtpServer(round_trip=0.02) as server,
        closing(proven(open_connection(relay_of(server, window=4)))) as connection,
    ):
        send(connection, mails(3))
        verbs = [line.split()[0] for line in server.commands()]
    assert verbs[1:12] == ["MAIL", "RCPT", "BDAT", "RSET", "MAIL", "RCPT", "BDAT", "RSET", "MAIL", "RCPT", "BDAT"]


def test_without_chunking_the_next_mail_is_opened_with_the_content_of_the_last() -> None:
    with SmtpServer(extensions=PIPELINED) as server:
        send_all(server, mails(3))
        verbs = [line.split()[0] for line in server.commands()]
    assert verbs[:10] == ["EHLO", *["MAIL", "RCPT", "DATA"] * 3]
    assert verbs[10:] in ([], ["QUIT"])


@WAYS
@pytest.mark.parametrize("pace", ["grouped", "each", "octets"])
def test_replies_are_read_however_they_are_cut(extensions: tuple[str, ...], pace: str) -> None:
    with SmtpServer(extensions=extensions, pace=pace) as server:
        journal = send_all(server, mails(10))
        assert ids(server) == [f"m{number}" for number in range(10)]
    assert set(journal.codes.values()) == {250}


@WAYS
def test_multi_line_replies_are_one_reply(extensions: tuple[str, ...]) -> None:
    many = behave.raw(b"250-2.1.0 so\r\n250-2.1.0 and\r\n250 2.1.0 so\r\n")
    with SmtpServer(
        {"message": behave.at(1, behave.raw(b"451-4.3.0 not\r\n451 now\r\n"))}, extensions=extensions
    ) as server:
        server.script["QUIT"] = many
        journal = send_all(server, mails(2))
    assert journal.codes == {"m0": 451, "m1": 250}
    assert journal.verdicts["m0"].final.text == "4.3.0 not\nnow"  # type: ignore[union-attr]


# Round trips.


@pytest.mark.parametrize(("extensions", "turns"), [(STREAMING, 1), (PIPELINED, 2), (STEP_BY_STEP, 4)])
def test_a_mail_alone_costs_as_few_round_trips_as_the_relay_allows(extensions: tuple[str, ...], turns: int) -> None:
    with (
        SmtpServer(extensions=extensions, round_trip=0.04) as server,
        closing(open_connection(relay_of(server))) as connection,
    ):
        for name in ("first", "second", "third"):
            if name == "first" and extensions == STREAMING:  # whether it knows BDAT costs a round trip more
                send(connection, [mail(name)])
                continue
            before, begun = server.turns, time.monotonic()
            send(connection, [mail(name)])
            seconds = time.monotonic() - begun
            assert server.turns - before == turns
            assert seconds >= turns * 0.04


def test_a_stream_hardly_waits_for_the_distance() -> None:
    with (
        SmtpServer(round_trip=0.04) as server,
        closing(open_connection(relay_of(server, window=16))) as connection,
    ):
        begun = time.monotonic()
        send(connection, mails(96))
        assert time.monotonic() - begun < 96 * 0.04 / 4
        assert len(server.mails) == 96


def test_a_stream_without_chunking_costs_one_round_trip_a_mail() -> None:
    with (
        SmtpServer(extensions=PIPELINED, round_trip=0.04) as server,
        closing(open_connection(relay_of(server))) as connection,
    ):
        before = server.turns
        send(connection, mails(20))
        assert server.turns - before == 21


# What the relay announced.


@WAYS
def test_smtputf8_goes_where_it_is_announced(extensions: tuple[str, ...]) -> None:
    with SmtpServer(extensions=extensions) as server:
        journal = send_all(server, [mail("a", "jürgen@test", smtputf8=True), mail("b")])
        assert server.mails[0].recipients == ("jürgen@test",)
        assert "BODY=8BITMIME SMTPUTF8" in server.mails[0].parameters
        assert "SMTPUTF8" not in server.mails[1].parameters
    assert journal.codes == {"a": 250, "b": 250}


@WAYS
def test_smtputf8_is_a_refusal_where_it_is_not_announced(extensions: tuple[str, ...]) -> None:
    extensions = tuple(line for line in extensions if line != "SMTPUTF8")
    with SmtpServer(extensions=extensions) as server:
        journal = send_all(server, [mail("a", "jürgen@test", smtputf8=True), mail("b")])
        assert not any("rgen" in line for line in server.commands())
        assert ids(server) == ["b"]
    assert (journal.verdicts["a"].phase, journal.codes["a"]) == ("SMTPUTF8", 550)


@WAYS
def test_a_mail_over_the_announced_size_is_a_refusal_and_is_not_sent(extensions: tuple[str, ...]) -> None:
    extensions = (*(line for line in extensions if not line.startswith("SIZE")), "SIZE 1000")
    todo = [mail("a", data=b"x" * 999 + b"\r\n"), mail("b", data=b"Message-ID: <b@test>\r\n" + b"x" * 976 + b"\r\n")]
    with SmtpServer(extensions=extensions) as server:
        journal = send_all(server, todo)
        assert ids(server) == ["b"]
        assert server.mails[0].parameters == "SIZE=1000"
    assert (journal.verdicts["a"].phase, journal.codes["a"]) == ("message", 552)


def test_no_limit_is_announced_as_nought() -> None:
    with SmtpServer(extensions=(*without("SIZE"), "SIZE 0")) as server:
        assert send_all(server, [mail("a")]).codes == {"a": 250}


@pytest.mark.parametrize(("values", "verbs"), [
    ({"chunking": False}, ["MAIL", "RCPT", "DATA"]),
    ({"pipelining": False}, ["MAIL", "RCPT", "DATA"]),
])  # fmt: skip
def test_a_setting_turns_an_extension_off(values: dict[str, Any], verbs: list[str]) -> None:
    with SmtpServer() as server:
        send_all(server, [mail("a")], **values)
        assert [line.split()[0] for line in server.commands()][1:4] == verbs


def test_chunking_without_pipelining_is_not_used() -> None:
    with SmtpServer(extensions=without("PIPELINING")) as server:
        send_all(server, [mail("a")])
        assert server.mails[0].way == "DATA"


# Many and large.


@WAYS
def test_ten_thousand_recipients_do_not_lock_both_sides(extensions: tuple[str, ...]) -> None:
    """RFC 2920, 3.1: a client that only writes and a relay that only writes wait for each other for ever."""

    def at_length(session: Session, argument: str) -> bytes:
        return session._rcpt(argument).replace(b"\r\n", b" " + b"x" * 490 + b"\r\n")

    recipients = [f"recipient-number-{number}@{'a-long-name.' * 3}example.com" for number in range(10_000)]
    script = {"RCPT": each(where("-77@", answer(550)), where("-9999@", answer(451)), at_length)}
    with (
        SmtpServer(script, extensions=extensions, pace="each", buffer=16384) as server,
        closing(open_connection(relay_of(server))) as connection,
    ):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            connection.sock.setsockopt(socket.SOL_SOCKET, option, 16384)
        journal = send(connection, [mail("x", *recipients), mail("y")])
        assert [len(item.recipients) for item in server.mails] == [9_998, 1]
    replies = journal.verdicts["x"].recipients
    assert {index: reply.code for index, reply in enumerate(replies) if reply.code != 250} == {77: 550, 9999: 451}


@WAYS
@pytest.mark.parametrize("size", [1 << 20, 20 << 20])
def test_a_large_mail_arrives_as_it_is(extensions: tuple[str, ...], size: int) -> None:
    line = b".0123456789abcdef" * 4 + b"\r\n"
    data = b"Message-ID: <x@test>\r\n\r\n" + line * (size // len(line))
    with SmtpServer(extensions=extensions) as server:
        journal = send_all(server, [mail("x", data=data), mail("y")])
        assert server.mails[0].data == data
        assert ids(server) == ["x", "y"]
    assert journal.codes == {"x": 250, "y": 250}


@pytest.mark.parametrize("extensions", [STREAMING, PIPELINED], ids=["bdat", "pipelined"])
def test_a_large_mail_is_not_copied(extensions: tuple[str, ...]) -> None:
    import tracemalloc

    size = 8 << 20
    todo = mail("x", data=b"Message-ID: <x@test>\r\n\r\n" + b"0123456789abcdef" * (size // 16) + b"\r\n")
    with SmtpServer({"BDAT": _swallow, "DATA": _swallow}, extensions=extensions, record=False) as server:
        connection = open_connection(relay_of(server))
        tracemalloc.start()
        try:
            journal = send(connection, [todo])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        connection.close()
    assert journal.codes == {"x": 250}
    assert peak < size / 2


def _swallow(session: Session, argument: str) -> bytes:
    """Reads the content without keeping it: this test counts the octets that this process holds."""
    if not argument:
        session.put(b"354 go ahead\r\n")
        session.flush()
    tail, size = bytes(session._input), len(session._input)
    session._input.clear()
    while not tail.endswith(b"\r\n.\r\n") and not (argument and size >= int(argument.split(maxsplit=1)[0])):
        octets = session.sock.recv(65536)
        size += len(octets)
        tail = (tail + octets)[-5:]
    session._rset("")
    return b"250 Ok\r\n"


def test_many_mails_over_many_connections_at_once_arrive_once_each() -> None:
    with SmtpServer(extensions=STREAMING) as server:
        threads = [threading.Thread(target=send_all, args=(server, mails(50, f"t{n}-"))) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ids(server)) == sorted(f"t{n}-{i}" for n in range(8) for i in range(50))


@WAYS
@pytest.mark.parametrize("code", [530, 538])
def test_a_relay_that_wants_a_login_first_stops_everything_and_costs_no_mail(
    extensions: tuple[str, ...], code: int
) -> None:
    with SmtpServer({"MAIL": after(2, answer(code))}, extensions=extensions) as server:
        journal = Journal(mails(6))
        with pytest.raises(SmtpError) as caught:
            session.send(open_connection(relay_of(server)), journal)
        assert ids(server) == ["m0", "m1"]
    assert (caught.value.phase, caught.value.code, caught.value.configuration) == ("MAIL", code, True)
    assert [item.id for item in journal.todo] == ["m2", "m3", "m4", "m5"]
    assert journal.handed_out == {}


def test_an_envelope_may_begin_with_a_dot_and_be_nothing_but_dots() -> None:
    data = b".\r\n..\r\n.\r\n...a\r\n.\r\n"
    for extensions in (STREAMING, PIPELINED, STEP_BY_STEP):
        with SmtpServer(extensions=extensions) as server:
            send_all(server, [Outgoing("x", Envelope("a@test", ("b@test",), data)), mail("y")])
            assert [item.data for item in server.mails] == [data, mail("y").envelope.data]


def test_a_relay_whose_replies_wait_for_our_acknowledgement_does_not_wait_long() -> None:
    """One whose kernel sends a second small reply only when the first was acknowledged (RFC 896), as Postfix's does.

    Linux acknowledges after 40 ms where it was not told to hurry: 2 s for these fifty windows.
    """
    with SmtpServer(pace="nagle") as server, closing(open_connection(relay_of(server, window=4))) as connection:
        begun = time.monotonic()
        send(connection, mails(200))
        elapsed = time.monotonic() - begun
    assert len(server.mails) == 200
    assert elapsed < 1
