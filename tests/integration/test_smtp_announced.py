"""Extensions that a relay announces and does not bear: found out with nothing in doubt, nothing dead, and no octet of a
mail's content read as a command.

Seen in the field: nginx's mail proxy and Postfix's `reject_unauth_pipelining` ("503 5.5.0 Improper use of SMTP command
pipelining"), OpenSMTPD issue 451 ("500 5.5.1 … Pipelining not supported"), emersion/go-smtp issue 315 (the chunk of a
refused BDAT is read as commands).
"""

from __future__ import annotations

import itertools
import time

import pytest

from mailworker.smtp.relay import Deadlines
from mailworker.smtp.warm import WarmConnection

from . import smtp_server as behave
from .smtp_client import PIPELINED, STREAMING, Journal, ids, mail, mails, relay_of, run
from .smtp_server import Misbehaviour, Session, SmtpServer, answer, at, where

BOTH = pytest.mark.parametrize("extensions", [STREAMING, PIPELINED], ids=["bdat", "pipelined"])
QUICK = Deadlines(connect=5, reply=0.3, final=1)
EVIL = (
    b"Message-ID: <evil@test>\r\n\r\n"
    b"RSET\r\nMAIL FROM:<evil@test>\r\nRCPT TO:<victim@test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
)


def together(misbehaviour: Misbehaviour) -> Misbehaviour:
    """Only where more came with the command."""
    return lambda session, argument: misbehaviour(session, argument) if session._input else None


def and_closes(misbehaviour: Misbehaviour) -> Misbehaviour:
    return behave.then(misbehaviour, behave.close)


def deaf(session: Session, argument: str) -> None:
    """Throws away what came with the command."""
    session._input.clear()


def only_for_the_last(session: Session, argument: str) -> bytes:
    """Says nothing to a command that another one follows."""
    return b""


WORDS = [
    "500 5.5.1 Pipelining not supported",
    "501 5.5.4 pipelining",
    "502 5.5.1 command pipelining is not allowed",
    "503 5.5.0 Improper use of SMTP command pipelining",
    "503 5.5.1 Bad sequence of commands",
    "550 5.5.0 command out of sequence",
    "554 5.5.1 Error: unexpected data sent without waiting",
    "554 5.7.1 no",
    "550 no",
    "451 4.5.0 SMTP protocol violation, you must wait for each reply",
    "421 4.5.0 synchronization error",
    "421 go away",
]
WAYS: dict[str, Misbehaviour] = {words: behave.raw(f"{words}\r\n".encode()) for words in WORDS}
CLOSING = {f"{words}, closed": and_closes(way) for words, way in WAYS.items()}
SILENT = {"closed": behave.close, "reset": behave.reset, "deaf": deaf, "merged": only_for_the_last}
ALL = WAYS | CLOSING | SILENT


def delivered(server: SmtpServer, journal: Journal, connections: int = 4, **values: object) -> WarmConnection:
    """Nothing lost, doubled, dead or in doubt, over few connections and without an error."""
    names = [item.id for item in journal.todo]
    warm = WarmConnection(relay_of(server, deadlines=QUICK, **values))
    assert run(warm, journal) == 0
    assert sorted(ids(server)) == sorted(names)
    assert set(journal.codes.values()) == {250}
    assert (journal.in_doubt, journal.blamed) == ([], [])
    assert server.connections <= connections
    return warm


@BOTH
@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
@pytest.mark.parametrize("way", ALL)
def test_a_relay_that_does_not_bear_pipelining_is_asked_step_by_step_at_once(
    extensions: tuple[str, ...], step: str, way: str
) -> None:
    with SmtpServer({step: together(ALL[way])}, extensions=extensions) as server:
        warm = delivered(server, Journal(mails(4)))
        before = server.connections
        warm.drop()
        assert run(warm, Journal(mails(3, "n"))) == 0
        assert server.connections <= before + 1  # what was learnt holds
        warm.drop()


@BOTH
@pytest.mark.parametrize("way", ALL)
def test_the_same_where_it_refuses_reset_or_data(extensions: tuple[str, ...], way: str) -> None:
    """RSET goes first after a refused mail; DATA is last in its group."""
    fault = ALL[way]
    script = {"RCPT": where("never", answer(550)), "DATA": _once_a_group(fault)}
    script |= dict.fromkeys(["RSET", "chunk RSET"], together(fault))
    with SmtpServer(script, extensions=extensions) as server:
        warm = WarmConnection(relay_of(server, deadlines=QUICK))
        journal = Journal([mail("x", "never@test"), *mails(3)])
        assert run(warm, journal) == 0
        warm.drop()
        assert ids(server) == ["m0", "m1", "m2"]
    assert journal.codes == {"x": 550, "m0": 250, "m1": 250, "m2": 250}


def _once_a_group(fault: Misbehaviour) -> Misbehaviour:
    """At DATA nothing follows any more: told from the time since MAIL, which a client that waits leaves."""
    return lambda session, argument: fault(session, argument) if session.turns_at_mail == session.turns else None


@pytest.mark.parametrize("way", [*WAYS, *CLOSING])
def test_a_relay_that_takes_a_group_and_refuses_it_behind_the_dot(way: str) -> None:
    def behind(session: Session, argument: str) -> bytes | None:
        return ALL[way](session, argument) if session.accepted and session._input else None

    with SmtpServer({"MAIL": behind}, extensions=PIPELINED) as server:
        delivered(server, Journal(mails(4))).drop()


def test_a_slow_relay_without_pipelining_gets_all_the_time_it_wants() -> None:
    """It was given up soon once, and not again."""

    def slow(session: Session, argument: str) -> None:
        time.sleep(0.25)

    script = {"RCPT": together(deaf), "MAIL": slow, "DATA": slow}
    with SmtpServer(script, extensions=PIPELINED) as server:
        warm = WarmConnection(relay_of(server))
        assert run(warm, Journal(mails(2))) == 0
        warm.drop()
        assert ids(server) == ["m0", "m1"]


def test_a_recipient_who_is_refused_alone_too_is_refused_and_pipelining_stays() -> None:
    for extensions in (STREAMING, PIPELINED):
        with SmtpServer({"RCPT": where("never", answer(554))}, extensions=extensions) as server:
            warm = WarmConnection(relay_of(server))
            journal = Journal([mail("x", "never@test"), mail("y", "never@test"), *mails(3)])
            assert run(warm, journal) == 0
            assert warm.get().pipelining
            warm.drop()
            assert server.connections == 1
        assert journal.codes == {"x": 554, "y": 554, "m0": 250, "m1": 250, "m2": 250}


def test_pipelining_is_tried_again_soon_where_nobody_said_what_was_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    from mailworker.smtp import lessons

    ahead = [0.0]
    monkeypatch.setattr(lessons.time, "monotonic", lambda real=time.monotonic: real() + ahead[0])
    with SmtpServer({"MAIL": at(1, behave.close)}) as server:
        warm = WarmConnection(relay_of(server))
        assert run(warm, Journal(mails(2))) == 0
        assert not warm.get().pipelining
        ahead[0] = lessons.SUSPICION_HOLDS + 1
        warm.drop()
        assert warm.get().chunking
        warm.drop()


# BDAT.


def unread(code: int, text: str = "unknown command") -> Misbehaviour:
    """The chunk stays to be read as commands."""
    return answer(code, text)


@pytest.mark.parametrize("code", [250, 354, 421, 451, 500, 501, 502, 503, 504, 554])
def test_no_octet_of_content_is_read_as_a_command_where_bdat_is_unknown(code: int) -> None:
    todo = [mail("evil", data=EVIL), *mails(3)]
    with SmtpServer({"BDAT": unread(code), "chunk": unread(code)}) as server:
        delivered(server, Journal(todo)).drop()
        assert not any("evil@test" in line or "victim" in line for line in server.commands())
        assert {one.way for one in server.mails} == {"DATA"}


def test_nor_where_the_relay_leaves_the_chunk_of_a_refused_bdat_unread() -> None:
    """emersion/go-smtp issue 315: 502, and the chunk is commands, unless there is a recipient."""

    def refuse(session: Session, argument: str) -> bytes | None:
        return None if session.recipients else b"502 5.5.1 Missing RCPT TO command.\r\n"

    script = {"RCPT": where("never", answer(550)), "BDAT": refuse, "chunk": refuse}
    with SmtpServer(script) as server:
        warm = WarmConnection(relay_of(server))
        todo = [mail("a"), mail("evil", "never@test", data=EVIL), mail("b")]
        journal = Journal(todo)
        assert run(warm, journal) == 0
        warm.drop()
        assert ids(server) == ["a", "b"]
        assert not any("evil@test" in line or "victim" in line for line in server.commands())
    assert journal.codes == {"a": 250, "evil": 550, "b": 250}


def test_nor_where_a_relay_says_nothing_or_closes_at_the_chunk() -> None:
    for way, closed in itertools.product([behave.nothing, behave.close, behave.reset, behave.garbage], [False, True]):
        script = {"chunk": and_closes(way) if closed else way}
        with SmtpServer(script) as server:
            delivered(server, Journal(mails(3))).drop()


def test_a_relay_that_makes_wait_whom_it_refuses_gets_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exchange: `TarpitInterval`, five seconds by default."""
    monkeypatch.setattr("mailworker.smtp.chunking_proof.TARPIT", 0.2)

    def tarpit(session: Session, argument: str) -> None:
        time.sleep(0.25)

    with SmtpServer({"chunk": tarpit}) as server:
        warm = WarmConnection(relay_of(server))
        assert run(warm, Journal(mails(3))) == 0
        warm.drop()
        assert run(warm, Journal(mails(3, "n"))) == 0
        warm.drop()
        assert [one.way for one in server.mails] == ["DATA"] * 6
        assert server.commands().count("BDAT 6") == 1


def test_each_connection_proves_it_anew() -> None:
    with SmtpServer() as server:
        for _ in range(2):
            warm = WarmConnection(relay_of(server))
            run(warm, Journal(mails(2)))
            warm.drop()
        assert [line for line in server.commands() if line.startswith("BDAT 6")] == ["BDAT 6"] * 2


def test_a_mail_with_many_recipients_is_not_sent_before_they_are_answered() -> None:
    """Exim: after too many, `554` to BDAT and the chunk is commands."""
    contents: list[int] = []

    def too_many(session: Session, argument: str) -> bytes | None:
        return None if len(session.recipients) < 30 else b"452 too many\r\n"

    with SmtpServer({"RCPT": too_many}) as server:
        warm = WarmConnection(relay_of(server))
        journal = Journal([*mails(2), mail("many", *(f"r{n}@test" for n in range(40))), *mails(2, "n")])
        server.script["content"] = lambda session, way: contents.append(len(session.recipients))  # type: ignore[func-returns-value]
        run(warm, journal)
        warm.drop()
        assert ids(server) == ["m0", "m1", "many", "n0", "n1"]
    lines = server.commands()
    assert lines.count("RSET") >= 1
    assert [len(reply.recipients) for reply in journal.verdicts.values()] == [1, 1, 40, 1, 1]
    assert contents == [1, 1, 30, 1, 1]


def test_a_relay_that_says_the_same_to_everything_gets_data() -> None:
    """One reply too many would not be noticed; 354 is noticed."""
    same = behave.raw(b"250 ok\r\n")
    with SmtpServer(
        {"MAIL": _after(same), "RCPT": _after(same), "accepted": same, "RSET": same, "chunk RSET": same}
    ) as server:
        warm = WarmConnection(relay_of(server))
        run(warm, Journal(mails(10)))
        assert not warm.get().chunking
        assert warm.get().pipelining
        warm.drop()
        assert server.mails[-1].way == "DATA"
        assert len(ids(server)) == 10


def _after(reply: Misbehaviour) -> Misbehaviour:
    """Does what the command does, and says something else."""

    def misbehave(session: Session, argument: str) -> bytes | None:
        (session._mail if argument.upper().startswith("FROM") else session._rcpt)(argument)
        return reply(session, argument)

    return misbehave
