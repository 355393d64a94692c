"""The warm connection of a slot: what it learns from a relay, and for how long; and sending without the spool."""

from __future__ import annotations

import time

import pytest

from mailworker import runtime
from mailworker.delivery.direct import send_now
from mailworker.errors import MailDeferred, MailFailed, SmtpError
from mailworker.mail.arguments import from_arguments
from mailworker.mail.email import Limits
from mailworker.settings import Settings, load
from mailworker.smtp import lessons
from mailworker.smtp.relay import Deadlines, Relay
from mailworker.smtp.warm import WarmConnection
from mailworker.worker.app import app
from mailworker.worker.spooling_task import send_directly

from . import smtp_server as behave
from .smtp_client import Journal, ids, mails, relay_of, run, until
from .smtp_server import Session, SmtpServer, after_mails, answer, at, good_bye, where


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the connection's clock adds to the real one."""
    ahead = [0.0]
    monkeypatch.setattr(lessons.time, "monotonic", lambda real=time.monotonic: real() + ahead[0])
    return ahead


@pytest.mark.parametrize("way", [good_bye, behave.close], ids=["421", "close"])
def test_a_relay_that_closes_after_some_mails_is_closed_in_time_from_then_on(way: behave.Misbehaviour) -> None:
    with SmtpServer({"MAIL": after_mails(5, way)}) as server:
        warm = WarmConnection(relay_of(server))
        assert run(warm, Journal(mails(9))) == 1
        assert run(warm, Journal(mails(20, "n"))) == 0
        warm.drop()
        assert [one.accepted for one in server.sessions] == [5, 4 + 1, 5, 5, 5, 4]
        assert len(set(ids(server))) == 29


def test_what_was_learnt_is_forgotten_after_a_while(clock: list[float]) -> None:
    with SmtpServer({"MAIL": at(3, good_bye)}) as server:  # a restart, once
        warm = WarmConnection(relay_of(server))
        run(warm, Journal(mails(10)))
        assert warm.get().relay.mails == 2
        clock[0] = lessons.LESSON_HOLDS + 1
        warm.drop()
        assert warm.get().relay.mails == Relay("", 0).mails
        warm.drop()


def test_a_relay_that_hangs_teaches_nothing_about_how_many_mails_it_takes() -> None:
    with SmtpServer({"accepted": at(3, behave.hang)}) as server:
        warm = WarmConnection(relay_of(server, deadlines=Deadlines(5, 0.3, 0.3)))
        run(warm, Journal(mails(4)))
        assert warm.get().relay.mails == Relay("", 0).mails
        warm.drop()


@pytest.mark.parametrize("code", [500, 502, 503])
def test_a_relay_that_does_not_know_bdat_gets_data(code: int) -> None:
    with SmtpServer({"BDAT": answer(code), "chunk": answer(code)}) as server:
        warm = WarmConnection(relay_of(server))
        assert run(warm, Journal(mails(5))) == 0
        assert run(warm, Journal(mails(5, "n"))) == 0
        warm.drop()
        assert {one.way for one in server.mails} == {"DATA"}
        assert (len(ids(server)), server.connections) == (10, 2)


def test_a_relay_that_loses_what_is_pipelined_is_asked_step_by_step() -> None:
    def lose(session: Session, argument: str) -> None:
        session._input.clear()

    with SmtpServer({"MAIL": lose}) as server:
        warm = WarmConnection(relay_of(server, deadlines=Deadlines(5, 0.3, 0.3)))
        assert run(warm, Journal(mails(5))) == 0
        warm.drop()
        assert (ids(server), server.connections) == (["m0", "m1", "m2", "m3", "m4"], 2)


def test_a_line_is_kept_while_it_is_good_and_opened_anew_when_the_relay_closed_it() -> None:
    with SmtpServer() as server:
        warm = WarmConnection(relay_of(server))
        run(warm, Journal(mails(3)))
        assert warm.get() is warm.get()
        server.sessions[0].end()
        until(lambda: server.sessions[0].sock.fileno() == -1)
        assert run(warm, Journal(mails(3, "n"))) == 0
        assert server.connections == 2
        warm.drop()


# Without the spool.


def send(settings: Settings) -> str:
    return send_now(EMAIL, settings.author, settings.relays[0])


def settings_of(server: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MAILWORKER_FROM", "A site <site@example.com>")
    monkeypatch.setenv("MAILWORKER_SMTP_URL", f"smtp://127.0.0.1:{server.port}")
    return load()


EMAIL = from_arguments((["a@test", "b@test"], "subject", "body"), {}, Limits()).mail


def test_sending_directly_returns_the_message_id(monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer() as server:
        message_id = send(settings_of(server, monkeypatch))
        assert f"Message-ID: <{message_id}>\r\n".encode() in server.mails[0].data
        assert server.mails[0].recipients == ("a@test", "b@test")


def test_sending_directly_tries_again_without_bdat(monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer({"BDAT": answer(502), "chunk": answer(502)}) as server:
        send(settings_of(server, monkeypatch))
        assert [one.way for one in server.mails] == ["DATA"]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ({"MAIL": answer(550)}, MailFailed),
        ({"RCPT": answer(550)}, MailFailed),
        ({"message": answer(554)}, MailFailed),
        ({"MAIL": answer(450)}, MailDeferred),
        ({"message": answer(451)}, MailDeferred),
        ({"RCPT": where("b@", answer(450))}, MailDeferred),
        ({"MAIL": good_bye}, SmtpError),
        ({"accepted": behave.close}, SmtpError),
        ({"greeting": answer(554)}, SmtpError),
    ],
)
def test_sending_directly_raises_what_the_relay_said(
    script: dict[str, behave.Misbehaviour], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    with SmtpServer(script) as server:
        with pytest.raises(error):
            send(settings_of(server, monkeypatch))
        # What ends the session at its first group of commands may do so because it is a group.
        assert server.connections == (2 if script == {"MAIL": good_bye} else 1)


def test_a_direct_call_whose_mail_waits_nowhere_lets_none_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWORKER_MAX_AGE", "60")
    monkeypatch.setenv("MAILWORKER_RETRY_DELAYS", "300")
    with SmtpServer({"RCPT": answer(450)}) as server:
        settings = settings_of(server, monkeypatch)
        monkeypatch.setattr(runtime, "settings", lambda: settings)
        with pytest.raises(MailDeferred, match="450 at RCPT"):
            send_directly(("a@test", "subject", "body"), {}, app)


def test_sending_directly_closes_politely(monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer() as server:
        send(settings_of(server, monkeypatch))
        until(lambda: server.commands()[-1] == "QUIT")


def test_a_line_that_was_never_opened_may_be_dropped() -> None:
    with SmtpServer() as server:
        WarmConnection(relay_of(server)).drop()
        assert server.connections == 0
