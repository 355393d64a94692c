"""What a mail that wants to be told of its delivery says in MAIL and RCPT."""

from __future__ import annotations

from hashlib import sha256

import pytest

from mailworker.envelope import Dsn
from mailworker.smtp import dsn
from mailworker.smtp.replies import Reply


@pytest.mark.parametrize(
    ("asked", "mail_id", "said"),
    [
        (Dsn(("FAILURE",), "HDRS"), "m1", " RET=HDRS ENVID=m1"),
        (Dsn(("NEVER",)), "order 7+=~\x7e", " ENVID=order+207+2B+3D~~"),
        (Dsn(ret="FULL"), "x" * 100, f" RET=FULL ENVID={'x' * 100}"),
    ],
)  # fmt: skip
def test_mail_says_what_comes_back_and_under_which_name(asked: Dsn, mail_id: str, said: str) -> None:
    assert dsn.of_mail(asked, mail_id) == said


@pytest.mark.parametrize("mail_id", ["x" * 101, "+" * 34, "a\r\nRCPT TO:<b@x.org>", "über", "\ud800"])
def test_an_id_that_cannot_be_written_there_is_known_by_its_digest(mail_id: str) -> None:
    digest = sha256(mail_id.encode("utf-8", "surrogatepass")).hexdigest()
    assert dsn.of_mail(Dsn(), mail_id) == f" ENVID={digest}"


@pytest.mark.parametrize(
    ("asked", "address", "said"),
    [
        (Dsn(("SUCCESS", "FAILURE")), "a+b@x.org", " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@x.org"),
        (Dsn(("NEVER",)), '"a b="@x.org', ' NOTIFY=NEVER ORCPT=rfc822;"a+20b+3D"@x.org'),
        (Dsn(("DELAY",)), "zoë@x.org", " NOTIFY=DELAY"),
        (Dsn(ret="FULL"), "a@x.org", ""),
    ],
)
def test_rcpt_says_of_what_to_tell_and_whom_it_was_meant_for(asked: Dsn, address: str, said: str) -> None:
    assert dsn.of_recipient(asked, address) == said


def test_refusals_are_about_the_parameters_where_all_are_by_their_code() -> None:
    assert dsn.refused([Reply(501, "5.7.1 DSN support is disabled")])
    assert dsn.refused([Reply(555, "5.5.4 Unsupported option: NOTIFY"), Reply(504, "")])
    assert not dsn.refused([Reply(501, "5.5.4 syntax"), Reply(550, "5.1.1 unknown")])
    assert not dsn.refused([])
