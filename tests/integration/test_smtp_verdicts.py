"""Each mail and each recipient gets the reply that is its own."""

from __future__ import annotations

import pytest

from .smtp_client import (
    PIPELINED,
    STEP_BY_STEP,
    WAYS,
    id_of,
    ids,
    mail,
    mails,
    open_connection,
    proven,
    relay_of,
    send,
    send_all,
)
from .smtp_server import Session, SmtpServer, answer, at, each, where


@WAYS
def test_each_recipient_gets_its_own_reply(extensions: tuple[str, ...]) -> None:
    script = {"RCPT": each(where("later", answer(450, "grey")), where("never", answer(550, "who?")))}
    todo = [mail("x", "a@test"), mail("y", "later@test", "b@test", "never@test"), mail("z", "c@test")]
    with SmtpServer(script, extensions=extensions) as server:
        journal = send_all(server, todo)
        assert [item.recipients for item in server.mails] == [("a@test",), ("b@test",), ("c@test",)]
        assert server.connections == 1
    assert [reply.code for reply in journal.verdicts["y"].recipients] == [450, 250, 550]
    assert [reply.text for reply in journal.verdicts["y"].recipients][::2] == ["grey", "who?"]
    assert journal.codes == {"x": 250, "y": 250, "z": 250}
    assert {verdict.phase for verdict in journal.verdicts.values()} == {"message"}


@WAYS
def test_a_mail_that_all_refuse_says_so_and_the_next_goes_well(extensions: tuple[str, ...]) -> None:
    script = {"RCPT": each(where("later", answer(450)), where("never", answer(550)))}
    todo = [mail("x", "never@test", "later@test"), mail("y"), mail("z", "later@test", "never@test"), *mails(3)]
    with SmtpServer(script, extensions=extensions) as server:
        journal = send_all(server, todo)
        assert ids(server) == ["y", "m0", "m1", "m2"]
        assert server.connections == 1
    assert [reply.code for reply in journal.verdicts["x"].recipients] == [550, 450]
    assert {name: verdict.phase for name, verdict in journal.verdicts.items() if name in "xz"} == {
        "x": "RCPT",
        "z": "RCPT",
    }


@WAYS
@pytest.mark.parametrize("code", [451, 552])
def test_a_mail_whose_sender_is_refused_says_so_and_the_next_goes_well(extensions: tuple[str, ...], code: int) -> None:
    with SmtpServer({"MAIL": at(2, answer(code))}, extensions=extensions) as server:
        journal = send(proven(open_connection(relay_of(server))), mails(5))
        assert ids(server) == ["m0", "m2", "m3", "m4"]
        assert server.connections == 1
    assert journal.verdicts["m1"].phase == "MAIL"
    assert journal.codes["m1"] == code


@WAYS
@pytest.mark.parametrize("code", [452, 554])
def test_a_mail_whose_content_is_refused_says_so_and_the_next_goes_well(extensions: tuple[str, ...], code: int) -> None:
    with SmtpServer({"message": at(2, answer(code))}, extensions=extensions) as server:
        journal = send_all(server, mails(5))
        assert [(item.recipients, id_of(item)) for item in server.mails] == [
            ((f"{name}@example.com",), name) for name in ("m0", "m2", "m3", "m4")
        ]
        assert server.connections == 1
    assert journal.verdicts["m1"].phase == "message"
    assert journal.codes["m1"] == code


@pytest.mark.parametrize("extensions", [PIPELINED, STEP_BY_STEP])
@pytest.mark.parametrize("code", [451, 554])
def test_a_mail_whose_data_is_refused_says_so_and_the_next_goes_well(
    extensions: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworker.smtp.ahead.AT_ONCE", 0)
    with SmtpServer({"DATA": at(2, answer(code))}, extensions=extensions) as server:
        journal = send(proven(open_connection(relay_of(server))), mails(5))
        assert ids(server) == ["m0", "m2", "m3", "m4"]
        assert server.connections == 1
    assert (journal.verdicts["m1"].phase, journal.codes["m1"]) == ("DATA", code)
    assert journal.commits == [["m0"], ["m2"], ["m3"], ["m4"]]


def test_a_relay_that_waits_for_a_message_to_nobody_gets_a_lone_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 2920, 3.1: with PIPELINING, 354 may come though all recipients were refused."""
    monkeypatch.setattr("mailworker.smtp.ahead.AT_ONCE", 0)

    def go_ahead(session: Session, argument: str) -> bytes | None:
        if session.recipients:
            return None
        session.put(b"354 go ahead\r\n")
        return session.content()

    with SmtpServer({"RCPT": where("never", answer(550)), "DATA": go_ahead}, extensions=PIPELINED) as server:
        journal = send_all(server, [mail("x", "never@test"), mail("y"), mail("z", "never@test")])
        assert ids(server) == ["y"]
        contents = [line.octets for line in server.lines if line.who == "content"]
        assert [len(octets) for octets in contents] == [0, 35, 0]
    assert journal.commits == [["y"]]
    assert journal.verdicts["x"].phase == "RCPT"


@pytest.mark.parametrize("seed", range(5))
@WAYS
def test_every_reply_belongs_to_its_mail_and_recipient(extensions: tuple[str, ...], seed: int) -> None:
    """A hundred mails whose recipients and content are refused here and there, each by its own name."""
    import random

    dice = random.Random(seed)
    todo = [
        mail(f"m{n}", *(f"r{n}.{i}.{dice.choice([250, 250, 450, 550])}@test" for i in range(dice.randint(1, 5))))
        for n in range(100)
    ]
    refused = {f"m{n}": dice.choice([451, 554]) for n in dice.sample(range(100), 10)}

    def content(session: Session, recipients: str) -> bytes | None:
        code = refused.get("m" + recipients.split(".", maxsplit=1)[0][1:])
        return f"{code} for {recipients.split(maxsplit=1)[0]}\r\n".encode() if code else None

    def recipient(session: Session, argument: str) -> bytes | None:
        code = argument.split("@", maxsplit=1)[0][-3:]
        return None if code == "250" else f"{code} {argument}\r\n".encode()

    with SmtpServer({"message": content, "RCPT": recipient}, extensions=extensions) as server:
        journal = send_all(server, todo, window=7)
        taken = {id_of(item): item.recipients for item in server.mails}
    for item in todo:
        verdict, expected = journal.verdicts[item.id], [int(a.split("@")[0][-3:]) for a in item.envelope.recipients]
        good = tuple(a for a, code in zip(item.envelope.recipients, expected, strict=True) if code == 250)
        assert [reply.code for reply in verdict.recipients] == expected
        assert all(
            r.code == 250 or a in r.text for a, r in zip(item.envelope.recipients, verdict.recipients, strict=True)
        )
        if good:
            assert journal.codes[item.id] == refused.get(item.id, 250)
            assert taken.get(item.id) == (None if item.id in refused else good)
        else:
            assert verdict.phase == "RCPT"
            assert item.id not in taken


def test_nobody_gets_a_mail_because_he_was_a_recipient_of_one_that_failed() -> None:
    """The relay keeps the recipients of a failed BDAT (RFC 3030, 2: its state is indeterminate)."""
    with SmtpServer({"message": at(1, answer(554))}, round_trip=0.01) as server:
        send_all(server, [mail("secret", "a@test"), mail("other", "b@test")])
        assert [item.recipients for item in server.mails] == [("b@test",)]
