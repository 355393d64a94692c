"""How many mails are under way at once, and when a mail is committed."""

from __future__ import annotations

from contextlib import closing

import pytest

from mailworker.smtp import session
from mailworker.smtp.journal import Outgoing

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
    relay_of,
    stop_the_clock,
)
from .smtp_server import Session, SmtpServer, at


@pytest.mark.parametrize("window", [1, 2, 3, 4, 16])
def test_never_more_than_a_window_of_mails_is_committed_and_unanswered(window: int) -> None:
    with (
        SmtpServer(round_trip=0.005) as server,
        closing(open_connection(relay_of(server, window=window))) as connection,
    ):
        journal = Journal(mails(40), window=window)
        session.send(connection, journal)
        assert len(journal.verdicts) == 40
        assert len(server.mails) == 40


def test_large_mails_leave_one_by_one_and_fill_the_window() -> None:
    large = [mail(f"m{number}", data=b"x" * 99_998 + b"\r\n") for number in range(10)]
    with SmtpServer() as server, closing(open_connection(relay_of(server, window=4))) as connection:
        journal, under_way = Journal(large, window=4), []
        journal.on_commit = lambda names: under_way.append(len(journal.committed) + len(names))
        session.send(connection, journal)
        assert under_way[:4] == [1, 2, 3, 4]
        assert max(under_way) == 4
        assert set(map(len, journal.commits)) == {1}


def test_the_content_that_is_under_way_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailworker.smtp.bdat.UNDER_WAY", 250_000)
    large = [mail(f"m{number}", data=b"x" * 99_998 + b"\r\n") for number in range(10)]
    with SmtpServer() as server, closing(open_connection(relay_of(server, window=10))) as connection:
        journal, under_way = Journal(large, window=3), []
        journal.on_commit = lambda names: under_way.append(len(journal.committed) + len(names))
        session.send(connection, journal)
        assert len(server.mails) == 10
        assert max(under_way) == 3
        assert set(map(len, journal.commits)) == {1}


@WAYS
def test_of_mails_that_are_larger_than_what_may_be_under_way_one_is_in_memory(
    extensions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail is built when the journal is asked for it. The one before may wait for its verdict still."""
    monkeypatch.setattr("mailworker.smtp.bdat.UNDER_WAY", 90_000)
    monkeypatch.setattr("mailworker.smtp.data.UNDER_WAY", 90_000)
    begin = "Message-ID: <m{}@test>\r\n\r\n"
    large = [mail(f"m{number}", data=begin.format(number).encode() + b"x" * 99_998 + b"\r\n") for number in range(4)]
    in_memory: list[int] = []

    class Watched(Journal):
        def next(self, count: int) -> list[Outgoing]:
            in_memory.append(sum(len(item.envelope.data) > 0 for item in self.handed_out.values()))
            return super().next(count)

    with (
        SmtpServer(extensions=extensions) as server,
        closing(open_connection(relay_of(server, window=16))) as connection,
    ):
        journal = Watched(large, window=1)
        session.send(connection, journal)
        assert ids(server) == ["m0", "m1", "m2", "m3"]
    assert set(journal.codes.values()) == {250}
    assert set(in_memory) == {0}


@pytest.mark.parametrize(("seconds", "sizes"), [(60, [1, 3, 3, 3]), (0, [1] * 10)], ids=["fast", "slow"])
@pytest.mark.parametrize("extensions", [PIPELINED, STEP_BY_STEP], ids=["pipelined", "steps"])
def test_mails_that_a_relay_takes_fast_are_committed_together(
    extensions: tuple[str, ...], seconds: float, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworker.smtp.ahead.AT_ONCE", seconds)
    stop_the_clock(monkeypatch)
    with (
        SmtpServer(extensions=extensions) as server,
        closing(open_connection(relay_of(server, window=3))) as connection,
    ):
        journal = Journal(mails(10), window=3)
        session.send(connection, journal)
        assert ids(server) == [f"m{number}" for number in range(10)]
    assert list(map(len, journal.commits)) == sizes


@pytest.mark.parametrize("extensions", [PIPELINED, STEP_BY_STEP], ids=["pipelined", "steps"])
def test_mails_committed_together_are_not_held_when_the_relay_turns_slow(
    extensions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed before its turn is given back to the journal, which may have been told to stop."""
    clock = stop_the_clock(monkeypatch)
    journal = Journal(mails(10))

    def slow(session: Session, argument: str) -> None:
        clock[0] += 1

    with (
        SmtpServer({"accepted": at(2, slow)}, extensions=extensions) as server,
        closing(open_connection(relay_of(server, window=4))) as connection,
    ):
        session.send(connection, journal)
        assert ids(server) == [f"m{number}" for number in range(10)]
    # With PIPELINING one was opened together with the slow one's content.
    assert journal.given_back == (["m4", "m3"] if extensions == PIPELINED else ["m4", "m3", "m2"])
    assert journal.in_doubt == []


@pytest.mark.parametrize("extensions", [PIPELINED, STEP_BY_STEP], ids=["pipelined", "steps"])
def test_a_large_mail_is_committed_without_those_behind_it(
    extensions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworker.smtp.ahead.AT_ONCE", 60)
    large = [mail(f"m{number}", data=b"x" * 99_998 + b"\r\n") for number in range(4)]
    with SmtpServer(extensions=extensions) as server, closing(open_connection(relay_of(server))) as connection:
        journal = Journal(large)
        session.send(connection, journal)
        assert len(server.mails) == 4
    assert set(map(len, journal.commits)) == {1}


@WAYS
def test_a_mail_is_committed_before_its_content_leaves_and_no_sooner(extensions: tuple[str, ...]) -> None:
    contents: list[set[str]] = []
    answers: list[int] = []
    with (
        SmtpServer(extensions=extensions) as server,
        closing(open_connection(relay_of(server, window=1))) as connection,
    ):
        journal = Journal(mails(4))
        server.script["content"] = lambda session, way: contents.append({*journal.committed, *journal.verdicts})  # type: ignore[func-returns-value]
        journal.on_commit = lambda names: answers.append(sum(b"354" in line.octets for line in list(server.lines)))
        session.send(connection, journal)
    assert contents == [{f"m{number}" for number in range(count + 1)} for count in range(4)]
    if extensions != STREAMING:
        assert answers == [1, 2, 3, 4]


@pytest.mark.parametrize("seconds", [60, 0], ids=["together", "alone"])
@WAYS
def test_a_mail_whose_commit_is_refused_does_not_leave(
    extensions: tuple[str, ...], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else has taken it over. Where DATA is open there is no way back but to close."""
    monkeypatch.setattr("mailworker.smtp.ahead.AT_ONCE", seconds)
    stop_the_clock(monkeypatch)
    with SmtpServer(extensions=extensions) as server:
        connection = open_connection(relay_of(server))
        journal = Journal(mails(5))
        journal.forbidden = {"m2"}
        session.send(connection, journal)
        if extensions == STREAMING or seconds:  # refused before its turn came: m0 goes alone, m1 with m2 behind it
            assert not connection.broken
        else:
            assert connection.broken
            session.send(open_connection(relay_of(server)), journal)
        assert ids(server) == ["m0", "m1", "m3", "m4"]
    assert journal.in_doubt == []
    assert "m2" not in journal.verdicts
