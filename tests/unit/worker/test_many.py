"""Many mails with one call: what they have in common, what is each one's own, and which of them is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from mailworker import MailFailed, ManyError, app, runtime, send_email
from mailworker.delivery.outbox import Message
from mailworker.errors import Unsendable
from mailworker.mail.arguments import SIGNATURE, Mail
from mailworker.mail.email import Limits
from mailworker.settings import Settings
from mailworker.testing import keeping
from mailworker.worker.many import calls_of, send_all


def load_with(templates: Path) -> Settings:
    return Settings.model_validate({"templates": str(templates)})


MAIL = {"to": "a@example.com", "subject": "s", "body": "b"}


@pytest.fixture(autouse=True)
def outbox() -> Iterator[list[Message]]:
    with keeping() as kept:
        yield kept


def many(*args: Any, **kwargs: Any) -> Any:
    return send_email.many(*args, **kwargs)


def test_what_one_mail_may_have_each_of_many_may_have() -> None:
    hints = get_type_hints(Mail)
    assert {name: parameter.annotation for name, parameter in SIGNATURE.parameters.items()} == hints


def test_each_mail_of_a_list_is_one_with_the_results_in_their_order(outbox: list[Message]) -> None:
    results = many([{**MAIL, "subject": str(number)} for number in range(5)])
    assert [mail.message["subject"] for mail in outbox] == ["0", "1", "2", "3", "4"]
    assert results.ids == tuple(mail.id for mail in outbox)
    assert [result.id for result in results] == list(results.ids)
    assert repr(results) == "<MailResults: 5 mails>"
    assert (len(results), results[0].get(), results[1:3].ids) == (5, None, results.ids[1:3])


def test_the_tuples_that_chunks_takes_are_mails_as_well(outbox: list[Message]) -> None:
    many([("a@example.com", "s", "b"), (["b@example.com"], "t", "c")], cc="c@example.com")
    assert [(*mail.recipients, mail.message["subject"]) for mail in outbox] == [
        ("a@example.com", "c@example.com", "s"),
        ("b@example.com", "c@example.com", "t"),
    ]


@pytest.mark.parametrize(
    "recipient", ["a@example.com", ("a@example.com",), {"to": "a@example.com"}, {"to": ["A <a@example.com>"]}]
)
def test_a_mail_and_its_recipients(recipient: Any, outbox: list[Message]) -> None:
    if isinstance(recipient, tuple):
        with pytest.raises(ManyError, match=r"recipients\[0\]: expected an address, a \(to, context\), or a dict"):
            many(recipients=[recipient], subject="s", body="b")
        return
    many(recipients=[recipient, recipient], subject="s", body="b", cc="c@example.com")
    assert [mail.recipients for mail in outbox] == [("a@example.com", "c@example.com")] * 2


def test_what_a_mail_has_of_its_own_counts_before_what_all_have(outbox: list[Message]) -> None:
    many([{"to": "a@example.com"}, {"to": "b@example.com", "subject": "own", "cc": None}], subject="s", body="b",
         cc="c@example.com", reply_to="r@example.com")  # fmt: skip
    assert [(mail.message["subject"], mail.message["cc"]) for mail in outbox] == [("s", "c@example.com"), ("own", None)]


def test_a_context_has_the_variables_of_all_and_each_ones_own(
    tmp_path: Path, outbox: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.txt").write_text("{{ site }} {{ name }} {{ own | default('-') }}")
    monkeypatch.setattr(runtime, "settings", lambda: load_with(tmp_path))
    many(recipients=[("a@example.com", {"name": "A"}), {"to": "b@example.com", "context": {"name": "B", "own": 1}},
                     ("c@example.com", {"name": "C", "site": "other"})], subject="s", template="t",
         context={"site": "here"})  # fmt: skip
    texts = [mail.message.get_content().strip() for mail in outbox]
    assert texts == ["here A -", "here B 1", "other C -"]


def test_what_comes_bit_by_bit_is_taken_bit_by_bit_and_progress_is_told(outbox: list[Message]) -> None:
    told: list[tuple[int, int | None]] = []
    many((dict(MAIL) for _ in range(3)), progress=lambda safe, of: told.append((safe, of)))
    many([MAIL, MAIL], progress=lambda safe, of: told.append((safe, of)))
    assert told[-1] == (2, 2)
    assert (3, None) in told


def test_several_mails_have_a_file(tmp_path: Path, outbox: list[Message]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("first")

    def mails() -> Iterator[dict[str, Any]]:
        yield {**MAIL, "attachments": [str(path)]}
        yield {**MAIL, "attachments": [path, ("b.txt", b"own")]}

    many(mails())
    many(recipients=["a@example.com"] * 2, subject="s", html="<img src='cid:x'>", inline={"x": ("x.png", b"x" * 9000)})
    attached = [[part.get_filename() for part in mail.message.walk() if part.get_filename()] for mail in outbox]
    assert attached == [["a.txt"], ["a.txt", "b.txt"], ["x.png"], ["x.png"]]


@pytest.mark.parametrize(
    ("mails", "problem"),
    [
        (
            [MAIL, {**MAIL, "to": ["a@example.com", "nobody"]}],
            "mails[1]: to[1]: an address has no @ (no mail was accepted)",
        ),
        (
            [MAIL, MAIL, {**MAIL, "cc": 7}],
            "mails[2]: cc: expected str, list or dict, got int (the first 1 mails are in",
        ),
        ([{**MAIL, "to": "nobody"}], "mails[0]: to: an address has no @ (no mail was accepted)"),
        ([{**MAIL, "too": "x"}], "mails[0]: got an unexpected keyword argument 'too'"),
        ([{"to": "a@example.com"}], "mails[0]: missing a required argument: 'subject'"),
        ([MAIL, 7], "mails[1]: expected a dict of arguments, as {'to': …, 'subject': …, 'body': …}, or a tuple"),
        ([["a@example.com", "s", "b"]], "mails[0]: expected a dict of arguments"),
        ([("a@example.com", "s", "b", "<p>")], "mails[0]: expected a dict of arguments"),
        ([("a@example.com",)], "mails[0]: missing a required argument: 'subject'"),
        ([{**MAIL, "attachments": ["/no/such"]}], "mails[0]: attachments[0]: no such file: /no/such"),
        ([{**MAIL, "expires": -1}], "mails[0]: expires: is over already"),
        ([{**MAIL, "headers": {"A": 7}}], "mails[0]: headers: A: expected str, got int"),
    ],
)
def test_an_error_names_the_mail_and_says_how_many_are_safe(mails: Any, problem: str, outbox: list[Message]) -> None:
    with pytest.raises(ManyError, match=f"^{re.escape(problem)}") as caught:
        many(mails)
    assert caught.value.ids == tuple(mail.id for mail in outbox)
    assert caught.value.index == int(problem[6])


def test_an_iterator_that_fails_is_told_as_well() -> None:
    def mails() -> Iterator[dict[str, Any]]:
        yield MAIL
        raise KeyError("secret")

    with pytest.raises(ManyError, match=r"^mails\[1\]: what should give it raised KeyError \(no mail was accepted"):
        many(mails())


@pytest.mark.parametrize(
    ("args", "shared", "kind", "problem"),
    [
        ((), {}, TypeError, "send_email.many: expected one of mails and recipients"),
        (([],), {"recipients": []}, TypeError, "send_email.many: expected one of"),
        (("a@example.com",), {}, TypeError, "send_email.many: mails: expected a list, got str"),
        ((MAIL,), {}, TypeError, "send_email.many: mails: expected a list, got dict"),
        ((7,), {}, TypeError, "send_email.many: mails: expected a list, got int"),
        (([MAIL],), {"too": 1}, TypeError, "send_email: got an unexpected keyword argument 'too'"),
        (([MAIL],), {"cc": "nobody"}, Unsendable, "cc: an address has no @"),
    ],
)
def test_what_is_wrong_for_all_is_told_without_a_number(
    args: Any, shared: Any, kind: type[Exception], problem: str, outbox: list[Message]
) -> None:
    with pytest.raises(kind, match=f"^{re.escape(problem)}"):
        many(*args, **shared)
    assert not outbox


def test_the_same_call_again_sends_no_second_mail_and_another_mail_is_told(outbox: list[Message]) -> None:
    mails = [{**MAIL, "idempotency_key": f"k{number}"} for number in range(3)]
    assert many(mails).ids == many(mails).ids == ("k0", "k1", "k2")
    assert len(outbox) == 3
    with pytest.raises(ManyError, match=r"mails\[1\]: idempotency_key: another mail was accepted"):
        many([mails[0], {**mails[1], "body": "another"}])


@pytest.fixture
def eagerly() -> Iterator[None]:
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("eager", ["keep", "send", "spool"])
def test_where_tasks_are_eager_many_mails_go_where_one_goes(
    eager: str, outbox: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "settings", lambda: Settings.model_validate({"eager": eager}))
    assert many([MAIL, MAIL]).ids == tuple(mail.id for mail in outbox)
    assert len(outbox) == 2


def test_what_is_sent_there_and_then_tells_how_far_it_came() -> None:
    def send(call: Any) -> str:
        if call.mail.subject == b"bad":
            raise MailFailed("recipient_refused")
        return str(call.id)

    mails = [{**MAIL, "idempotency_key": "one"}, {**MAIL, "subject": "bad"}, MAIL]
    with pytest.raises(ManyError, match=r"^mails\[1\]: recipient_refused") as caught:
        send_all("mails", calls_of("mails", mails, {}, Limits()), send)
    assert (caught.value.index, caught.value.ids) == (1, ("one",))
    assert isinstance(caught.value.__cause__, MailFailed)
    with pytest.raises(ManyError, match=r"^mails\[1\]: expected a dict") as caught:
        send_all("mails", calls_of("mails", [mails[0], 7], {}, Limits()), send)
    assert caught.value.ids == ("one",)


def test_none_is_none() -> None:
    assert many([]).ids == ()
    assert not many(iter(()))
