"""Notifications are asked for where the relay announces them, by mails that want them; a mail goes without where the
relay then refuses what it announced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailworker.envelope import Dsn
from mailworker.smtp.journal import Outgoing
from mailworker.smtp.warm import WarmConnection

from .smtp_client import (
    WAYS,
    Journal,
    ids,
    mail,
    mails,
    open_connection,
    relay_of,
    run,
    send,
    send_all,
    stop_the_clock,
)
from .smtp_server import SmtpServer, answer, where

ASKS = Dsn(("SUCCESS", "FAILURE"), "HDRS")
NO_DSN = answer(501, "5.7.1 DSN support is disabled")


def asking(item: Outgoing) -> Outgoing:
    return replace(item, envelope=replace(item.envelope, dsn=ASKS))


def said(server: SmtpServer, verb: str) -> list[str]:
    return [line for line in server.commands() if line.startswith(verb)]


@WAYS
def test_a_mail_that_asks_says_so_and_its_neighbours_do_not(extensions: tuple[str, ...]) -> None:
    todo = [mail("m0"), asking(mail("m1", "a@example.com", "b@example.com")), mail("m2"), asking(mail("m3"))]
    with SmtpServer(extensions=(*extensions, "DSN")) as server:
        assert set(send_all(server, todo).codes.values()) == {250}
        assert ids(server) == ["m0", "m1", "m2", "m3"]
        parameters = [each.parameters.partition(" ")[2] for each in server.mails]
        assert parameters == ["", "RET=HDRS ENVID=m1", "", "RET=HDRS ENVID=m3"]
        assert [line.partition("> ")[2] for line in said(server, "RCPT")] == [
            "",
            "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@example.com",
            "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@example.com",
            "",
            "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;m3@example.com",
        ]


@WAYS
def test_a_relay_that_does_not_announce_it_hears_nothing_of_it(extensions: tuple[str, ...]) -> None:
    with SmtpServer(extensions=extensions) as server:
        assert set(send_all(server, map(asking, mails(3))).codes.values()) == {250}
        assert not [line for line in server.commands() if "ENVID" in line or "NOTIFY" in line]


@WAYS
@pytest.mark.parametrize(("step", "refused"), [("MAIL", "ENVID"), ("RCPT", "NOTIFY")])
def test_what_announces_it_and_refuses_it_gets_the_mails_without(
    extensions: tuple[str, ...], step: str, refused: str
) -> None:
    """A provider's proxy shows the EHLO of the server behind it: "501 5.7.1 DSN support is disabled (in reply to RCPT
    TO command)" is what Debian's users of such wrote down. OpenSMTPD, issue 499, is of the kind too."""
    todo = [asking(mail("m0", "a@example.com", "b@example.com")), mail("m1"), *map(asking, mails(12, "n"))]
    with SmtpServer({step: where(refused, NO_DSN)}, extensions=(*extensions, "DSN")) as server:
        warm, journal = WarmConnection(relay_of(server, window=4)), Journal(todo)
        run(warm, journal)
        assert set(journal.codes.values()) == {250}
        assert sorted(ids(server)) == sorted(item.id for item in todo)
        assert len([line for line in said(server, "MAIL") if "ENVID" in line]) <= 8
        warm.drop()
        before = len(server.commands())
        run(warm, Journal([asking(mail("later"))]))
        assert not [line for line in server.commands()[before:] if "ENVID" in line]
        warm.drop()


@WAYS
def test_who_is_refused_without_it_too_is_refused(extensions: tuple[str, ...]) -> None:
    script = {"RCPT": where("never@", answer(501, "5.1.3 bad address"))}
    with SmtpServer(script, extensions=(*extensions, "DSN")) as server:
        journal = send_all(server, [asking(mail("m0", "never@example.com")), asking(mail("m1"))])
        assert journal.codes == {"m0": 501, "m1": 250}


@WAYS
def test_refusals_of_some_recipients_are_believed(extensions: tuple[str, ...]) -> None:
    script = {"RCPT": where("never@", answer(501, "5.1.3 bad address"))}
    with SmtpServer(script, extensions=(*extensions, "DSN")) as server:
        journal = send_all(server, [asking(mail("m0", "never@example.com", "a@example.com")), asking(mail("m1"))])
        assert [reply.code for reply in journal.verdicts["m0"].recipients] == [501, 250]
        assert len([line for line in said(server, "MAIL") if "ENVID" in line]) >= 2


def test_a_mail_that_was_committed_before_its_turn_is_committed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must be in doubt when the session ends behind its content."""
    monkeypatch.setattr("mailworker.smtp.ahead.AT_ONCE", 60)
    stop_the_clock(monkeypatch)
    script = {"MAIL": where("ENVID=n2", NO_DSN)}
    with SmtpServer(script, extensions=("PIPELINING", "DSN")) as server:
        connection = open_connection(relay_of(server, window=4))
        journal = send(connection, [mail("n0"), mail("n1"), asking(mail("n2")), mail("n3")])
        assert set(journal.codes.values()) == {250}
        assert journal.commits == [["n0"], ["n1", "n2", "n3"], ["n2"]]


@WAYS
def test_octets_outside_ascii_are_announced_where_the_relay_knows_that(extensions: tuple[str, ...]) -> None:
    """And go as they are where it does not: Exim and qmail do so, and a signature stays whole."""
    content = "Message-ID: <m0@test>\r\nContent-Transfer-Encoding: 8bit\r\n\r\nüber\r\n".encode()
    for announced in (extensions, tuple(name for name in extensions if name != "8BITMIME")):
        with SmtpServer(extensions=announced) as server:
            assert send_all(server, [mail("m0", data=content), mail("m1")]).codes == {"m0": 250, "m1": 250}
            assert server.mails[0].data == content
            assert ["BODY=8BITMIME" in each.parameters for each in server.mails] == ["8BITMIME" in announced, False]


@WAYS
def test_the_null_sender_is_written_as_one(extensions: tuple[str, ...]) -> None:
    nobody = replace(mail("m0"), envelope=replace(mail("m0").envelope, sender=""))
    with SmtpServer(extensions=extensions) as server:
        assert send_all(server, [nobody]).codes == {"m0": 250}
        assert said(server, "MAIL")[0].startswith("MAIL FROM:<> ")
