"""Replies that nobody asked for, or that answer something else: nothing that may be another mail's is believed.

The relay's own list of what it took is the judge: a mail counts as sent only if it is there, one that comes again is
not, and one that the relay refused is never sent in the books.
"""

from __future__ import annotations

import contextlib
import time

import pytest

from mailworker.errors import OutOfStep, SmtpError
from mailworker.smtp import session
from mailworker.smtp.relay import Deadlines
from mailworker.smtp.warm import WarmConnection

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
)
from .smtp_server import Misbehaviour, Session, SmtpServer, answer, at, each

SHORT = Deadlines(connect=5, reply=0.4, final=0.4)
STRAY = [
    b"250 ok\r\n",
    b"250 2.0.0 Ok\r\n",
    b"250 2.0.0 stray\r\n",
    b"250 2.1.0 Ok\r\n",
    b"250 2.1.5 Ok\r\n",
    b"250 2.0.0 Ok: queued\r\n",
    b"354 go ahead\r\n",
    b"220 hello\r\n",
    b"550 5.1.1 no\r\n",
    b"421 4.4.2 idle for too long\r\n",
    b"150 wait\r\n",
    b"600 what\r\n",
    b"250-a\r\n550 b\r\n",
]


def before(octets: bytes) -> Misbehaviour:
    """These first, and then the usual reply."""

    def misbehave(session: Session, argument: str) -> None:
        session.put(octets)

    return misbehave


def through(server: SmtpServer, names: list[str], window: int = 4) -> Journal:
    """All mails over one warm connection, as a delivery does it; what is in doubt stays out."""
    journal = Journal([mail(name) for name in names], window=1000)
    warm = WarmConnection(relay_of(server, deadlines=SHORT, window=window))
    for _ in range(30):
        if not journal.todo:
            break
        try:
            connection = warm.get()
            session.send(connection, journal)
        except SmtpError:
            doubtful = set(journal.committed)
            for item in [one for name, one in journal.handed_out.items() if name not in doubtful]:
                del journal.handed_out[item.id]
                journal.todo.append(item)
        warm.drop()
    return journal


def judge(server: SmtpServer, journal: Journal, refused: set[str]) -> None:
    taken = ids(server)
    assert not journal.todo
    assert len(set(taken)) == len(taken)  # nothing that came again had been taken
    sent = {name for name, code in journal.codes.items() if 200 <= code < 300}
    dead = {name for name, code in journal.codes.items() if code >= 500}
    assert sent <= set(taken)
    assert dead <= refused
    assert set(taken) <= sent | set(journal.in_doubt)


@WAYS
@pytest.mark.parametrize("octets", STRAY)
@pytest.mark.parametrize("step", ["RSET", "MAIL", "RCPT", "DATA", "message", "accepted", "BDAT"])
def test_one_reply_too_many_never_makes_a_mail_count_as_sent(
    extensions: tuple[str, ...], step: str, octets: bytes
) -> None:
    """At the third time; every fourth mail is refused, so that a shift of one is a mail lost."""
    refused = {f"m{number}" for number in range(0, 16, 4)}

    def refuse(session: Session, argument: str) -> bytes | None:
        return b"554 5.6.0 refused\r\n" if argument.partition("@")[0] in refused else None

    script: dict[str, Misbehaviour] = {"message": refuse}
    stray = at(3, before(octets))
    script[step] = each(stray, refuse) if step == "message" else stray
    with SmtpServer(script, extensions=extensions, pace="each") as server:
        journal = through(server, [f"m{number}" for number in range(16)])
        judge(server, journal, refused)
    assert len(journal.in_doubt) <= 6


@WAYS
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "accepted"])
def test_a_reply_too_many_that_comes_late_does_not_either(extensions: tuple[str, ...], step: str) -> None:
    def late(session: Session, argument: str) -> None:
        session.put(b"250 2.0.0 Ok\r\n")
        session.flush()
        time.sleep(0.02)

    with SmtpServer({step: at(3, late), "message": at(6, answer(554))}, extensions=extensions) as server:
        journal = through(server, [f"m{number}" for number in range(12)])
        judge(server, journal, {f"m{number}" for number in range(12)})


@WAYS
def test_a_relay_that_answers_the_content_once_for_each_recipient_is_found_out(extensions: tuple[str, ...]) -> None:
    """LMTP (RFC 2033): a reply for each recipient that was taken."""

    def lmtp(session: Session, recipients: str) -> bytes:
        return b"250 2.0.0 Ok: queued\r\n" * len(recipients.split())

    with SmtpServer({"accepted": lmtp}, extensions=extensions) as server:
        connection = open_connection(relay_of(server))
        journal = Journal([mail("a"), mail("b", "x@test", "y@test", "z@test"), mail("c"), mail("d")])
        with pytest.raises(OutOfStep):
            session.send(connection, journal)
        taken = set(ids(server))
    assert connection.mistrusted == {"PIPELINING"}
    assert {name for name, code in journal.codes.items() if code == 250} <= taken
    assert taken <= {*journal.codes, *journal.in_doubt}
    assert not taken & set(journal.given_back)


@WAYS
def test_a_reply_before_the_content_has_left_is_no_answer_to_it(extensions: tuple[str, ...]) -> None:
    large = mail("large", data=b"Message-ID: <large@test>\r\n\r\n" + b"x" * 78 * 50_000 + b"\r\n")

    def early(session: Session, argument: str) -> None:
        session.put(b"250 2.0.0 Ok: queued\r\n")
        session.flush()

    with SmtpServer({"content": at(1, early), "message": answer(554)}, extensions=extensions, buffer=65536) as server:
        journal = Journal([large])
        with contextlib.suppress(SmtpError):
            session.send(open_connection(relay_of(server)), journal)
    assert journal.codes.get("large", 0) != 250 or extensions == STREAMING


@WAYS
@pytest.mark.parametrize("octets", [b"\0", b"\x07\x1b[2J", b"\r", b"\x7f"])
def test_a_control_character_in_a_reply_is_no_failure_and_reaches_nobody(
    extensions: tuple[str, ...], octets: bytes
) -> None:
    def dirty(session: Session, argument: str) -> bytes:
        return b"250 2.0.0 " + octets + b"Ok: queued" + octets + b"\r\n"

    def refused(session: Session, argument: str) -> bytes:
        return octets[:1] + b"554" + octets[:1] + b" 5.6.0 no" + octets + b"\r\n"

    with SmtpServer({"accepted": dirty, "message": at(2, refused)}, extensions=extensions) as server:
        journal = send(proven(open_connection(relay_of(server))), mails(3))
        assert ids(server) == ["m0", "m2"]
    assert journal.codes == {"m0": 250, "m1": 554, "m2": 250}
    assert journal.verdicts["m1"].final.text in ("5.6.0 no", "5.6.0 no[2J")  # type: ignore[union-attr]


@WAYS
@pytest.mark.parametrize("text", ["503 5.5.1 Bad sequence", "500 command unrecognized", "502 not implemented"])
def test_a_refusal_of_the_command_behind_a_mail_that_was_taken_leaves_it_in_doubt(
    extensions: tuple[str, ...], text: str
) -> None:
    with SmtpServer({"accepted": at(2, behave.raw(f"{text}\r\n".encode()))}, extensions=extensions) as server:
        journal = Journal(mails(4))
        connection = proven(open_connection(relay_of(server)))
        with pytest.raises(OutOfStep):
            session.send(connection, journal)
        taken = ids(server)
    assert "m1" in journal.in_doubt
    assert set(taken) <= {*journal.codes, *journal.in_doubt}
    assert connection.mistrusted == {"PIPELINING"}


@WAYS
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "accepted"])
def test_a_good_bye_in_the_middle_after_which_the_relay_stays_is_not_believed(
    extensions: tuple[str, ...], step: str
) -> None:
    """It says 421 and goes on to answer what it was asked."""
    with SmtpServer({step: at(2, before(b"421 4.3.0 going down\r\n"))}, extensions=extensions) as server:
        journal = Journal(mails(4))
        with pytest.raises(SmtpError):
            session.send(proven(open_connection(relay_of(server))), journal)
        taken = set(ids(server))
    assert not taken & set(journal.given_back)
    assert taken <= {name for name, code in journal.codes.items() if code == 250} | set(journal.in_doubt)


def test_a_warm_connection_asks_step_by_step_after_a_reply_too_many() -> None:
    with SmtpServer({"MAIL": at(3, before(b"250 2.0.0 Ok\r\n"))}) as server:
        warm = WarmConnection(relay_of(server))
        with pytest.raises(OutOfStep):
            session.send(warm.get(), Journal(mails(6)))
        warm.drop()
        assert not warm.get().pipelining
        warm.drop()


# In doubt means that the end of the message left.


@pytest.mark.parametrize("way", [behave.close, behave.reset, behave.hang])
@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
def test_a_mail_that_was_refused_before_the_session_broke_is_refused_and_not_in_doubt(
    step: str, way: Misbehaviour
) -> None:
    refuse = at(2, answer(550, "5.7.1 no"))
    script = {step: refuse, **({"chunk": way} if step == "MAIL" else {"BDAT": at(2, way)})}
    with SmtpServer(script, pace="each") as server:
        journal = Journal(mails(2))
        with pytest.raises(SmtpError):
            session.send(proven(open_connection(relay_of(server, deadlines=SHORT))), journal)
    assert journal.codes == {"m0": 250, "m1": 550}
    assert journal.verdicts["m1"].phase == step
    assert journal.in_doubt == []


def test_a_mail_with_a_recipient_left_is_in_doubt() -> None:
    with SmtpServer({"RCPT": at(1, answer(550)), "BDAT": at(1, behave.close)}, pace="each") as server:
        journal = Journal([mail("a", "x@test", "y@test")])
        with pytest.raises(SmtpError):
            session.send(proven(open_connection(relay_of(server))), journal)
    assert journal.in_doubt == ["a"]


@WAYS
def test_a_time_limit_before_the_content_leaves_is_no_doubt(
    extensions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    class TimeLimit(BaseException):
        pass

    with SmtpServer(extensions=extensions) as server:
        connection = proven(open_connection(relay_of(server)))
        journal = Journal(mails(2))
        write = connection.write

        def strike(parts: list[bytes], phase: str, seconds: float) -> None:
            if phase == "message":
                connection.nothing_written()
                raise TimeLimit
            write(parts, phase, seconds)

        monkeypatch.setattr(connection, "write", strike)
        with pytest.raises(TimeLimit):
            session.send(connection, journal)
        assert ids(server) == []
    assert journal.in_doubt == []


@WAYS
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "message"])
def test_a_go_ahead_in_the_wrong_place_is_never_taken_for_a_yes(extensions: tuple[str, ...], step: str) -> None:
    with SmtpServer({step: answer(354)}, extensions=extensions) as server:
        connection, journal = proven(open_connection(relay_of(server))), Journal(mails(1))
        with pytest.raises(SmtpError) as caught:
            session.send(connection, journal)
    assert (caught.value.phase, caught.value.code) == (step, 0)
    assert connection.broken
    assert journal.verdicts == {}


@pytest.mark.parametrize("extensions", [PIPELINED, STEP_BY_STEP])
def test_an_ok_to_data_is_out_of_step_too(extensions: tuple[str, ...]) -> None:
    with SmtpServer({"DATA": answer(250)}, extensions=extensions) as server:
        journal = Journal(mails(1))
        with pytest.raises(SmtpError):
            session.send(open_connection(relay_of(server)), journal)
    assert (journal.commits, journal.blamed) == ([], ["m0"])
