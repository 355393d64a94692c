"""A session that breaks: which mails are in doubt, which were certainly not sent, and that it ends in time.

The relay's own list of what it took is the judge: a mail that was given back must not be there, and a mail that is
there has a verdict or is in doubt.
"""

from __future__ import annotations

import socket
import threading
import time

import pytest

from mailworker.delivery.back_off import Policy
from mailworker.delivery.decide import decide
from mailworker.errors import SmtpError
from mailworker.outcome import Deferred
from mailworker.smtp import session
from mailworker.smtp.connection import Connection
from mailworker.smtp.relay import Deadlines
from mailworker.smtp.replies import MAX_REPLY, ReplyReader

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
    stop_the_clock,
    until,
)
from .smtp_server import Misbehaviour, Session, SmtpServer, answer, at, each, good_bye, where, without

SHORT = Deadlines(connect=5, reply=0.4, final=0.4)
EITHER = [behave.close, behave.reset]
LARGE = b"x" * 78 + b"\r\n"


@pytest.fixture(autouse=True, params=[0, 60], ids=["alone", "together"])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CHUNKING: each mail committed when its turn comes, and a window of them at once."""
    monkeypatch.setattr("mailworker.smtp.ahead.AT_ONCE", request.param)
    stop_the_clock(monkeypatch)


def broken(server: SmtpServer, journal: Journal, **values: object) -> tuple[SmtpError, Connection]:
    connection = proven(open_connection(relay_of(server, **values)))
    with pytest.raises(SmtpError) as caught:
        session.send(connection, journal)
    assert connection.broken
    connection.close()
    judge(server, journal)
    return caught.value, connection


def judge(server: SmtpServer, journal: Journal) -> None:
    taken = ids(server)
    assert len(set(taken)) == len(taken)
    accepted = {name for name, code in journal.codes.items() if code == 250}
    assert accepted <= set(taken)
    assert set(taken) <= accepted | set(journal.in_doubt)


# Good-bye: 421.


@WAYS
def test_a_421_to_mail_gives_everything_back(extensions: tuple[str, ...]) -> None:
    with SmtpServer({"MAIL": at(3, good_bye)}, extensions=extensions) as server:
        journal = Journal(mails(6))
        error, connection = broken(server, journal)
        assert ids(server) == ["m0", "m1"]
    assert (error.phase, error.code, error.configuration) == ("MAIL", 421, False)
    assert connection.ended_by_relay
    assert [item.id for item in journal.todo] == ["m2", "m3", "m4", "m5"]
    assert journal.handed_out == {}


@WAYS
def test_a_421_to_a_recipient_is_that_mails_verdict_and_gives_back_the_rest(extensions: tuple[str, ...]) -> None:
    """Its recipients may be why (too many errors): who was refused is told now, and the mail cannot stop all others."""
    script = {"RCPT": each(where("never", answer(550)), where("strange", good_bye))}
    todo = [mail("a"), mail("b", "x@test", "never@test", "y@test", "strange@test", "z@test"), mail("c"), mail("d")]
    with SmtpServer(script, extensions=extensions) as server:
        journal = Journal(todo)
        error, connection = broken(server, journal)
        assert ids(server) == ["a"]
    assert (error.phase, error.code) == ("RCPT", 421)
    assert connection.ended_by_relay
    verdict = journal.verdicts["b"]
    assert verdict.phase == "RCPT"
    assert [reply.code for reply in verdict.recipients] == [250, 550, 250, 421]
    assert [item.id for item in journal.todo] == ["c", "d"]
    assert journal.handed_out == {}
    outcome = decide(verdict, todo[1].envelope.recipients, 1, 0, Policy(), 0.5)
    assert isinstance(outcome, Deferred)
    assert outcome.recipients == ("x@test", "y@test", "strange@test", "z@test")
    assert outcome.refused is not None
    assert outcome.refused.recipients == ("never@test",)


@pytest.mark.parametrize("extensions", [PIPELINED, STEP_BY_STEP])
def test_a_421_to_data_is_that_mails_verdict_and_gives_back_the_rest(extensions: tuple[str, ...]) -> None:
    with SmtpServer({"DATA": at(3, good_bye)}, extensions=extensions) as server:
        journal = Journal(mails(6))
        error, _ = broken(server, journal)
        assert ids(server) == ["m0", "m1"]
    assert (error.phase, error.code) == ("DATA", 421)
    assert journal.codes == {"m0": 250, "m1": 250, "m2": 421}
    assert [item.id for item in journal.todo] == ["m3", "m4", "m5"]
    assert journal.handed_out == {}


@WAYS
def test_a_421_after_the_content_is_that_mails_verdict_and_gives_back_the_rest(extensions: tuple[str, ...]) -> None:
    with SmtpServer({"message": at(3, good_bye)}, extensions=extensions) as server:
        journal = Journal(mails(6))
        assert broken(server, journal)[0].code == 421
        assert ids(server) == ["m0", "m1"]
    assert journal.codes == {"m0": 250, "m1": 250, "m2": 421}
    assert [item.id for item in journal.todo] == ["m3", "m4", "m5"]
    assert journal.handed_out == {}


@WAYS
def test_a_421_to_reset_gives_everything_back(extensions: tuple[str, ...]) -> None:
    with SmtpServer({"RCPT": at(1, answer(550)), "RSET": good_bye}, extensions=extensions) as server:
        journal = Journal(mails(4))
        assert broken(server, journal)[0].code == 421
        assert ids(server) == []
    assert journal.codes == {"m0": 550}
    assert [item.id for item in journal.todo] == ["m1", "m2", "m3"]


@WAYS
@pytest.mark.parametrize("way", [good_bye, behave.close], ids=["421", "close"])
def test_a_relay_that_closes_after_some_mails_gets_the_rest_over_other_connections(
    extensions: tuple[str, ...], way: Misbehaviour
) -> None:
    with SmtpServer({"MAIL": behave.after_mails(3, way)}, extensions=extensions) as server:
        journal, doubtful = Journal(mails(20)), 0
        while journal.todo:
            try:
                session.send(open_connection(relay_of(server)), journal)
            except SmtpError:
                doubtful += len(journal.in_doubt)
                journal.committed.clear()
                lost = list(journal.handed_out.values())
                journal.handed_out.clear()
                journal.todo.extendleft(reversed(lost))
            assert server.connections < 10
        assert sorted(ids(server)) == sorted(f"m{number}" for number in range(20))
    if way is good_bye or extensions != STREAMING:
        assert doubtful == 0


# Closed, reset, silent.


@WAYS
@pytest.mark.parametrize("way", EITHER)
def test_a_break_after_the_content_leaves_that_mail_in_doubt(extensions: tuple[str, ...], way: Misbehaviour) -> None:
    with SmtpServer({"accepted": at(2, way)}, extensions=extensions) as server:
        journal = Journal(mails(6))
        error, connection = broken(server, journal, window=2)
        assert ids(server) == ["m0", "m1"]
    assert (error.code, connection.ended_by_relay) == (0, True)
    assert journal.codes == {"m0": 250}
    assert journal.in_doubt[0] == "m1"
    # A stream may have one more mail under way; otherwise the next one had no content on the wire.
    assert journal.in_doubt in ([["m1"], ["m1", "m2"]] if extensions == STREAMING else [["m1"]])
    assert journal.blamed == []


@pytest.mark.parametrize("extensions", [PIPELINED, STEP_BY_STEP])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("way", [*EITHER, behave.hang, behave.garbage])
def test_a_break_before_the_content_leaves_nothing_in_doubt(
    extensions: tuple[str, ...], step: str, way: Misbehaviour
) -> None:
    with SmtpServer({step: at(2, way)}, extensions=extensions) as server:
        journal = Journal(mails(4))
        error, _ = broken(server, journal, deadlines=SHORT)
    assert error.code == 0
    if way is behave.garbage:  # it may have come before the answer to m0, which then is another one's
        assert (journal.codes, journal.in_doubt, journal.blamed) == ({}, ["m0"], ["m1"])
    else:
        assert (journal.codes, journal.in_doubt, journal.blamed) == ({"m0": 250}, [], ["m1"])


@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
@pytest.mark.parametrize("way", [*EITHER, behave.hang])
def test_a_stream_that_breaks_leaves_no_more_than_its_window_in_doubt(step: str, way: Misbehaviour) -> None:
    with SmtpServer({step: at(6, way)}) as server:
        journal = Journal(mails(20), window=4)
        broken(server, journal, window=4, deadlines=SHORT)
        assert len(ids(server)) == 5
    assert len(journal.verdicts) == 5
    assert 1 <= len(journal.in_doubt) <= 4
    assert journal.in_doubt[0] == "m5"


@WAYS
@pytest.mark.parametrize("way", EITHER)
def test_a_break_within_a_large_content_is_no_doubt(extensions: tuple[str, ...], way: Misbehaviour) -> None:
    """Its end never left this machine. It is told as an attempt, so that a mail that breaks relays is not for ever."""
    todo = [mail("a"), mail("large", data=LARGE * 200_000), mail("b"), mail("c")]
    with SmtpServer({"content": at(2, way)}, extensions=extensions, buffer=65536) as server:
        journal = Journal(todo)
        error, _ = broken(server, journal)
        assert ids(server) == ["a"]
    assert (error.phase, error.code) == ("message", 0)
    assert journal.codes == {"a": 250, "large": 0}
    assert journal.verdicts["large"].phase == "content"
    assert [item.id for item in journal.todo] == ["b", "c"]
    assert journal.handed_out == {}


@WAYS
def test_a_relay_that_stops_reading_is_given_up_at_the_deadline(
    extensions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworker.smtp.transaction.SLOWEST", 1 << 30)
    todo = [mail("a"), mail("large", data=LARGE * 200_000), mail("b")]
    with SmtpServer({"content": at(2, behave.hang)}, extensions=extensions, buffer=65536) as server:
        journal, begun = Journal(todo), time.monotonic()
        error, connection = broken(server, journal, deadlines=SHORT)
        assert 0.4 <= time.monotonic() - begun < 2
    assert (error.text, connection.ended_by_relay) == ("the relay did not read in time", False)
    assert journal.codes == {"a": 250, "large": 0}


def test_a_relay_that_reads_a_little_at_a_time_is_given_up_at_the_deadline_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mailworker.smtp.transaction.SLOWEST", 1 << 30)

    def sip(session: Session, argument: str) -> None:
        while not session.server.over.wait(0.02):
            session.sock.recv(65536)

    with SmtpServer({"content": sip}, buffer=65536) as server:
        begun = time.monotonic()
        broken(server, Journal([mail("large", data=LARGE * 200_000)]), deadlines=SHORT)
        assert 0.4 <= time.monotonic() - begun < 2


def test_what_was_answered_before_the_connection_broke_counts() -> None:
    """The next write fails; the verdict on the mail that was under way is here already."""
    begun = threading.Event()

    def wait(session: Session, argument: str) -> None:
        assert begun.wait(5)

    with SmtpServer({"RSET": at(1, wait)}, pace="each") as server:
        connection = open_connection(relay_of(server, window=2))
        journal = Journal(mails(8))

        def break_off(names: list[str]) -> None:
            if names == ["m2"]:  # m0 is answered, m1 is under way
                begun.set()
                connection.sock.settimeout(5)
                until(lambda: b"queued" in connection.sock.recv(65536, socket.MSG_PEEK))
                connection.sock.shutdown(socket.SHUT_WR)

        journal.on_commit = break_off
        with pytest.raises(SmtpError):
            session.send(connection, journal)
        judge(server, journal)
    assert journal.codes == {"m0": 250, "m1": 250}
    assert journal.in_doubt == []
    assert journal.given_back == ["m2"]


def test_mails_of_which_nothing_left_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailworker.smtp.bdat.LARGE", 1 << 30)  # so that the large mail has others in its write
    todo = [mail("large", data=LARGE * 200_000), *mails(3)]
    with SmtpServer({"content": behave.reset}, buffer=65536) as server:
        journal = Journal(todo)
        broken(server, journal, window=4)
    assert journal.commits == [["large", "m0", "m1", "m2"]]
    assert journal.codes == {"large": 0}
    assert [item.id for item in journal.todo] == ["m0", "m1", "m2"]
    assert journal.in_doubt == []


@WAYS
def test_an_interrupted_session_says_nothing_more(extensions: tuple[str, ...]) -> None:
    """A time limit strikes within the content: QUIT would be taken for the rest of it."""

    class TimeLimit(BaseException):
        pass

    def strike(names: list[str]) -> None:
        raise TimeLimit

    with SmtpServer(extensions=extensions) as server:
        connection, journal = open_connection(relay_of(server)), Journal(mails(2))
        journal.on_commit = strike
        with pytest.raises(TimeLimit):
            session.send(connection, journal)
        assert connection.broken
        connection.close()
        until(lambda: not server.sessions[0].thread.is_alive())
        assert "QUIT" not in server.commands()
        assert ids(server) == []


# Late.

STEPS = {STREAMING: ["MAIL", "RCPT", "accepted"], PIPELINED: ["MAIL", "RCPT", "DATA", "accepted"]}
DRIPS = [(way, step) for way in (*STEPS, STEP_BY_STEP) for step in STEPS.get(way, STEPS[PIPELINED])]


@pytest.mark.parametrize(("extensions", "step"), DRIPS)
@pytest.mark.parametrize("octets", [b"250-" + b"x" * 200 + b"\r\n", b"250-a\r\n" * 100])
def test_an_octet_at_a_time_ends_at_the_deadline_of_the_whole_reply(
    extensions: tuple[str, ...], step: str, octets: bytes
) -> None:
    with SmtpServer({step: behave.drip(octets, 0.02)}, extensions=extensions) as server:
        begun = time.monotonic()
        error, connection = broken(server, Journal(mails(3)), deadlines=SHORT)
        assert 0.4 <= time.monotonic() - begun < 1.5
    assert (error.code, error.text) == (0, "no reply in time")
    assert not connection.ended_by_relay


@pytest.mark.parametrize(("extensions", "step"), DRIPS)
@pytest.mark.parametrize("line", [b"250-and so on\r\n", b"x" * 1000])
def test_an_endless_reply_ends(extensions: tuple[str, ...], step: str, line: bytes) -> None:
    with SmtpServer({step: behave.endless(line)}, extensions=extensions) as server:
        broken(server, Journal(mails(2)))


def test_a_line_that_has_no_end_in_sight_is_no_reply_though_it_is_here_already() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"250 " + b"x" * MAX_REPLY + b"\r\n")
        reader = ReplyReader(ours)
        until(lambda: reader.collect() or reader.buffered)
        with pytest.raises(SmtpError):
            reader.read("MAIL", 1)


def test_endless_replies_while_a_large_mail_is_written_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailworker.smtp.replies.MAX_UNREAD", 1 << 20)
    with SmtpServer({"content": behave.endless(b"250 ok\r\n" * 1000)}, buffer=65536) as server:
        journal = Journal([mail("large", data=LARGE * 200_000)])
        error, _ = broken(server, journal)
    assert error.text == "the relay answers without end"


def test_the_final_reply_has_a_deadline_of_its_own() -> None:
    with SmtpServer({"accepted": behave.hang}) as server:
        journal, begun = Journal(mails(1)), time.monotonic()
        error, _ = broken(server, journal, deadlines=Deadlines(connect=5, reply=5, final=0.3))
        assert 0.3 <= time.monotonic() - begun < 2
    assert (error.phase, journal.in_doubt) == ("message", ["m0"])


# Nested MAIL.


@WAYS
def test_a_relay_that_ignores_reset_and_calls_the_next_mail_nested_ends(extensions: tuple[str, ...]) -> None:
    """It answers 250 to RSET and keeps its state, as no relay should. Nothing loops, and nobody gets an empty mail."""
    with SmtpServer({"RSET": answer(250), "RCPT": at(1, answer(550))}, extensions=extensions) as server:
        journal = Journal(mails(5))
        if extensions == STREAMING:  # the content came with it, and the relay took it under the first MAIL
            session.send(proven(open_connection(relay_of(server))), journal)
            judge(server, journal)
        else:
            assert broken(server, journal)[0].code == 503
            assert [item.id for item in journal.todo] == ["m1", "m2", "m3", "m4"]
            assert ids(server) == []
    assert journal.codes["m0"] == 550


@WAYS
def test_a_relay_that_gets_out_of_sequence_ends_the_session_and_costs_no_mail(extensions: tuple[str, ...]) -> None:
    with SmtpServer({"MAIL": behave.after(2, answer(503))}, extensions=extensions) as server:
        journal = Journal(mails(6))
        error, connection = broken(server, journal)
        assert ids(server) == ["m0", "m1"]
    assert (error.phase, error.code) == ("MAIL", 503)
    assert connection.mistrusted == set()
    assert [item.id for item in journal.todo] == ["m2", "m3", "m4", "m5"]
    assert journal.handed_out == {}


def test_a_refused_mail_that_a_relay_waits_for_all_the_same_is_not_ended_with_a_dot() -> None:
    """MAIL refused, RCPT taken: the dot would be an empty mail to the recipient."""

    def refuse_and_remember(session: Session, argument: str) -> bytes:
        session.sender = ""
        return b"550 no\r\n"

    with SmtpServer({"MAIL": at(3, refuse_and_remember)}, extensions=PIPELINED) as server:
        connection, journal = open_connection(relay_of(server)), Journal(mails(6))
        session.send(connection, journal)
        assert connection.broken
        assert not connection.ended_by_relay
        assert ids(server) == ["m0", "m1"]
    assert journal.codes == {"m0": 250, "m1": 250, "m2": 550}
    assert [item.id for item in journal.todo] == ["m3", "m4", "m5"]
    assert journal.in_doubt == []


@WAYS
def test_a_relay_that_refuses_reset_ends_the_session(extensions: tuple[str, ...]) -> None:
    with SmtpServer({"RSET": answer(500), "RCPT": at(1, answer(550))}, extensions=without("CHUNKING")) as server:
        journal = Journal(mails(5))
        assert broken(server, journal)[0].code == 500
    assert journal.codes == {"m0": 550}
    assert len(journal.todo) == 4


def test_a_relay_that_refuses_rset_and_goes_on_leaves_in_doubt_what_it_may_have_taken() -> None:
    with SmtpServer({"RSET": answer(502)}) as server:
        journal = Journal(mails(8))
        with pytest.raises(SmtpError):
            session.send(open_connection(relay_of(server)), journal)
        arrived = set(ids(server))
    assert not arrived & set(journal.given_back)  # what comes again was not taken


def test_a_relay_that_says_good_bye_and_stays_leaves_in_doubt_what_it_may_have_taken() -> None:
    with SmtpServer({"MAIL": at(2, answer(421))}) as server:
        journal = Journal(mails(6))
        with pytest.raises(SmtpError):
            session.send(open_connection(relay_of(server)), journal)
        arrived = set(ids(server))
    assert not arrived & set(journal.given_back)
